import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Dtype, dataOf, sizeOf, type Tensor, tensor, view } from "../tensor/index.js";
import { encodeNpy } from "./npy.js";
import { encodeNpz, openNpz, parseNpz } from "./npz.js";

interface Fixture {
  name: string;
  bytes: string;
  refused?: string;
  tensors: { name: string; dtype: string; shape: number[]; values: (number | string)[] }[];
}

const { fixtures }: { fixtures: Fixture[] } = JSON.parse(
  readFileSync(new URL("./fixtures/npz.json", import.meta.url), "utf8"),
);
const bytesOf = ({ bytes }: Fixture) => new Uint8Array(Buffer.from(bytes, "base64"));
const readable = fixtures.filter(({ refused }) => refused === undefined);
const refused = fixtures.filter(({ refused }) => refused !== undefined);

/** What the tensor of a NumPy dtype has to be, stated apart from the code. */
const dtypes: Record<string, Dtype> = {
  float16: "float32",
  float32: "float32",
  float64: "float64",
  int32: "int32",
  int64: "int64",
  uint8: "uint8",
  uint16: "int32",
  bool: "bool",
};

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const bits = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);

/** Tensors as a value that is equal for equal names, shapes and bits. */
const told = (tensors: ReadonlyMap<string, Tensor>) =>
  Array.from(tensors, ([name, { dtype, shape, data }]) => [name, dtype, shape, bits(data).toString("hex")]);

describe("parseNpz reads what NumPy wrote", () => {
  it.each(readable.map((fixture) => [fixture.name, fixture] as const))("%s", (_, fixture) => {
    const parsed = parseNpz(bytesOf(fixture));
    expect([...parsed.keys()]).toEqual(fixture.tensors.map(({ name }) => name));
    for (const { name, dtype, shape, values } of fixture.tensors) {
      const found = parsed.get(name)!;
      expect(found.dtype).toBe(dtypes[dtype]);
      expect(found.shape).toEqual(shape);
      expect(found.role).toBe("unlabeled");
      const wanted = values.map((value) => (found.dtype === "int64" ? BigInt(value) : Number(value)));
      expect(Array.from<number | bigint>(found.data)).toEqual(wanted);
    }
  });

  it.each(refused.map((fixture) => [fixture.name, fixture] as const))("and refuses %s by name", (_, fixture) => {
    const error = errorOf(() => parseNpz(bytesOf(fixture), "x.npz"));
    expect(error.code).toBe("file");
    expect(error.where).toMatch(/^x\.npz/);
    expect(error.found).toContain(fixture.refused);
    expect(error.fix).toBeDefined();
  });
});

// ---- archives put together by hand ----

interface Part {
  name: string;
  content: Uint8Array;
  method?: number;
  flags?: number;
  /** What stands in the file for the content. */
  packed?: Uint8Array;
  crc?: number;
  size?: number;
  packedSize?: number;
  start?: number;
  /** The name in the member's own header. */
  localName?: string;
  /** Extra fields of the directory's entry. */
  extra?: Uint8Array;
  comment?: string;
}

interface End {
  count?: number;
  here?: number;
  size?: number;
  start?: number;
  disk?: number;
  comment?: string;
  before?: Uint8Array;
}

/** A zip archive by the specification, with any part of it as it is given. */
function zip(parts: readonly Part[], end: End = {}): Uint8Array {
  const out: Buffer[] = [];
  const directory: Buffer[] = [];
  const length = () => out.reduce((sum, part) => sum + part.length, 0);
  for (const part of parts) {
    const method = part.method ?? 0;
    const packed = part.packed ?? (method === 8 ? deflateRawSync(part.content) : part.content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(part.flags ?? 0, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(part.crc ?? crc32(part.content), 10);
    common.writeUInt32LE(part.packedSize ?? packed.length, 14);
    common.writeUInt32LE(part.size ?? part.content.length, 18);
    const start = part.start ?? length();
    const [name, localName] = [Buffer.from(part.name), Buffer.from(part.localName ?? part.name)];
    const local = Buffer.from(common);
    local.writeUInt16LE(localName.length, 22);
    out.push(Buffer.from("PK\x03\x04"), local, localName, Buffer.from(packed));
    const [extra, comment] = [Buffer.from(part.extra ?? []), Buffer.from(part.comment ?? "")];
    common.writeUInt16LE(name.length, 22);
    common.writeUInt16LE(extra.length, 24);
    const rest = Buffer.alloc(14);
    rest.writeUInt16LE(comment.length, 0);
    rest.writeUInt32LE(start, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x03"), common, rest, name, extra, comment);
  }
  const start = length();
  out.push(...directory);
  const size = length() - start;
  const last = Buffer.alloc(18);
  last.writeUInt16LE(end.disk ?? 0, 0);
  last.writeUInt16LE(end.here ?? end.count ?? parts.length, 4);
  last.writeUInt16LE(end.count ?? parts.length, 6);
  last.writeUInt32LE(end.size ?? size, 8);
  last.writeUInt32LE(end.start ?? start, 12);
  last.writeUInt16LE((end.comment ?? "").length, 16);
  out.push(Buffer.from(end.before ?? []), Buffer.from("PK\x05\x06"), last, Buffer.from(end.comment ?? ""));
  return new Uint8Array(Buffer.concat(out));
}

const given = tensor(new Float32Array([1, 2, 3]));
const file = encodeNpy(given);
const one: Part = { name: "a.npy", content: file };
const two: Part = { name: "b.npy", content: file };

/** A ZIP64 field. */
function wide(...numbers: readonly number[]): Uint8Array {
  const out = Buffer.alloc(4 + 8 * numbers.length);
  out.writeUInt16LE(1, 0);
  out.writeUInt16LE(8 * numbers.length, 2);
  for (const [i, number] of numbers.entries()) out.writeBigUInt64LE(BigInt(number), 4 + 8 * i);
  return out;
}

describe("parseNpz", () => {
  it("reads what other writers of zip files write: other extra fields, comments of members and of the archive", () => {
    const extra = Buffer.concat([Buffer.from([0x55, 0x54, 5, 0, 1, 2, 3, 4, 5]), wide(file.length)]);
    const parts = [{ ...one, extra, size: 0xffffffff, comment: "mine" }, two];
    expect([...parseNpz(zip(parts, { comment: "an archive" })).keys()]).toEqual(["a", "b"]);
  });

  it("shares the buffer with a stored member whose numbers are aligned, and copies others", () => {
    // 30 bytes of header and a name of 6 or 7.
    const bytes = zip([{ ...one, name: "ab.npy" }]);
    expect(parseNpz(bytes).get("ab")!.data.buffer).toBe(bytes.buffer);
    expect(parseNpz(zip([{ ...one, name: "abc.npy" }])).get("abc")!.data).toEqual(given.data);
  });

  it("reads Node Buffers and views into larger ones, and holds plain typed arrays", () => {
    const bytes = zip([one, { ...two, method: 8 }]);
    const buffer = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(2)]).subarray(3, -2);
    const parsed = parseNpz(buffer);
    expect(told(parsed)).toEqual(told(parseNpz(bytes)));
    expect(parseNpz(encodeNpz(new Map([["a", tensor(new Uint8Array(3))]]))).get("a")!.data.constructor).toBe(
      Uint8Array,
    );
  });

  it("takes what deflate can do at its best, 1032 bytes from one", () => {
    const zeros = encodeNpy(tensor(new Float64Array(500_000)));
    const bytes = zip([{ name: "zeros.npy", content: zeros, method: 8 }]);
    expect(zeros.length / bytes.length).toBeGreaterThan(900);
    expect(bits(parseNpz(bytes).get("zeros")!.data).equals(Buffer.alloc(4_000_000))).toBe(true);
  });

  it("reads nothing of a member before it is asked for", () => {
    const open = openNpz(zip([one, { ...two, crc: 1 }]));
    expect([...open.keys()]).toEqual(["a", "b"]);
    expect(open.get("a")!().data).toEqual(given.data);
    expect(errorOf(open.get("b")!).field).toBe("crc");
  });

  it("names the member whose content is no array, as parseNpy says it", () => {
    const error = errorOf(() => parseNpz(zip([one, { name: "part/b.npy", content: Buffer.from("hello") }]), "x.npz"));
    expect(error).toMatchObject({ where: "x.npz/part/b.npy", field: "magic" });
  });

  const bomb = deflateRawSync(new Uint8Array(5_000_000));
  const gibibytes = 2 ** 32 - 2;
  const bad: readonly [what: string, bytes: Uint8Array, field: string, found: string | RegExp][] = [
    ["an empty file", new Uint8Array(0), "magic", "another beginning"],
    ["another kind of file", Buffer.from("\x93NUMPY"), "magic", "another beginning"],
    ["a beginning alone", Buffer.from("PK\x03\x04"), "directory", "no record"],
    ["an archive with a stub before it", Buffer.concat([Buffer.from("PK"), zip([one])]), "directory", /1 entries in/],
    ["bytes behind the archive", Buffer.concat([zip([one]), Buffer.from("more")]), "directory", "4 bytes behind"],
    ["a comment that is cut off", zip([one], { comment: "a comment" }).subarray(0, -2), "directory", "7 bytes behind"],
    ["an archive in several files", zip([one], { disk: 1 }), "directory", "several files"],
    ["some entries in another file", zip([one], { here: 1, count: 2 }), "directory", "several files"],
    ["more entries than there are", zip([one], { count: 2 }), "directory", "2 entries in 51 bytes"],
    ["many more entries than there are", zip([one], { count: 65535 }), "directory", "65535 entries in 51 bytes"],
    ["fewer entries than there are", zip([one, two], { count: 1 }), "directory", "51 bytes behind its last entry"],
    ["a directory elsewhere", zip([one], { start: 7 }), "directory", "at byte 7"],
    ["a directory of gibibytes", zip([one], { size: gibibytes }), "directory", `in ${gibibytes} bytes`],
    ["bytes between directory and end", zip([one], { before: Buffer.alloc(9) }), "directory", "1 entries in 51 bytes"],
    ["an entry that is none", zip([one, two], { start: 30, size: 422 }), "directory", "no entry 0"],
    [
      "a ZIP64 locator to nowhere",
      zip([one], { before: Buffer.from("PK\x06\x07".padEnd(20, "\0")) }),
      "directory",
      "ZIP64",
    ],
    ["a name twice", zip([one, one]), "directory", 'the member "a.npy" twice'],
    ["a name that leads out", zip([{ ...one, name: "../a.npy" }]), "directory", "leads out of a directory"],
    ["a name that leads out later", zip([{ ...one, name: "b/../../a.npy" }]), "directory", "leads out"],
    ["an absolute name", zip([{ ...one, name: "/etc/a.npy" }]), "directory", "leads out"],
    ["a name of Windows", zip([{ ...one, name: "..\\a.npy" }]), "directory", "leads out"],
    ["a name on a drive", zip([{ ...one, name: "C:a.npy" }]), "directory", "leads out"],
    ["a name with a line break", zip([{ ...one, name: "a\nb.npy" }]), "directory", "control characters"],
    ["a name with a zero", zip([{ ...one, name: "a.npy\0.npy" }]), "directory", "control characters"],
    ["a name without the flag of UTF-8", zip([{ ...one, name: "é.npy" }]), "directory", "unknown encoding"],
    ["a directory as a member", zip([{ ...one, name: "a/" }]), "directory", "leads out"],
    ["a member that is no array by name", zip([one, { ...two, name: "b.txt" }]), "directory", 'the member "b.txt"'],
    ["an empty name", zip([{ ...one, name: "" }]), "directory", "leads out"],
    ["another name at the member", zip([{ ...one, localName: "b.npy" }]), "header", "none of it"],
    ["a longer name at the member", zip([{ ...one, localName: "ab.npy" }]), "header", "none of it"],
    ["a place where no member is", zip([{ ...one, start: 5 }]), "header", "none of it at byte 5"],
    ["a place behind the directory", zip([{ ...one, start: 170 }]), "header", "none of it at byte 170"],
    ["a place behind the file", zip([{ ...one, start: gibibytes }]), "header", "none of it"],
    [
      "two members that share bytes",
      zip([one, { ...one, name: "b.npy", localName: "a.npy", start: 0 }]),
      "header",
      "none",
    ],
    ["an encrypted member", zip([{ ...one, flags: 1 }]), "flags", "encrypted"],
    ["flags of a masked header", zip([{ ...one, flags: 0x2000 }]), "flags", "0x2000"],
    ["a method that nobody uses", zip([{ ...one, method: 99 }]), "method", "another method (99)"],
    ["Zstandard", zip([{ ...one, method: 93 }]), "method", "Zstandard"],
    ["a stored member of other sizes", zip([{ ...one, size: 7 }]), "data", `${file.length} bytes stored for 7`],
    ["data that go into the directory", zip([{ ...one, packedSize: 200 }]), "data", "200 bytes from byte 35 on"],
    ["data of gibibytes", zip([{ ...one, packedSize: gibibytes, size: gibibytes }]), "data", `${gibibytes} bytes from`],
    ["a size of gibibytes", zip([{ ...one, method: 8, size: gibibytes }]), "data", `${gibibytes} bytes declared`],
    [
      "a size of exabytes, by ZIP64",
      zip([{ ...one, method: 8, size: 0xffffffff, extra: wide(2 ** 62) }]),
      "data",
      "4611686018427388000 bytes declared",
    ],
    [
      "a place of exabytes, by ZIP64",
      zip([{ ...one, start: 0xffffffff, extra: wide(2 ** 63) }]),
      "header",
      "none of it at byte 9223372036854776000",
    ],
    [
      "a ZIP64 field that is too short",
      zip([{ ...one, size: 0xffffffff, extra: wide() }]),
      "directory",
      "extra fields",
    ],
    ["a ZIP64 field that is not there", zip([{ ...one, size: 0xffffffff }]), "data", "stored for 4294967295"],
    [
      "an extra field that is cut off",
      zip([{ ...one, extra: Buffer.from([1, 0, 9, 0, 0]) }]),
      "directory",
      "extra fields",
    ],
    ["half an extra field", zip([{ ...one, extra: Buffer.from([1, 0]) }]), "directory", "extra fields"],
    [
      "a bomb that declares little",
      zip([{ name: "a.npy", content: file, method: 8, packed: bomb }]),
      "data",
      `more than the ${file.length} bytes it declares`,
    ],
    [
      "a bomb that declares what deflate cannot do",
      zip([{ name: "a.npy", content: new Uint8Array(0), method: 8, packed: bomb, size: 1033 * bomb.length }]),
      "data",
      "packed ones",
    ],
    [
      "a stream that gives less than it declares",
      zip([{ ...one, method: 8, size: file.length + 1 }]),
      "data",
      `${file.length} bytes inflated`,
    ],
    [
      "a stream that is cut off",
      zip([{ ...one, method: 8, packed: deflateRawSync(file).subarray(0, -3) }]),
      "data",
      "damaged",
    ],
    ["what is no deflate stream", zip([{ ...one, method: 8, packed: Buffer.alloc(200, 0xff) }]), "data", "damaged"],
    ["no deflate stream at all", zip([{ ...one, method: 8, packed: Buffer.alloc(0), size: 0 }]), "crc", "CRC-32"],
    ["another CRC of a stored member", zip([{ ...one, crc: 1 }]), "crc", `CRC-32 ${crc32(file).toString(16)}`],
    ["another CRC of a deflated member", zip([{ ...one, method: 8, crc: 1 }]), "crc", "CRC-32"],
    ["an empty member", zip([{ ...one, content: new Uint8Array(0) }]), "magic", "an empty file"],
    ["data that are cut off inside", zip([{ ...one, content: file.subarray(0, -1) }]), "data", "11 bytes of data"],
  ];

  it.each(bad)("refuses %s", (_, bytes, field, found) => {
    const error = errorOf(() => parseNpz(bytes, "x.npz"));
    expect(error).toMatchObject({ code: "file", field });
    expect(error.where).toMatch(/^x\.npz(\/|$)/);
    expect(error.found).toMatch(found);
    expect(error.fix).toBeDefined();
    expect(error.message.length).toBeLessThan(500);
  });

  it("refuses members that share bytes: a bomb made of one stream under many names", () => {
    // Each member's data hold the next one's header, and all end at the same place.
    const names = ["a", "b", "c"];
    const heads = names.map((name, i) => {
      const later = names.length - 1 - i;
      const content = new Uint8Array(file.length + later * 35);
      return { name: `${name}.npy`, content, packed: i === names.length - 1 ? file : new Uint8Array(0), start: i * 35 };
    });
    const bytes = zip(heads.map((head) => ({ ...head, packedSize: head.content.length })));
    expect(errorOf(() => parseNpz(bytes)).found).toBe('the members "a.npy" and "b.npy" sharing bytes');
  });

  it("stops a bomb as soon as it gives more than it declares", () => {
    // 64 MiB from 64 KiB, of which only the beginning is sound: whoever went on would find the damage.
    const packed = deflateRawSync(new Uint8Array(2 ** 26), { level: 9 }).fill(0xff, 20_000);
    const error = errorOf(() => parseNpz(zip([{ name: "a.npy", content: file, method: 8, packed }])));
    expect(error.found).toContain("more than");
  });

  it("keeps messages short, however long a name is", () => {
    const name = `${"long".repeat(16_000)}.npy`;
    const error = errorOf(() => parseNpz(zip([{ ...one, name, crc: 1 }]), "x.npz"));
    expect(error.message.length).toBeLessThan(300);
    expect(errorOf(() => parseNpz(zip([{ ...one, name: `${name}x` }]))).message.length).toBeLessThan(300);
  });

  it("gives the same tensors or a LosswrightError for any byte changed", () => {
    for (const fixture of readable) {
      const bytes = bytesOf(fixture);
      const whole = told(parseNpz(bytes));
      for (let at = 0; at < bytes.length; at++) {
        for (const change of [1 << (at % 8), 0x80, 0xff]) {
          bytes[at]! ^= change;
          try {
            expect(told(parseNpz(bytes))).toEqual(whole);
          } catch (error) {
            if (!(error instanceof LosswrightError)) throw error;
          }
          bytes[at]! ^= change;
        }
      }
    }
  });

  it("refuses a file cut off at any length", () => {
    for (const fixture of readable) {
      const bytes = bytesOf(fixture);
      for (let length = 0; length < bytes.length; length++) errorOf(() => parseNpz(bytes.subarray(0, length)));
    }
  });

  it("gives tensors no larger than deflate allows or a LosswrightError, for any damage to a valid file", () => {
    const damage = fc.record({
      file: fc.constantFrom(...fixtures.map(bytesOf)),
      changes: fc.array(fc.tuple(fc.nat(4000), fc.constantFrom(0, 1, 2, 8, 80, 127, 128, 254, 255)), { maxLength: 6 }),
      cut: fc.tuple(fc.nat(4000), fc.oneof(fc.constant(0), fc.nat(60))),
      more: fc.uint8Array({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(damage, ({ file, changes, cut: [from, length], more }) => {
        const start = from % file.length;
        const bytes = new Uint8Array(Buffer.concat([file.subarray(0, start), file.subarray(start + length), more]));
        // Half of the changes fall on the directory, where most of the meaning is.
        for (const [i, [at, byte]] of changes.entries()) {
          const place = at % (i % 2 ? Math.min(bytes.length, 250) : bytes.length);
          bytes[i % 2 ? bytes.length - 1 - place : place] = byte;
        }
        try {
          const sizes = Array.from(parseNpz(bytes).values(), ({ data }) => data.byteLength);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * 1032 * bytes.length);
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
      }),
      { numRuns: 5000 },
    );
  });
});

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });

/** Tensors of every dtype, of any bits that the dtype has. */
const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom<Dtype>("float64", "float32", "int64", "int32", "uint8", "bool"), shapes)
  .chain(([dtype, shape]) => {
    const bytes = dataOf(dtype, sizeOf(shape)).byteLength;
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((drawn) => {
      const filled = dataOf(dtype, sizeOf(shape));
      new Uint8Array(filled.buffer).set(dtype === "bool" ? drawn.map((byte) => byte & 1) : drawn);
      return view(filled, shape, "unlabeled", dtype);
    });
  });

/** Names that can stand in an archive. */
const anyName = fc.oneof(
  fc.stringMatching(/^[a-z0-9_.-]{1,12}$/),
  fc.stringMatching(/^[a-z]{1,4}(\/[a-z0-9]{1,4}){1,3}$/),
  fc.constantFrom("größe", "∂ loss", "🎲", "a.npy", "__proto__", "constructor", ""),
);

const anyTensors = fc
  .array(fc.tuple(anyName, anyTensor), { maxLength: 5 })
  .map((entries) => new Map<string, Tensor>(entries));

describe("encodeNpz", () => {
  it("writes an archive that parseNpz reads back to the bit, in its order", () => {
    fc.assert(
      fc.property(anyTensors, (tensors) => {
        expect(told(parseNpz(encodeNpz(tensors)))).toEqual(told(tensors));
      }),
    );
  });

  const kept = readable.filter(({ name }) => /^stored|^names|^of no/.test(name));
  it.each(kept.map((fixture) => [fixture.name, fixture] as const))("writes NumPy's own bytes: %s", (_, fixture) => {
    expect(Buffer.from(encodeNpz(parseNpz(bytesOf(fixture)))).toString("base64")).toBe(fixture.bytes);
  });

  it("writes more than 65,535 members with a ZIP64 record, and reads them", () => {
    const scalar = tensor(new Uint8Array(1), []);
    const tensors = new Map(Array.from({ length: 65_536 }, (_, i) => [`${i}`, scalar] as const));
    const bytes = encodeNpz(tensors);
    const locator = bytes.subarray(bytes.length - 42, bytes.length - 38);
    expect(Buffer.from(locator).toString("latin1")).toBe("PK\x06\x07");
    expect(parseNpz(bytes).size).toBe(65_536);
  });

  const bad: readonly [what: string, tensors: unknown, code: string, found: string][] = [
    ["an object", { a: given }, "argument", "object"],
    ["null", null, "argument", "null"],
    ["a name that is no text", new Map([[1, given]]), "argument", "a name that is a number"],
    ["what is no tensor", new Map([["a", [1]]]), "argument", "object"],
    ["a name that leads out", new Map([["../a", given]]), "argument", "leads out"],
    ["a name of two steps, one of them empty", new Map([["a//b", given]]), "argument", "leads out"],
    ["a name with a line break", new Map([["a\nb", given]]), "argument", "control characters"],
    ["a name that is no Unicode", new Map([["\ud800", given]]), "argument", "control characters"],
    ["a name of 64 KiB", new Map([["a".repeat(65_532), given]]), "argument", "too long"],
    ["a boolean of 2", new Map([["a", view(Uint8Array.of(2), [1], "mask", "bool")]]), "value", "the byte 2"],
  ];
  it.each(bad)("refuses %s", (_, tensors, code, found) => {
    const error = errorOf(() => encodeNpz(tensors as Map<string, Tensor>, "x.npz"));
    expect(error).toMatchObject({ code });
    expect(error.where).toMatch(/^x\.npz/);
    expect(error.found).toContain(found);
    expect(error.fix).toBeDefined();
  });
});

const python = spawnSync("python3", ["-c", "import numpy"], { encoding: "utf8" });
const noNumpy = python.error ? "no python3 here" : python.status === 0 ? undefined : "this python3 has no numpy";

describe(`NumPy itself${noNumpy ? ` (skipped: ${noNumpy})` : ""}`, () => {
  it.skipIf(noNumpy)("reads what encodeNpz writes, and would have written the same bytes", () => {
    const directory = mkdtempSync(join(tmpdir(), "losswright-npz-"));
    try {
      const archives = fc.sample(anyTensors, { numRuns: 50, seed: 1 });
      for (const [i, tensors] of archives.entries()) writeFileSync(join(directory, `${i}.npz`), encodeNpz(tensors));
      const script = [
        "import io, json, sys, numpy as np",
        "for i in range(int(sys.argv[2])):",
        "    path = f'{sys.argv[1]}/{i}.npz'",
        // By the members' own names: NumPy gives "a.npy" for "a" too.
        "    with np.load(path, allow_pickle=False) as archive:",
        "        arrays = {name[:-4]: archive[name] for name in archive.zip.namelist()}",
        "    again = io.BytesIO()",
        "    np.savez(again, **arrays)",
        "    same = again.getvalue() == open(path, 'rb').read()",
        "    print(json.dumps([same, [[k, a.dtype.name, list(a.shape), a.tobytes().hex()] for k, a in arrays.items()]]))",
      ].join("\n");
      const run = spawnSync("python3", ["-c", script, directory, String(archives.length)], { encoding: "utf8" });
      expect(run.stderr).toBe("");
      const lines = run.stdout.trim().split("\n");
      expect(lines.map((line) => JSON.parse(line))).toEqual(archives.map((tensors) => [true, told(tensors)]));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.skipIf(noNumpy)("writes archives that parseNpz reads to the bit, stored, deflated and to a pipe", () => {
    const script = [
      "import io, sys, numpy as np",
      "rng = np.random.default_rng(1)",
      "arrays = {'noise': rng.standard_normal((300, 100)), 'steps': (rng.standard_normal((500, 9)) * 3).astype('i4'),",
      "          'ones': np.ones((400, 50), 'f4')}",
      "save = np.savez if sys.argv[1] == 'stored' else np.savez_compressed",
      "file = sys.stdout.buffer if sys.argv[2] == 'pipe' else io.BytesIO()",
      "save(file, **arrays)",
      "if file is not sys.stdout.buffer: sys.stdout.buffer.write(file.getvalue())",
      "sys.stdout.flush()",
      "for array in arrays.values(): sys.stderr.write(array.tobytes().hex() + '\\n')",
    ].join("\n");
    for (const way of ["stored", "deflated"]) {
      for (const target of ["file", "pipe"]) {
        const run = spawnSync("python3", ["-c", script, way, target], { maxBuffer: 2 ** 26 });
        expect(run.status).toBe(0);
        const parsed = parseNpz(new Uint8Array(run.stdout));
        expect([...parsed.keys()]).toEqual(["noise", "steps", "ones"]);
        const hex = Array.from(parsed.values(), ({ data }) => bits(data).toString("hex"));
        expect(hex.join("\n") === run.stderr.toString().trim()).toBe(true);
      }
    }
  });
});
