import { Inflate } from "fflate";
import { LosswrightError } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";
import { allocating, broken } from "./failure.js";
import { shown } from "./json.js";
import { encodeNpy, namedTensors, parseNpy } from "./npy.js";

/**
 * Reads an archive of `numpy.savez` or `numpy.savez_compressed`: a zip file, ZIP64 or not, whose members are `.npy`
 * files, stored or deflated. A tensor is named after its member without the `.npy`, and read as `parseNpy` reads it:
 * that of a stored member shares the buffer of `bytes` where its numbers are aligned.
 *
 * Nothing of an archive is trusted. Every place and size is checked against the file before anything is read or
 * allocated; a member inflates to the size it declares and not a byte more, and that size is at most the 1032-fold of
 * what is packed, which is all that deflate can do; members do not overlap; CRC-32 must be right.
 *
 * @param bytes - the whole file
 * @param name - what errors call it
 * @returns the tensors in the order of the archive
 * @throws `file` for what is no such archive: cut off, damaged or hostile, with a name twice or one that leads out of a
 * directory, encrypted, packed by another method, or holding what is no `.npy`; whatever `parseNpy` throws, `where`
 * being the member's path
 */
export function parseNpz(bytes: Uint8Array, name = "npz"): Map<string, Tensor> {
  return new Map(Array.from(openNpz(bytes, name), ([key, read]) => [key, read()]));
}

/**
 * The tensors of an archive by name, each read when it is asked for. Reads the directory alone.
 *
 * @throws what {@link parseNpz} throws; on reading, what concerns the content of one member
 */
export function openNpz(bytes: Uint8Array, name = "npz"): Map<string, () => Tensor> {
  const members = readMembers(bytes, name);
  return new Map(
    members.map((member) => [member.name.slice(0, -".npy".length), () => readMember(bytes, member, name)]),
  );
}

/**
 * Tensors as an archive, byte for byte as `numpy.savez` writes it to a file: members stored, little-endian, in C order.
 * Roles and weakness are not part of the format.
 *
 * @param name - what errors call it
 * @throws `argument` for what is no map of tensors, and for a name that leads out of a directory, holds control
 * characters or is too long for the format; whatever `encodeNpy` throws
 */
export function encodeNpz(tensors: ReadonlyMap<string, Tensor>, name = "npz"): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let end = 0;
  const add = (...more: Uint8Array[]) => {
    for (const part of more) {
      end += part.length;
      parts.push(part);
    }
  };
  const entries = namedTensors(tensors, name);
  for (const [key, tensor] of entries) {
    const path = encodePath(key, name);
    const file = encodeNpy(tensor, within(name, `${key}.npy`));
    const start = end;
    const flags = path.length === key.length + ".npy".length ? 0 : flag.utf8;
    const common = [u16(flags), u16(stored), u16(0), u16(firstDay), u32(crc32(file))];
    const sizes = [u64(file.length), u64(file.length)];
    // NumPy forces the ZIP64 field into every member's header, whatever its size.
    const local = [
      u32(signature.member),
      u16(45),
      ...common,
      u32(saturated),
      u32(saturated),
      u16(path.length),
      u16(20),
    ];
    add(record(...local), path, record(u16(1), u16(16), ...sizes), file);
    const wide = [...(file.length > signed31 ? sizes : []), ...(start > signed31 ? [u64(start)] : [])];
    const size = u32(file.length > signed31 ? saturated : file.length);
    directory.push(
      record(
        ...[u32(signature.entry), u16(0x032d), u16(45), ...common, size, size, u16(path.length)],
        ...[u16(wide.length ? 4 + 8 * wide.length : 0), u16(0), u16(0), u16(0), u32(ownerReadsAndWrites)],
        u32(start > signed31 ? saturated : start),
      ),
      path,
      wide.length ? record(u16(1), u16(8 * wide.length), ...wide) : new Uint8Array(0),
    );
  }
  const start = end;
  for (const part of directory) add(part);
  const size = end - start;
  if (entries.length > 0xffff || start > signed31 || size > signed31) {
    const place = end;
    const [count, version] = [u64(entries.length), [u16(45), u16(45)]];
    add(
      record(u32(signature.end64), u64(44), ...version, u32(0), u32(0), count, count, u64(size), u64(start)),
      record(u32(signature.locator64), u32(0), u64(place), u32(1)),
    );
  }
  const count = u16(Math.min(entries.length, 0xffff));
  const places = [u32(Math.min(size, saturated)), u32(Math.min(start, saturated))];
  add(record(u32(signature.end), u16(0), u16(0), count, count, ...places, u16(0)));
  return allocating(name, () => {
    const out = new Uint8Array(end);
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  });
}

// ---- the format ----

const signature = {
  member: 0x04034b50,
  entry: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
} as const;

const [stored, deflated] = [0, 8];

/** Bits of a member's flags. Those of deflate's options (1, 2) and of sizes behind the data (3) change nothing here. */
const flag = { encrypted: 0x0001, utf8: 0x0800, known: 0x080e } as const;

/** A 32-bit field whose number stands in the ZIP64 field instead. */
const saturated = 0xffffffff;

/** From here on, Python writes numbers into the ZIP64 field. */
const signed31 = 0x7fffffff;

/** January 1, 1980, in a member's date. */
const firstDay = 0x21;

const ownerReadsAndWrites = 0o600 * 65536;

/** Deflate's best: 258 bytes in two bits. */
const mostFromOneByte = 1032;

const methods = new Map([
  [1, "shrink"],
  [6, "implode"],
  [9, "deflate64"],
  [12, "bzip2"],
  [14, "LZMA"],
  [93, "Zstandard"],
  [95, "xz"],
]);

// ---- reading ----

/** A member as the directory declares it, checked against the file. */
interface Member {
  readonly name: string;
  readonly isDeflated: boolean;
  readonly crc: number;
  readonly size: number;
  /** From the member's header to the end of its data. */
  readonly start: number;
  readonly data: number;
  readonly end: number;
}

const again = "copy or save the file again: it is cut off or damaged.";
const withSavez = "write the archive with numpy.savez.";

/** Numbers of the file, little-endian; whoever asks has checked that they are in it. */
class Words {
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** Rounded from 2^53 on, which is beyond every file. */
  u64(at: number): number {
    return this.u32(at) + this.u32(at + 4) * 4294967296;
  }
}

function readMembers(bytes: Uint8Array, where: string): Member[] {
  const words = new Words(bytes);
  const { count, start, end } = findDirectory(bytes, words, where);
  const members: Member[] = [];
  const names = new Set<string>();
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || words.u32(at) !== signature.entry) {
      throw broken(where, "directory", `no entry ${i} at byte ${at}`, `${count} entries`, again);
    }
    const lengths = [words.u16(at + 28), words.u16(at + 30), words.u16(at + 32)] as const;
    const next = at + 46 + lengths[0] + lengths[1] + lengths[2];
    if (next > end) throw broken(where, "directory", `an entry ${i} that ends behind it`, "whole entries", again);
    const member = readEntry(bytes, words, at, start, where);
    if (names.has(member.name)) {
      const fix = "write the archive anew, with one array a name.";
      throw broken(where, "directory", `the member ${shown(member.name)} twice`, "each name once", fix);
    }
    names.add(member.name);
    members.push(member);
    at = next;
  }
  if (at !== end) {
    throw broken(where, "directory", `${end - at} bytes behind its last entry`, `${count} entries`, again);
  }
  const byPlace = members.toSorted((a, b) => a.start - b.start);
  const over = byPlace.findIndex(({ start: next }, i) => i > 0 && next < byPlace[i - 1]!.end);
  if (over > 0) {
    const [one, other] = [byPlace[over - 1]!, byPlace[over]!].map((member) => shown(member.name));
    throw broken(where, "directory", `the members ${one} and ${other} sharing bytes`, "members apart", withSavez);
  }
  return members;
}

/** Where the entries of the directory lie: the record at the archive's end tells, or the ZIP64 one before it. */
function findDirectory(bytes: Uint8Array, words: Words, where: string) {
  const fail = (found: string, expected: string, fix = again) => broken(where, "directory", found, expected, fix);
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) {
    throw broken(where, "magic", "another beginning", "a zip archive, which begins with PK", withSavez);
  }
  // Behind the record there is room for a comment of 64 KiB.
  let last = bytes.length - 22;
  const first = Math.max(0, last - 0xffff);
  while (last >= first && words.u32(last) !== signature.end) last--;
  if (last < first) throw fail("no record at the archive's end", "a whole zip archive");
  const behind = bytes.length - last - 22;
  const comment = words.u16(last + 20);
  if (behind !== comment) throw fail(`${behind} bytes behind the archive's end`, `${comment}, as it declares`);
  let end = last;
  let disks = [words.u16(last + 4), words.u16(last + 6)];
  let [here, count] = [words.u16(last + 8), words.u16(last + 10)];
  let [size, start] = [words.u32(last + 12), words.u32(last + 16)];
  if (last >= 20 && words.u32(last - 20) === signature.locator64) {
    // Nothing of the record may vary but its numbers: it is 56 bytes long and stands right before its locator.
    end = last - 76;
    const asKnown =
      end >= 0 &&
      words.u64(last - 12) === end &&
      words.u32(last - 16) === 0 &&
      words.u32(last - 4) === 1 &&
      words.u32(end) === signature.end64 &&
      words.u64(end + 4) === 44;
    if (!asKnown) throw fail("a ZIP64 record that is not where its locator says", "a whole zip archive");
    disks = [words.u32(end + 16), words.u32(end + 20)];
    [here, count] = [words.u64(end + 24), words.u64(end + 32)];
    [size, start] = [words.u64(end + 40), words.u64(end + 48)];
  }
  if (disks.some((disk) => disk !== 0) || here !== count) {
    throw fail("an archive in several files", "one file", withSavez);
  }
  if (start + size !== end || count * 46 > size) {
    throw fail(
      `${count} entries in ${size} bytes at byte ${start}, before the archive's end at byte ${end}`,
      "a directory that fills the file up to the archive's end",
    );
  }
  return { count, start, end };
}

/** The entry at a place of the directory, known to lie in it, with the header of the member that it names. */
function readEntry(bytes: Uint8Array, words: Words, at: number, directory: number, where: string): Member {
  const [flags, method] = [words.u16(at + 8), words.u16(at + 10)];
  const [nameLength, extraLength] = [words.u16(at + 28), words.u16(at + 30)];
  const rawName = bytes.subarray(at + 46, at + 46 + nameLength);
  const name = memberName(rawName, flags, where);
  const fail = (field: string, found: string, expected: string, fix: string) =>
    broken(within(where, name), field, found, expected, fix);

  if (flags & flag.encrypted) throw fail("flags", "an encrypted member", "one that is not", withSavez);
  if (flags & ~flag.known) {
    throw fail("flags", `flags 0x${flags.toString(16)}`, "those of a plain zip archive", withSavez);
  }
  if (method !== stored && method !== deflated) {
    const found = `a member packed with ${methods.get(method) ?? "another method"} (${method})`;
    throw fail("method", found, "stored or deflated members", "write the archive with numpy.savez_compressed.");
  }
  const wide = readWide(words, at, at + 46 + nameLength, extraLength);
  if (!wide) throw fail("directory", "extra fields that do not fit together", "a whole entry", again);
  const { size, packed, start } = wide;
  // Header and name of the member itself must lie before the directory, and say the same.
  const header = start + 30;
  const isThere =
    header <= directory &&
    words.u32(start) === signature.member &&
    words.u16(start + 8) === method &&
    words.u16(start + 26) === nameLength &&
    header + nameLength <= directory &&
    rawName.every((byte, i) => bytes[header + i] === byte);
  if (!isThere) throw fail("header", `none of it at byte ${start}`, "the member's header", again);
  const data = header + nameLength + words.u16(start + 28);
  const end = data + packed;
  if (end > directory) {
    throw fail("data", `${packed} bytes from byte ${data} on`, `data that end before byte ${directory}`, again);
  }
  if (method === stored && packed !== size) {
    throw fail("data", `${packed} bytes stored for ${size}`, "as many bytes as are declared", again);
  }
  if (size > packed * mostFromOneByte) {
    const expected = `at most ${packed * mostFromOneByte} bytes, ${mostFromOneByte} from each that is packed`;
    throw fail("data", `${size} bytes declared for ${packed} packed ones`, expected, again);
  }
  return { name, isDeflated: method === deflated, crc: words.u32(at + 16), size, start, data, end };
}

/** Sizes and place of a member, from the ZIP64 field where the entry's own are saturated; nothing where that is odd. */
function readWide(words: Words, at: number, extra: number, length: number) {
  let [packed, size, start] = [words.u32(at + 20), words.u32(at + 24), words.u32(at + 42)];
  const end = extra + length;
  for (let field = extra; field < end; ) {
    if (field + 4 > end) return undefined;
    const next = field + 4 + words.u16(field + 2);
    if (next > end) return undefined;
    if (words.u16(field) === 1) {
      let place = field + 4;
      const take = (given: number) => {
        if (given !== saturated) return given;
        place += 8;
        return place <= next ? words.u64(place - 8) : Number.NaN;
      };
      [size, packed, start] = [take(size), take(packed), take(start)];
      if (Number.isNaN(size + packed + start)) return undefined;
    }
    field = next;
  }
  return { packed, size, start };
}

function memberName(raw: Uint8Array, flags: number, where: string): string {
  const fail = (found: string, expected: string, fix: string) => broken(where, "directory", found, expected, fix);
  const isAscii = raw.every((byte) => byte < 128);
  if (!isAscii && !(flags & flag.utf8)) {
    const found = "a member's name in an unknown encoding";
    throw fail(found, "ASCII, or UTF-8 and a flag that says so", withSavez);
  }
  let name: string;
  try {
    // Copied, since browsers decode no text that lies in shared memory.
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(raw));
  } catch (error) {
    throw broken(where, "directory", "a member's name that is no UTF-8", "a name in UTF-8", withSavez, error);
  }
  const unsafe = whyUnsafe(name);
  if (unsafe) throw fail(`the member ${shown(name)}, ${unsafe}`, "names inside the archive", withSavez);
  if (!name.endsWith(".npy")) {
    const isTorch = /(^|\/)data\.pkl$/.test(name);
    const found = `the member ${shown(name)}${isTorch ? ": a PyTorch file, whose pickles are never executed" : ""}`;
    const fix = isTorch
      ? "save the tensors with safetensors."
      : "leave it out of the archive: numpy.savez writes arrays.";
    throw fail(found, "members whose names end with .npy", fix);
  }
  return name;
}

/** What is wrong with a member's name, if something is: where it leads on a disk, or what it does to a terminal. */
function whyUnsafe(name: string): string | undefined {
  const steps = name.split("/");
  if (steps.includes("..") || steps.includes(".") || steps.includes("") || name.includes("\\") || /^[a-z]:/i.test(name))
    return "a path that leads out of a directory";
  return /\p{Cc}|\p{Surrogate}/u.test(name) ? "which holds control characters" : undefined;
}

function within(where: string, member: string): string {
  return `${where}/${member.length > 120 ? `${member.slice(0, 119)}…` : member}`;
}

function readMember(bytes: Uint8Array, { name, isDeflated, crc, size, data, end }: Member, archive: string): Tensor {
  const where = within(archive, name);
  // Not a subarray: that of a Node Buffer is a Buffer, which a tensor should not hold.
  const packed = new Uint8Array(bytes.buffer, bytes.byteOffset + data, end - data);
  const content = isDeflated ? inflated(packed, size, where) : packed;
  const found = crc32(content);
  if (found !== crc) throw broken(where, "crc", `CRC-32 ${hex(found)}`, `${hex(crc)}, as declared`, again);
  return parseNpy(content, where);
}

const hex = (word: number) => word.toString(16).padStart(8, "0");

/** Bytes handed to the inflater at once: it holds what comes out of them, 16 MiB at most. */
const portion = 16384;

function inflated(packed: Uint8Array, size: number, where: string): Uint8Array {
  const out = allocating(where, () => new Uint8Array(size));
  let length = 0;
  const stream = new Inflate((part) => {
    if (part.length > size - length) {
      throw broken(where, "data", `more than the ${size} bytes it declares`, "as many bytes as are declared", again);
    }
    out.set(part, length);
    length += part.length;
  });
  try {
    for (let at = 0; at < packed.length; at += portion) {
      stream.push(packed.subarray(at, at + portion), at + portion >= packed.length);
    }
  } catch (error) {
    if (error instanceof LosswrightError) throw error;
    throw broken(where, "data", "deflated data that are damaged", "a deflate stream", again, error);
  }
  if (length < size) throw broken(where, "data", `${length} bytes inflated`, `${size} bytes, as declared`, again);
  return out;
}

/** Eight tables of CRC-32 (reversed polynomial 0xedb88320): table k is of a byte with k zero bytes behind it. */
const crcTables = /*#__PURE__*/ (() => {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    tables[0]![byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[k - 1]![byte]!;
      tables[k]![byte] = (before >>> 8) ^ tables[0]![before & 0xff]!;
    }
  }
  return tables;
})();

/** Eight bytes a step, one table each, instead of a byte a step. */
function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables;
  let crc = -1;
  let i = 0;
  for (const last = bytes.length - 7; i < last; i += 8) {
    const word = crc ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    const early = t7[word & 0xff] ^ t6[(word >>> 8) & 0xff] ^ t5[(word >>> 16) & 0xff] ^ t4[word >>> 24];
    crc = early ^ t3[bytes[i + 4]] ^ t2[bytes[i + 5]] ^ t1[bytes[i + 6]] ^ t0[bytes[i + 7]];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 0xff];
  return ~crc >>> 0;
}

// ---- writing ----

function encodePath(key: string, where: string): Uint8Array {
  const name = `${key}.npy`;
  const path = new TextEncoder().encode(name);
  const unsafe = whyUnsafe(name) ?? (path.length > 0xffff ? "which is too long for the format" : undefined);
  if (!unsafe) return path;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "tensors",
    found: `the name ${shown(key)}, ${unsafe}`,
    expected: "names that can stand in an archive",
    fix: "rename the tensor.",
  });
}

type Field = readonly [value: number, bytes: number];

const u16 = (value: number): Field => [value, 2];
const u32 = (value: number): Field => [value, 4];
const u64 = (value: number): Field => [value, 8];

/** Fields one behind the other, little-endian. */
function record(...fields: readonly Field[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((sum, [, bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [value, bytes] of fields) {
    for (let rest = value, i = 0; i < bytes; i++, rest = Math.floor(rest / 256)) out[at++] = rest % 256;
  }
  return out;
}
