import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import {
  type Dtype,
  dataOf,
  roundToBfloat16,
  roundToFloat16,
  sizeOf,
  type Tensor,
  tensor,
  view,
} from "../tensor/index.js";
import { encodeSafetensors, openSafetensors, parseSafetensors, safetensorsMetadata } from "./safetensors.js";

interface Fixture {
  name: string;
  bytes: string;
  refused?: string;
  tensors: { name: string; dtype: string; shape: number[]; values: (number | string)[] }[];
  metadata: Record<string, string>;
}

const { fixtures }: { fixtures: Fixture[] } = JSON.parse(
  readFileSync(new URL("./fixtures/safetensors.json", import.meta.url), "utf8"),
);
const bytesOf = ({ bytes }: Fixture) => new Uint8Array(Buffer.from(bytes, "base64"));
const readable = fixtures.filter(({ refused }) => refused === undefined);
const refused = fixtures.filter(({ refused }) => refused !== undefined);

/** What the tensor of a dtype has to be, stated apart from the code. */
const dtypes: Record<string, Dtype> = {
  F64: "float64",
  F32: "float32",
  F16: "float32",
  BF16: "float32",
  I64: "int64",
  I32: "int32",
  I16: "int32",
  I8: "int32",
  U64: "int64",
  U32: "int32",
  U16: "int32",
  U8: "uint8",
  BOOL: "bool",
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

describe("parseSafetensors reads what the format defines", () => {
  it.each(readable.map((fixture) => [fixture.name, fixture] as const))("%s", (_, fixture) => {
    const parsed = parseSafetensors(bytesOf(fixture));
    expect([...parsed.keys()].sort()).toEqual(fixture.tensors.map(({ name }) => name).sort());
    for (const { name, dtype, shape, values } of fixture.tensors) {
      const found = parsed.get(name)!;
      const isWide = dtype === "U32" && values.some((value) => Number(value) >= 2 ** 31);
      expect(found.dtype).toBe(isWide ? "int64" : dtypes[dtype]);
      expect(found.shape).toEqual(shape);
      expect(found.role).toBe("unlabeled");
      const wanted = values.map((value) => (found.dtype === "int64" ? BigInt(value) : Number(value)));
      expect(Array.from<number | bigint>(found.data)).toEqual(wanted);
    }
    expect(safetensorsMetadata(bytesOf(fixture))).toEqual(fixture.metadata);
  });

  it.each(refused.map((fixture) => [fixture.name, fixture] as const))("and refuses %s by name", (_, fixture) => {
    const error = errorOf(() => parseSafetensors(bytesOf(fixture), "x.safetensors"));
    expect(error).toMatchObject({ code: "dtype", where: "x.safetensors/a", field: "dtype" });
    expect(error.found).toContain(fixture.refused);
    expect(error.fix).toContain(".to(torch.float32)");
  });
});

// ---- files put together by hand ----

/** A file with the header as it is given, neither padded nor checked. */
function safetensors(header: string | Uint8Array, data: Uint8Array | number = 0, length?: number | bigint): Uint8Array {
  const text = typeof header === "string" ? Buffer.from(header) : header;
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(length ?? text.length));
  return new Uint8Array(Buffer.concat([start, text, typeof data === "number" ? Buffer.alloc(data) : data]));
}

const entry = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const a = (dtype: string, shape: string, offsets: string) => `{"a":${entry(dtype, shape, offsets)}}`;

describe("parseSafetensors", () => {
  it("shares the buffer where the numbers lie in it as they are, and copies where they do not", () => {
    const bytes = encodeSafetensors(new Map([["a", tensor(new Float32Array([1, 2, 3]))]]));
    expect(parseSafetensors(bytes).get("a")!.data.buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(Buffer.concat([Buffer.alloc(1), bytes])).subarray(1);
    expect(parseSafetensors(shifted).get("a")!.data.buffer).not.toBe(shifted.buffer);
    expect(parseSafetensors(shifted).get("a")!.data).toEqual(new Float32Array([1, 2, 3]));
  });

  it("holds plain typed arrays when it is given a Node Buffer", () => {
    const bytes = Buffer.from(encodeSafetensors(new Map([["a", tensor(new Uint8Array([1, 2]))]])));
    expect(parseSafetensors(bytes).get("a")!.data.constructor).toBe(Uint8Array);
  });

  it("gives the tensors in the order of their data, whatever the header's order", () => {
    const header = `{"1":${entry("U8", "[1]", "[1,2]")},"b":${entry("U8", "[1]", "[0,1]")},"0":${entry("U8", "[0]", "[1,1]")}}`;
    expect([...parseSafetensors(safetensors(header, 2)).keys()]).toEqual(["b", "0", "1"]);
  });

  it("takes keys in any order, spaces between, and escapes in names", () => {
    const header = `{ "\\u0061\\n" : {"shape" : [ 2 ],\n"data_offsets":[0, 2], "dtype":"U8"} }  `;
    expect([...parseSafetensors(safetensors(header, 2)).keys()]).toEqual(["a\n"]);
  });

  it("reads a tensor beside one whose dtype no tensor has", () => {
    const header = `{"w":${entry("F8_E4M3", "[2]", "[0,2]")},"scale":${entry("U8", "[1]", "[2,3]")}}`;
    const open = openSafetensors(safetensors(header, Uint8Array.of(0, 0, 7)), "x");
    expect(open.get("scale")!().data).toEqual(Uint8Array.of(7));
    expect(errorOf(open.get("w")!)).toMatchObject({ code: "dtype", where: "x/w" });
  });

  it("shows a bad value with its tensor and place", () => {
    const header = a("BOOL", "[2,2]", "[0,4]");
    const error = errorOf(() => parseSafetensors(safetensors(header, Uint8Array.of(0, 1, 2, 0)), "x"));
    expect(error).toMatchObject({ code: "file", where: "x/a", field: "data", index: [1, 0] });
    const beyond = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128);
    expect(errorOf(() => parseSafetensors(safetensors(a("U64", "[1]", "[0,8]"), beyond))).found).toBe(
      "9223372036854775808 at [0]",
    );
  });

  const bad: readonly [what: string, bytes: Uint8Array, field: string | undefined, found: string, code?: string][] = [
    ["an empty file", new Uint8Array(0), "header", "a file of 0 bytes"],
    ["a file of 7 bytes", new Uint8Array(7), "header", "a file of 7 bytes"],
    ["no header", safetensors(""), "header", "an empty header"],
    ["a header beyond the file", safetensors("{}", 0, 3), "header", "a header of 3 bytes, 2 in the file"],
    ["a header of 100 MB and a byte", safetensors("{}", 0, 100_000_001), "header", "a header of 100000001 bytes"],
    ["a header of exabytes", safetensors("{}", 0, 2n ** 64n - 1n), "header", "a header of 18446744073709552000 bytes"],
    ["a header that begins with a space", safetensors(" {}"), "header", "begins with the byte 0x20"],
    ["a header that begins with a byte order mark", safetensors("\ufeff{}"), "header", "begins with the byte 0xef"],
    ["a list for a header", safetensors("[]"), "header", "begins with the byte 0x5b"],
    ["a header that is no UTF-8", safetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "header", "no UTF-8"],
    ["a header that is no JSON", safetensors("{'a': 1}"), undefined, "JSON"],
    ["a header that is cut off inside", safetensors('{"a":', 0), undefined, "JSON"],
    ["bytes of zero behind the JSON", safetensors("{}\0\0"), undefined, "JSON"],
    ["a deep header", safetensors(`{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`), undefined, "nesting deeper than 64"],
    [
      "a name twice",
      safetensors(`{"a":${entry("U8", "[0]", "[0,0]")},"a":${entry("U8", "[0]", "[0,0]")}}`),
      "a",
      "twice",
    ],
    ["a name twice, once escaped", safetensors('{"a":{},"\\u0061":{}}'), "a", "twice"],
    ["a key twice", safetensors('{"a":{"dtype":"U8","dtype":"I8"}}'), "a.dtype", "twice"],
    ["the name __proto__", safetensors('{"__proto__":{}}'), "__proto__", '"__proto__"'],
    ["the name constructor", safetensors('{"constructor":{}}'), "constructor", '"constructor"'],
    [
      "a prototype in the metadata",
      safetensors('{"__metadata__":{"prototype":"1"}}'),
      "__metadata__.prototype",
      "proto",
    ],
    ["a name that is no Unicode", safetensors('{"\\ud800":{}}'), "\ud800", "no Unicode text"],
    ["metadata that are a list", safetensors('{"__metadata__":["a"]}'), "__metadata__", "a list"],
    ["metadata that are null", safetensors('{"__metadata__":null}'), "__metadata__", "null"],
    ["metadata that are numbers", safetensors('{"__metadata__":{"a":"","b":1}}'), "__metadata__.b", "1"],
    ["a number for a tensor", safetensors('{"a":1}'), "a", "1"],
    ["a list for a tensor", safetensors('{"a":["U8",[],[0,1]]}', 1), "a", "a list"],
    ["a tensor without a shape", safetensors('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1), "a", "data_offsets"],
    ["an unknown key", safetensors('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}}', 1), "a", "x"],
    ["a number for a dtype", safetensors('{"a":{"dtype":8,"shape":[],"data_offsets":[0,1]}}', 1), "a.dtype", "8"],
    ["a number for a shape", safetensors(a("U8", "1", "[0,1]"), 1), "a.shape", "1"],
    ["a negative length", safetensors(a("U8", "[-1]", "[0,1]"), 1), "a.shape", "a list"],
    ["a length of −0", safetensors(a("U8", "[-0]", "[0,0]")), "a.shape", "a list"],
    ["a fraction in a shape", safetensors(a("U8", "[1.5]", "[0,1]"), 1), "a.shape", "a list"],
    ["a text in a shape", safetensors(a("U8", '["1"]', "[0,1]"), 1), "a.shape", "a list"],
    ["a length of 2^53", safetensors(a("U8", "[9007199254740992]", "[0,1]"), 1), "a.shape", "a list"],
    ["lengths that overflow", safetensors(a("U8", "[4294967296,4294967296]", "[0,1]"), 1), "a.shape", "[4294", "shape"],
    [
      "lengths that overflow beside a 0",
      safetensors(a("U8", "[0,67108864,268435456]", "[0,0]")),
      "a.shape",
      "[0,",
      "shape",
    ],
    ["one offset", safetensors(a("U8", "[]", "[0]"), 1), "a.data_offsets", "[0]"],
    ["three offsets", safetensors(a("U8", "[]", "[0,1,2]"), 1), "a.data_offsets", "[0,1,2]"],
    ["offsets in another order", safetensors(a("U8", "[]", "[1,0]"), 1), "a.data_offsets", "[1,0]"],
    ["a negative offset", safetensors(a("U8", "[]", "[-1,0]"), 1), "a.data_offsets", "[-1,0]"],
    ["an object for offsets", safetensors(a("U8", "[]", "{}"), 1), "a.data_offsets", "an object"],
    ["an offset of 2^53", safetensors(a("U8", "[]", "[9007199254740992,9007199254740993]")), "a.data_offsets", "[9007"],
    ["fewer bytes than the shape wants", safetensors(a("F32", "[2]", "[0,4]"), 4), "a.data_offsets", "4 bytes"],
    ["more bytes than the shape wants", safetensors(a("BF16", "[2]", "[0,8]"), 8), "a.data_offsets", "8 bytes"],
    ["bytes of an empty tensor", safetensors(a("U8", "[0]", "[0,1]"), 1), "a.data_offsets", "1 bytes"],
    ["half a byte", safetensors(a("F4", "[3]", "[0,1]"), 1), "a.data_offsets", "1 bytes"],
    ["a hole before the first", safetensors(a("U8", "[1]", "[1,2]"), 2), "a.data_offsets", "a hole of 1 bytes"],
    [
      "a hole between two",
      safetensors(`{"a":${entry("U8", "[1]", "[0,1]")},"b":${entry("U8", "[1]", "[2,3]")}}`, 3),
      "b.data_offsets",
      "a hole of 1 bytes",
    ],
    [
      "bytes of two tensors",
      safetensors(`{"a":${entry("U8", "[2]", "[0,2]")},"b":${entry("U8", "[2]", "[1,3]")}}`, 3),
      "b.data_offsets",
      "another tensor",
    ],
    [
      "the same bytes twice",
      safetensors(`{"a":${entry("U8", "[2]", "[0,2]")},"b":${entry("U8", "[2]", "[0,2]")}}`, 2),
      "b.data_offsets",
      "another tensor",
    ],
    ["a hole at the end", safetensors(a("U8", "[1]", "[0,1]"), 2), "data", "2 bytes of data"],
    ["data without a tensor", safetensors("{}", 1), "data", "1 bytes of data"],
    ["truncated data", safetensors(a("F32", "[2]", "[0,8]"), 7), "data", "7 bytes of data"],
    [
      "data of terabytes that are not there",
      safetensors(a("F64", "[1099511627776]", "[0,8796093022208]")),
      "data",
      "0 bytes",
    ],
  ];

  it.each(bad)("refuses %s", (_, bytes, field, found, code = "file") => {
    const error = errorOf(() => parseSafetensors(bytes, "x"));
    expect(error).toMatchObject({ code, where: "x" });
    if (field !== undefined) expect(error.field).toBe(field);
    expect(error.found + error.expected).toContain(found);
    expect(error.fix).toBeDefined();
  });

  it("keeps messages short, whatever a header holds", () => {
    const long = "long".repeat(50_000);
    const shape = `[${"1,".repeat(20_000)}1]`;
    for (const header of [
      `{"${long}":1}`,
      `{"${long}":{"dtype":"${long}","shape":[],"data_offsets":[0,1]}}`,
      `{"a":{${Array.from({ length: 5000 }, (_, i) => `"${i}":1`).join()}}}`,
      a("U8", shape, "[0,0]"),
      a("U8", shape, shape),
      a("U8", "[]", `["${long}"]`),
      a("U8", "[]", `["${long}",1]`),
      `{"a":{"${long}":1,"b":2,"c":3}}`,
      `{"__metadata__":{"${long}":1}}`,
    ]) {
      expect(errorOf(() => parseSafetensors(safetensors(header, 1), "x")).message.length).toBeLessThan(600);
    }
  });

  it("refuses a file cut off at any length", () => {
    for (const fixture of readable) {
      const bytes = bytesOf(fixture);
      for (let length = 0; length < bytes.length; length++) errorOf(() => parseSafetensors(bytes.subarray(0, length)));
    }
  });

  it("gives tensors of the file's bytes or a LosswrightError for any byte changed", () => {
    for (const fixture of readable) {
      const bytes = bytesOf(fixture);
      for (let at = 0; at < bytes.length; at++) {
        for (const change of [1 << (at % 8), 0x80, 0xff]) {
          bytes[at]! ^= change;
          checkDamaged(bytes);
          bytes[at]! ^= change;
        }
      }
    }
  });

  it("gives the same layout or a LosswrightError where a byte of the data changes", () => {
    const layout = (bytes: Uint8Array) => Array.from(parseSafetensors(bytes), ([name, { shape }]) => [name, shape]);
    for (const fixture of readable) {
      const bytes = bytesOf(fixture);
      const whole = layout(bytes);
      for (let at = 8 + new DataView(bytes.buffer).getUint32(0, true); at < bytes.length; at++) {
        bytes[at]! ^= 0xff;
        try {
          expect(layout(bytes)).toEqual(whole);
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
        bytes[at]! ^= 0xff;
      }
    }
  });

  it("gives tensors no larger than the file allows or a LosswrightError, for any damage to a valid file", () => {
    const damage = fc.record({
      file: fc.constantFrom(...fixtures.map(bytesOf)),
      changes: fc.array(fc.tuple(fc.nat(2000), fc.constantFrom(...'0123456789[]{},:"eF8', "\0", "\xff")), {
        maxLength: 6,
      }),
      cut: fc.tuple(fc.nat(2000), fc.oneof(fc.constant(0), fc.nat(40))),
      more: fc.uint8Array({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(damage, ({ file, changes, cut: [from, length], more }) => {
        const start = from % file.length;
        const bytes = new Uint8Array(Buffer.concat([file.subarray(0, start), file.subarray(start + length), more]));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte.charCodeAt(0);
        checkDamaged(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  it("gives tensors or a LosswrightError for any text as a header", () => {
    const token = fc.constantFrom("{", "}", "[", "]", ":", ",", '"a"', '"b"', '"dtype"', '"shape"', '"data_offsets"');
    const word = fc.oneof(
      token,
      fc.constantFrom('"U8"', "0", "1", "-1", "1e9", "null", " ", '"', "\\", "é", "__proto__"),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 24 }), fc.nat(4), (words, length) => {
        checkDamaged(safetensors(`{${words.join("")}`, length));
      }),
      { numRuns: 3000 },
    );
  });

  it("gives tensors or a LosswrightError for any values where the format has its own", () => {
    const number = fc.oneof(fc.nat(9), fc.double(), fc.constantFrom(-1, 2 ** 31, 2 ** 53, 1e300));
    const value = fc.oneof(number, fc.string({ maxLength: 3 }), fc.constantFrom(null, true, "F32", "U8", "BF16", "F4"));
    const list = fc.array(number, { maxLength: 3 });
    const declared = fc.record(
      { dtype: value, shape: fc.oneof(list, value), data_offsets: fc.oneof(list, value) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 3 }), declared), fc.nat(40), (header, length) => {
        checkDamaged(safetensors(JSON.stringify(header), length));
      }),
      { numRuns: 3000 },
    );
  });
});

function checkDamaged(bytes: Uint8Array): void {
  try {
    const sizes = Array.from(parseSafetensors(bytes).values(), ({ data }) => data.byteLength);
    // A byte of I8 becomes four.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * bytes.length);
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
  }
}

// ---- writing ----

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

const anyText = fc.string({ unit: "binary", maxLength: 8 });
const reserved = new Set(["__metadata__", "__proto__", "constructor", "prototype"]);
const anyName = fc
  .oneof(fc.stringMatching(/^[a-z0-9_./]{1,12}$/), anyText, fc.constantFrom("0", "10", "9", "", "\uffee", "🎲", "a b"))
  .filter((name) => !reserved.has(name));

const anyTensors = fc
  .array(fc.tuple(anyName, anyTensor), { maxLength: 5 })
  .map((entries) => new Map<string, Tensor>(entries));
const anyMetadata = fc
  .array(fc.tuple(anyName, anyText), { maxLength: 3 })
  .map((entries): Record<string, string> => Object.fromEntries(entries));

const given = tensor(new Float32Array([1, 2, 3]));
const map = (...entries: [string, Tensor][]) => new Map(entries);

describe("encodeSafetensors", () => {
  it("writes a file that parseSafetensors reads back to the bit, with its metadata", () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        const bytes = encodeSafetensors(tensors, metadata);
        const byName = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
        expect(told(parseSafetensors(bytes)).sort(byName)).toEqual(told(tensors).sort(byName));
        expect(safetensorsMetadata(bytes)).toEqual(metadata);
      }),
    );
  });

  it("aligns every tensor, so that reading copies none", () => {
    fc.assert(
      fc.property(anyTensors, (tensors) => {
        const bytes = encodeSafetensors(tensors);
        for (const { data } of parseSafetensors(bytes).values()) expect(data.buffer).toBe(bytes.buffer);
      }),
    );
  });

  it("rounds the float tensors that it is told to 16 bits, and no other", () => {
    const floats = anyTensor.filter(({ dtype }) => dtype === "float32" || dtype === "float64");
    fc.assert(
      fc.property(floats, ({ data, shape, dtype }) => {
        const whole = view(data as Float64Array, shape, "unlabeled", dtype as "float64");
        const tensors = map(["half", whole], ["brain", whole], ["whole", whole]);
        const halves = new Map([["half", "F16"] as const, ["brain", "BF16"] as const]);
        const parsed = parseSafetensors(encodeSafetensors(tensors, {}, halves));
        expect(parsed.get("half")).toMatchObject({ dtype: "float32", shape });
        expect(Array.from(parsed.get("half")!.data as Float32Array)).toEqual([...roundToFloat16(data as Float64Array)]);
        expect(Array.from(parsed.get("brain")!.data as Float32Array)).toEqual([
          ...roundToBfloat16(data as Float64Array),
        ]);
        expect(bits(parsed.get("whole")!.data).equals(bits(data))).toBe(true);
      }),
    );
  });

  it("writes what the format's own library writes", () => {
    // From the tests of huggingface/safetensors: the header is padded to 8 bytes.
    const values = tensor(new Float32Array([0, 1, 2, 3, 4, 5]), [1, 1, 2, 3]);
    const bytes = Buffer.from(encodeSafetensors(map(["attn0", values])));
    expect(bytes.subarray(8, 80).toString()).toBe(
      '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}'.padEnd(72),
    );
    expect(bytes[0]).toBe(72);
    expect(
      Buffer.from(encodeSafetensors(map(), { framework: "pt" }))
        .subarray(8)
        .toString(),
    ).toBe('{"__metadata__":{"framework":"pt"}}     ');
  });

  const bad: readonly [what: string, call: () => unknown, code: string, field: string, found: string][] = [
    ["an object", () => encodeSafetensors({ a: given } as never), "argument", "tensors", "object"],
    ["what is no tensor", () => encodeSafetensors(map(["a", [1] as never])), "argument", "tensor", "object"],
    [
      "the name __metadata__",
      () => encodeSafetensors(map(["__metadata__", given])),
      "argument",
      "tensors",
      "__metadata__",
    ],
    ["the name __proto__", () => encodeSafetensors(map(["__proto__", given])), "argument", "tensors", "__proto__"],
    ["a name that is no Unicode", () => encodeSafetensors(map(["\udc00", given])), "argument", "tensors", "\\udc00"],
    ["metadata that are numbers", () => encodeSafetensors(map(), { a: 1 } as never), "argument", "metadata.a", "1"],
    ["metadata that are null", () => encodeSafetensors(map(), null as never), "argument", "metadata", "null"],
    ["metadata that are a list", () => encodeSafetensors(map(), ["a"] as never), "argument", "metadata", "a list"],
    [
      "halves that are no map",
      () => encodeSafetensors(map(), {}, { a: "F16" } as never),
      "argument",
      "halves",
      "object",
    ],
    [
      "halves of a tensor that is not there",
      () => encodeSafetensors(map(["weight", given]), {}, new Map([["wieght", "F16"]])),
      "unknown",
      "halves",
      '"wieght"',
    ],
    [
      "halves of whole numbers",
      () => encodeSafetensors(map(["a", tensor(new Int32Array(1))]), {}, new Map([["a", "F16"]])),
      "dtype",
      "halves.a",
      "int32",
    ],
    [
      "halves of another kind",
      () => encodeSafetensors(map(["a", given]), {}, new Map([["a", "F8" as never]])),
      "argument",
      "halves.a",
      '"F8"',
    ],
    [
      "a boolean of 2",
      () => encodeSafetensors(map(["a", view(Uint8Array.of(2), [1], "mask", "bool")])),
      "value",
      "tensor",
      "the byte 2",
    ],
    [
      "a reserved name in the metadata",
      () => encodeSafetensors(map(), JSON.parse('{"__proto__":"x"}')),
      "file",
      "__proto__",
      "__proto__",
    ],
  ];
  it.each(bad)("refuses %s", (_, call, code, field, found) => {
    const error = errorOf(call);
    expect(error).toMatchObject({ code, field });
    expect(error.found).toContain(found);
    expect(error.fix).toBeDefined();
  });

  it("names the near miss of a name in halves", () => {
    const call = () => encodeSafetensors(map(["weight", given]), {}, new Map([["wieght", "F16"]]));
    expect(errorOf(call).fix).toBe('write "weight".');
  });
});

const python = spawnSync("python3", ["-c", "import safetensors.numpy"], { encoding: "utf8" });
const missing = python.error ? "no python3 here" : python.status === 0 ? undefined : "this python3 has no safetensors";

describe(`The format's own library${missing ? ` (skipped: ${missing})` : ""}`, () => {
  it.skipIf(missing)(
    "reads what encodeSafetensors writes, would have written the same bytes, and takes its fixtures",
    () => {
      const directory = mkdtempSync(join(tmpdir(), "losswright-safetensors-"));
      try {
        const files = fc.sample(anyTensors, { numRuns: 60, seed: 1 });
        for (const [i, tensors] of files.entries()) writeFileSync(join(directory, `${i}`), encodeSafetensors(tensors));
        for (const [i, fixture] of readable.entries()) writeFileSync(join(directory, `fixture${i}`), bytesOf(fixture));
        const script = [
          "import json, sys",
          "from safetensors import deserialize",
          "from safetensors.numpy import load, save",
          "for i in range(int(sys.argv[2])):",
          "    content = open(f'{sys.argv[1]}/{i}', 'rb').read()",
          "    arrays = load(content)",
          "    told = [[k, a.dtype.name, list(a.shape), a.tobytes().hex()] for k, a in arrays.items()]",
          "    print(json.dumps([save(arrays) == content, sorted(told)]))",
          "for i in range(int(sys.argv[3])):",
          "    print(json.dumps(sorted(k for k, _ in deserialize(open(f'{sys.argv[1]}/fixture{i}', 'rb').read()))))",
        ].join("\n");
        const run = spawnSync("python3", ["-c", script, directory, `${files.length}`, `${readable.length}`], {
          encoding: "utf8",
        });
        expect(run.stderr).toBe("");
        const lines = run.stdout.trim().split("\n");
        const byCodePoint = (a: unknown, b: unknown) => Buffer.compare(Buffer.from(`${a}`), Buffer.from(`${b}`));
        expect(lines.slice(0, files.length).map((line) => JSON.parse(line))).toEqual(
          files.map((tensors) => [true, told(tensors).sort((a, b) => byCodePoint(a[0], b[0]))]),
        );
        expect(lines.slice(files.length).map((line) => JSON.parse(line))).toEqual(
          readable.map(({ tensors }) => tensors.map(({ name }) => name).sort(byCodePoint)),
        );
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );
});
