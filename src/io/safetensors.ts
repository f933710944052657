import { closest, LosswrightError } from "../errors/index.js";
import { type Dtype, decodeBfloat16, encodeBfloat16, encodeFloat16, sizeOf, type Tensor } from "../tensor/index.js";
import { allocating, broken } from "./failure.js";
import { checkJson, isObject, oneLine, parseJson, shown } from "./json.js";
import { checkWhole, type Elements, elementOf, littleEndian, namedTensors, over, shownShape, tensorOf } from "./npy.js";

/** The format's own bound on the header. */
const longestHeader = 100_000_000;

/** The header's key that names no tensor. */
const metadataKey = "__metadata__";

/**
 * Reads a safetensors file.
 *
 * | dtype of the file | tensor dtype |
 * |---|---|
 * | F64, F32, I64, I32, U8, BOOL | float64, float32, int64, int32, uint8, bool |
 * | F16, BF16 | float32, exactly |
 * | I8, I16, U16 | int32 |
 * | U32 | int32 where every value fits, otherwise int64 |
 * | U64 | int64; a value from 2^63 on is an error |
 *
 * Every rule of the format is held: a header of at most 100 MB that begins with `{` and has no key twice, byte counts
 * that follow from shape and dtype, data without holes and overlaps to the file's end. A tensor shares the buffer of
 * `bytes` where its numbers lie in it as the machine wants them (aligned, a dtype that stays), and is copied elsewhere.
 *
 * @param bytes - the whole file
 * @param name - what errors call it
 * @returns the tensors in the order of their data
 * @throws `file` for what is no such file, breaks a rule, or has a value outside its dtype; `dtype` for elements that no
 * tensor here has (8-bit and 4-bit floats, complex numbers); `shape` for impossible dimensions
 */
export function parseSafetensors(bytes: Uint8Array, name = "safetensors"): Map<string, Tensor> {
  return new Map(Array.from(openSafetensors(bytes, name), ([key, read]) => [key, read()]));
}

/**
 * The tensors of a file by name, each read when it is asked for. Reads the header alone, and holds it against the file.
 *
 * @throws what {@link parseSafetensors} throws; on reading, what concerns the dtype and values of one tensor
 */
export function openSafetensors(bytes: Uint8Array, name = "safetensors"): Map<string, () => Tensor> {
  const { entries } = readHeader(bytes, bytes.length, name);
  return new Map(
    entries.map((entry) => [
      entry.name,
      () => {
        const where = inFile(name, entry.name);
        return tensorOf(bytes, { ...entry, ...elementsOf(entry.fileDtype, where), fortranOrder: false }, where);
      },
    ]),
  );
}

/**
 * What a file says of itself under `__metadata__`: texts by name, none where it says nothing.
 *
 * @param bytes - the whole file
 * @throws what {@link parseSafetensors} throws, but for dtypes and values
 */
export function safetensorsMetadata(bytes: Uint8Array, name = "safetensors"): Record<string, string> {
  return readHeader(bytes, bytes.length, name).metadata;
}

/**
 * Tensors as a safetensors file, laid out as the format's own library does it: the widest elements first, then by name,
 * the header padded so that all of them are aligned. Roles and weakness are not part of the format.
 *
 * @param metadata - texts by name
 * @param halves - the float tensors to round to 16 bits, to the nearest, ties to even; the others are kept to the bit
 * @param name - what errors call it
 * @throws `argument` for what is no map of tensors, metadata that are no texts, and names that the format or JavaScript
 * reserves; `unknown` and `dtype` for a name in `halves` that no float tensor has; what `encodeNpy` throws of a tensor
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
  halves: ReadonlyMap<string, "F16" | "BF16"> = new Map(),
  name = "safetensors",
): Uint8Array {
  checkMetadata(metadata, name);
  if (Object.prototype.toString.call(halves) !== "[object Map]") {
    throw badArgument(
      name,
      "halves",
      shown(halves),
      "a Map from names of tensors",
      'pass new Map([["name", "BF16"]]).',
    );
  }
  const parts = namedTensors(tensors, name).map(([key, tensor]) => {
    checkName(key, name);
    checkWhole(tensor, inFile(name, key));
    return { key, sortKey: new TextEncoder().encode(key), shape: tensor.shape, ...stored(key, tensor, halves, name) };
  });
  const known = parts.map(({ key }) => key);
  for (const key of halves.keys()) if (!tensors.has(key)) throw unknownTensor(key, known, name, "halves");
  parts.sort((a, b) => layoutOrder.indexOf(a.dtype) - layoutOrder.indexOf(b.dtype) || compare(a.sortKey, b.sortKey));

  let end = 0;
  // Put together by hand: an object would move names that are numbers to the front.
  const entries = parts.map(({ key, dtype, shape, raw }) => {
    const data_offsets = [end, end + raw.length];
    end += raw.length;
    return `${JSON.stringify(key)}:${JSON.stringify({ dtype, shape, data_offsets })}`;
  });
  if (Object.keys(metadata).length) entries.unshift(`${JSON.stringify(metadataKey)}:${JSON.stringify(metadata)}`);
  const header = new TextEncoder().encode(`{${entries.join(",")}}`);
  const start = 8 + Math.ceil(header.length / 8) * 8;
  if (start - 8 > longestHeader) {
    throw badArgument(
      name,
      "tensors",
      `names and metadata of ${header.length} bytes`,
      "at most 100 MB",
      "shorten them.",
    );
  }
  return allocating(name, () => {
    const out = new Uint8Array(start + end).fill(0x20, 8, start);
    new DataView(out.buffer).setUint32(0, start - 8, true);
    out.set(header, 8);
    let at = start;
    for (const { raw } of parts) {
      out.set(raw, at);
      at += raw.length;
    }
    return out;
  });
}

// ---- header ----

/** A tensor as the header declares it, checked against the file; places in bytes from the file's beginning. */
export interface SafetensorsEntry {
  readonly name: string;
  /** As the file spells it. */
  readonly fileDtype: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/**
 * How many bytes of a file's beginning {@link readHeader} wants.
 *
 * @param start - the file's first 8 bytes at least, or all of them
 * @param size - bytes in the file
 * @throws `file` where the header cannot be in it
 */
export function headLength(start: Uint8Array, size: number, where: string): number {
  const again = "copy or save the file again: it is cut off.";
  if (size < 8) throw broken(where, "header", `a file of ${size} bytes`, "8 bytes that tell its length", again);
  const words = new DataView(start.buffer, start.byteOffset, 8);
  const length = words.getUint32(0, true) + words.getUint32(4, true) * 4294967296;
  if (length > longestHeader) {
    const fix = "save the file with safetensors: it is damaged, or something else.";
    throw broken(where, "header", `a header of ${length} bytes`, "at most 100 MB", fix);
  }
  if (length > size - 8) {
    throw broken(where, "header", `a header of ${length} bytes, ${size - 8} in the file`, "the whole header", again);
  }
  return 8 + length;
}

/**
 * The tensors that a file's head declares, in the order of their data, checked against the size of the whole.
 *
 * @param head - the file's first {@link headLength} bytes at least
 * @param size - bytes in the file
 * @throws what {@link parseSafetensors} throws, but for dtypes and values
 */
export function readHeader(
  head: Uint8Array,
  size: number,
  where: string,
): { entries: SafetensorsEntry[]; metadata: Record<string, string> } {
  const start = headLength(head, size, where);
  const header = parseHeader(head.subarray(8, start), where);
  const { [metadataKey]: texts = {}, ...declared } = header;
  const metadata = readMetadata(texts, where);
  const entries = Object.entries(declared).map(([name, value]) => readEntry(name, value, start, where));
  entries.sort((a, b) => a.offset - b.offset || a.length - b.length);
  let end = start;
  for (const { name, offset, length } of entries) {
    if (offset !== end) {
      const found = offset > end ? `a hole of ${offset - end} bytes before it` : "bytes that another tensor has too";
      throw broken(where, fieldOf(name, "data_offsets"), found, `data from byte ${end - start} on`, saveAgain);
    }
    end += length;
  }
  if (end > size) {
    const fix = "copy or save the file again: it is cut off.";
    throw broken(where, "data", `${size - start} bytes of data`, `${end - start} bytes, as the header declares`, fix);
  }
  if (end < size) {
    const fix = "save the file with safetensors, with nothing behind it.";
    throw broken(where, "data", `${size - start} bytes of data`, `${end - start} bytes, as the header declares`, fix);
  }
  return { entries, metadata };
}

const saveAgain = "save the file again, with safetensors: its header is damaged.";

function parseHeader(raw: Uint8Array, where: string): Record<string, unknown> {
  if (raw[0] !== 0x7b) {
    const found = raw.length ? `a header that begins with the byte 0x${raw[0]!.toString(16)}` : "an empty header";
    throw broken(where, "header", found, "a header that begins with {", saveAgain);
  }
  let text: string;
  try {
    // Copied, since browsers decode no text that lies in shared memory.
    text = new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(raw));
  } catch (error) {
    throw broken(where, "header", "bytes that are no UTF-8", "JSON in UTF-8", saveAgain, error);
  }
  const header = parseJson(text, where);
  checkJson(header, where);
  // What begins with a brace and is JSON is an object.
  return header as Record<string, unknown>;
}

function readMetadata(texts: unknown, where: string): Record<string, string> {
  const values = isObject(texts) ? Object.entries(texts) : undefined;
  const odd = values?.find(([, text]) => typeof text !== "string");
  if (values && !odd) return texts as Record<string, string>;
  const field = odd ? fieldOf(metadataKey, odd[0]) : metadataKey;
  throw broken(where, field, shown(odd ? odd[1] : texts), odd ? "a text" : "texts by name", saveAgain);
}

const keys = ["dtype", "shape", "data_offsets"];

function readEntry(name: string, value: unknown, start: number, where: string): SafetensorsEntry {
  const fail = (key: string | undefined, found: string, expected: string) =>
    broken(where, fieldOf(name, key), found, expected, saveAgain);
  if (/\p{Surrogate}/u.test(name)) throw fail(undefined, "a name that is no Unicode text", "a name in Unicode");
  if (!isObject(value)) throw fail(undefined, shown(value), `an object with ${keys.join(", ")}`);
  const given = Object.keys(value);
  if (given.length !== keys.length || !keys.every((key) => given.includes(key))) {
    const listed = shown(given.slice(0, 8).join(", "));
    throw fail(undefined, `an object with ${listed}`, `${keys.join(", ")}, and nothing else`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw fail("dtype", shown(dtype), "the name of a dtype");
  if (!isWholeNumbers(shape)) throw fail("shape", shown(shape), "a list of whole numbers, none negative");
  if (!isWholeNumbers(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    const found = Array.isArray(offsets) ? JSON.stringify(offsets.slice(0, 4)).slice(0, 80) : shown(offsets);
    throw fail("data_offsets", found, "where the data begin and end: two whole numbers, the first not the greater");
  }
  // An empty tensor, too, is refused where its other axes overflow.
  if (sizeOf(shape.map((length) => length || 1)) > Number.MAX_SAFE_INTEGER) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: fieldOf(name, "shape"),
      found: shownShape(shape),
      expected: "lengths whose product is below 2^53",
      fix: saveAgain,
    });
  }
  const length = offsets[1]! - offsets[0]!;
  const bits = bitsOf.get(dtype);
  if (bits !== undefined && sizeOf(shape) * bits !== length * 8) {
    const expected = `${(sizeOf(shape) * bits) / 8} (shape ${shownShape(shape)}, ${bits} bits an element)`;
    throw fail("data_offsets", `${length} bytes`, expected);
  }
  return { name, fileDtype: dtype, shape, offset: start + offsets[0]!, length };
}

/** Whole numbers as a size or a place is one; the parser gives −0 for "-0". */
function isWholeNumbers(value: unknown): value is number[] {
  const isWhole = (entry: unknown) => Number.isSafeInteger(entry) && (entry as number) >= 0 && !Object.is(entry, -0);
  return Array.isArray(value) && value.every(isWhole);
}

/** A place in the header as a message names it. */
function fieldOf(name: string, key?: string): string {
  return key === undefined ? short(name) : `${short(name)}.${short(key)}`;
}

/** A tensor of a file as a message names it. */
export function inFile(where: string, name: string): string {
  return `${where}/${short(name)}`;
}

function short(text: string): string {
  return oneLine(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}

// ---- elements ----

/** By dtype of the file, NumPy's name of the same elements. */
const descrs = new Map([
  ["F64", "<f8"],
  ["F32", "<f4"],
  ["F16", "<f2"],
  ["I64", "<i8"],
  ["I32", "<i4"],
  ["I16", "<i2"],
  ["I8", "|i1"],
  ["U64", "<u8"],
  ["U32", "<u4"],
  ["U16", "<u2"],
  ["U8", "|u1"],
  ["BOOL", "|b1"],
]);

/** Dtypes that exist and that no tensor here has, with their kind and bits an element. */
const foreignDtypes = new Map<string, readonly [kind: string, bits: number]>([
  ["F8_E4M3", ["8-bit floats", 8]],
  ["F8_E5M2", ["8-bit floats", 8]],
  ["F8_E8M0", ["8-bit floats", 8]],
  ["F8_E4M3FNUZ", ["8-bit floats", 8]],
  ["F8_E5M2FNUZ", ["8-bit floats", 8]],
  ["F6_E2M3", ["6-bit floats", 6]],
  ["F6_E3M2", ["6-bit floats", 6]],
  ["F4", ["4-bit floats", 4]],
  ["C64", ["complex numbers", 64]],
]);

/** Bits an element; of a dtype that nobody here knows, nothing is known. */
const bitsOf = new Map([
  ...Array.from(descrs, ([dtype, descr]) => [dtype, 8 * Number(descr.slice(2))] as const),
  ["BF16", 16] as const,
  ...Array.from(foreignDtypes, ([dtype, [, bits]]) => [dtype, bits] as const),
]);

/**
 * What the elements of a tensor are, by the dtype that the file gives it.
 *
 * @throws `dtype` for those that no tensor here has
 */
export function elementsOf(fileDtype: string, where: string): Elements {
  const descr = descrs.get(fileDtype);
  if (descr) return elementOf(descr, where);
  if (fileDtype === "BF16") {
    return {
      ...elementOf("<u2", where),
      decode: (raw) => ({ dtype: "float32", data: decodeBfloat16(over(Uint16Array, raw)) }),
    };
  }
  const kind = foreignDtypes.get(fileDtype)?.[0];
  const isSmall = kind?.endsWith("floats");
  throw new LosswrightError({
    code: "dtype",
    where,
    field: "dtype",
    found: kind ? `${kind} (${fileDtype})` : `the dtype ${shown(fileDtype)}`,
    expected: `one of ${[...descrs.keys(), "BF16"].join(", ")}`,
    fix: isSmall
      ? "save it dequantized: .to(torch.float32), times its scale where it has one."
      : "save it as one of these, with .to(torch.float32) or the type that suits.",
  });
}

// ---- writing ----

const dtypes: Record<Dtype, string> = {
  int64: "I64",
  float64: "F64",
  float32: "F32",
  int32: "I32",
  uint8: "U8",
  bool: "BOOL",
};

/** The widest first, so that every tensor is aligned; among equals, the order of the format's own library. */
const layoutOrder = ["I64", "F64", "F32", "I32", "BF16", "F16", "U8", "BOOL"];

/** The bytes of a tensor as they go into the file. */
function stored(key: string, { dtype, data }: Tensor, halves: ReadonlyMap<string, "F16" | "BF16">, where: string) {
  const half = halves.get(key);
  if (half === undefined) return { dtype: dtypes[dtype], raw: littleEndian(data) };
  if (dtype !== "float32" && dtype !== "float64") {
    throw new LosswrightError({
      code: "dtype",
      where,
      field: fieldOf("halves", key),
      found: `a tensor of ${dtype}`,
      expected: "float32 or float64, which can be rounded to 16 bits",
      fix: "leave it out of halves.",
    });
  }
  if (half !== "F16" && half !== "BF16") {
    throw badArgument(where, fieldOf("halves", key), shown(half), '"F16" or "BF16"', "write one of them.");
  }
  const encode = half === "F16" ? encodeFloat16 : encodeBfloat16;
  return { dtype: half, raw: allocating(where, () => littleEndian(encode(data as Float32Array | Float64Array))) };
}

function checkName(key: string, where: string): void {
  const reserved = [metadataKey, "__proto__", "constructor", "prototype"];
  if (!reserved.includes(key) && !/\p{Surrogate}/u.test(key)) return;
  const expected = "a name in Unicode that neither the format nor JavaScript reserves";
  throw badArgument(where, "tensors", `the name ${shown(key)}`, expected, "rename the tensor.");
}

function checkMetadata(metadata: Readonly<Record<string, string>>, where: string): void {
  const entries = isObject(metadata) ? Object.entries(metadata) : undefined;
  const odd = entries?.find(([key, text]) => typeof text !== "string" || /\p{Surrogate}/u.test(key + text));
  if (!entries || odd) {
    const field = odd ? fieldOf("metadata", odd[0]) : "metadata";
    throw badArgument(where, field, shown(odd ? odd[1] : metadata), "texts in Unicode", "write it as a string.");
  }
  checkJson(metadata, where);
}

/** Names in the order of their UTF-8 bytes, which is that of their code points. */
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function badArgument(where: string, field: string, found: string, expected: string, fix: string): LosswrightError {
  return new LosswrightError({ code: "argument", where, field, found, expected, fix });
}

/** The error for a name that no tensor has: it tells the near miss. */
export function unknownTensor(given: string, known: readonly string[], where: string, field: string): LosswrightError {
  // No distance to names of megabytes, which a hostile file may hold.
  const near = closest(
    given,
    known.filter((name) => name.length <= 200),
  );
  const first = known.slice(0, 8).map(shown).join(", ");
  return new LosswrightError({
    code: "unknown",
    where,
    field,
    found: shown(given),
    expected: known.length > 8 ? `${first} or one of ${known.length - 8} more` : first || "no name: there is no tensor",
    fix: near === undefined ? "write a name that is there." : `write ${shown(near)}.`,
  });
}
