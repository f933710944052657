import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Dtype, dataOf, sizeOf, type Tensor, tensor, view } from "../tensor/index.js";
import { encodeNpy, parseNpy } from "./npy.js";
import { encodeNpz } from "./npz.js";
import { encodeSafetensors, parseSafetensors } from "./safetensors.js";
import {
  decodeRows,
  parseTensorFile,
  type RowsLayout,
  rowsHeadLength,
  rowsLayout,
  tensorFileFormat,
  tensorNames,
} from "./tensor-file.js";

interface Fixture {
  name: string;
  bytes: string;
  refused?: string;
}

const fixturesOf = (file: string): Fixture[] =>
  JSON.parse(readFileSync(new URL(`./fixtures/${file}.json`, import.meta.url), "utf8")).fixtures;
const bytesOf = ({ bytes }: Fixture) => new Uint8Array(Buffer.from(bytes, "base64"));
const every = ["numpy", "npz", "safetensors"].flatMap(fixturesOf);

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const logits = tensor(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
const labels = tensor(new BigInt64Array([1n, -100n]));
const both = new Map<string, Tensor>([
  ["logits", logits],
  ["labels", labels],
]);
const only = new Map([["logits", logits]]);
const npy = encodeNpy(logits);
const npz = encodeNpz(both);
const safetensors = encodeSafetensors(both);
const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("parseTensorFile", () => {
  it("tells the formats by their bytes, whatever the file is called", () => {
    expect(tensorFileFormat(npy, "a.npz")).toBe("npy");
    expect(tensorFileFormat(npz, "a.npy")).toBe("npz");
    expect(tensorFileFormat(encodeNpz(new Map()))).toBe("npz");
    expect(tensorFileFormat(safetensors, "a.pt")).toBe("safetensors");
    for (const name of ["numpy", "npz", "safetensors"] as const) {
      const format = name === "numpy" ? "npy" : name;
      for (const fixture of fixturesOf(name)) expect(tensorFileFormat(bytesOf(fixture).subarray(0, 9))).toBe(format);
    }
  });

  it("tells safetensors by its brace, though its length begins as other formats do", () => {
    // Headers of 0x80 and 0x4b50 bytes: the first byte of a pickle, the first two of a zip archive.
    for (const length of [0x80, 0x4b50]) {
      const header = Buffer.alloc(8 + length, " ");
      header.writeBigUInt64LE(BigInt(length));
      header.write("{}", 8);
      expect(tensorFileFormat(header)).toBe("safetensors");
      expect(tensorNames(header)).toEqual([]);
    }
  });

  it("gives the one tensor of a .npy file, the named one of an archive, and the only one without a name", () => {
    expect(parseTensorFile(npy)).toEqual(logits);
    for (const archive of [npz, safetensors]) {
      expect(parseTensorFile(archive, { member: "labels" })).toEqual(labels);
      expect(parseTensorFile(archive, { member: "logits" })).toEqual(logits);
    }
    expect(parseTensorFile(encodeNpz(only))).toEqual(logits);
    expect(parseTensorFile(encodeSafetensors(only))).toEqual(logits);
  });

  it("reads no tensor beside the one that is asked for", () => {
    const damaged = Buffer.from(npz);
    damaged[200]! ^= 1;
    expect(parseTensorFile(damaged, { member: "labels" })).toEqual(labels);
    expect(errorOf(() => parseTensorFile(damaged, { member: "logits" })).field).toBe("crc");
    const file = Buffer.from(encodeSafetensors(both));
    file.write("F8?", file.indexOf("F32"));
    expect(parseTensorFile(file, { member: "labels" })).toEqual(labels);
    expect(errorOf(() => parseTensorFile(file, { member: "logits" })).code).toBe("dtype");
  });

  it("lists the names of an archive in its order, and none of a .npy file", () => {
    expect(tensorNames(npy)).toEqual([]);
    expect(tensorNames(npz)).toEqual(["logits", "labels"]);
    expect(tensorNames(safetensors)).toEqual(["labels", "logits"]);
  });

  const many = new Map(Array.from({ length: 20 }, (_, i) => [`tensor${i}`, labels] as const));
  const bad: readonly [what: string, bytes: Uint8Array, member: string | undefined, code: string, words: RegExp][] = [
    [
      "an unknown name in .npz, with the near miss",
      npz,
      "lables",
      "unknown",
      /"lables".*"logits", "labels".*"labels"\.$/,
    ],
    ["an unknown name in safetensors", safetensors, "Logits", "unknown", /"Logits".*Fix: write "logits"\.$/],
    ["a name far from all", npz, "temperature", "unknown", /Fix: write a name that is there\.$/],
    ["a name in an empty archive", encodeNpz(new Map()), "a", "unknown", /there is no tensor/],
    ["a name of 20, of which 8 are listed", encodeNpz(many), "x", "unknown", /"tensor7" or one of 12 more/],
    [
      "no name, of two",
      npz,
      undefined,
      "argument",
      /none named, of 2 tensors: "logits", "labels".*such as "logits"\.$/,
    ],
    ["no name, of 20", encodeSafetensors(many), undefined, "argument", /and 12 more/],
    ["no tensor at all", encodeNpz(new Map()), undefined, "argument", /an archive without tensors/],
    ["a name in a .npy file", npy, "logits", "unknown", /"logits".*holds one tensor.*leave the member out\.$/],
    ["an empty file", new Uint8Array(0), undefined, "file", /an empty file/],
    ["a pickle", Uint8Array.of(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0), undefined, "file", /never executed/],
    ["HDF5", latin("\x89HDF\r\n\x1a\n"), undefined, "file", /an HDF5 file/],
    ["GGUF", latin("GGUF\x03\0\0\0\0"), undefined, "file", /a GGUF file/],
    ["Parquet", latin("PAR1"), undefined, "file", /a Parquet file/],
    ["gzip", Uint8Array.of(0x1f, 0x8b, 8, 0), undefined, "file", /unpack it first/],
    ["a text", latin("logits,labels"), undefined, "file", /another beginning.*\.npy, \.npz or \.safetensors/],
    ["a zip archive in several files", latin("PK\x07\x08 and more"), undefined, "file", /another beginning/],
  ];
  it.each(bad)("refuses %s", (_, bytes, member, code, words) => {
    const error = errorOf(() => parseTensorFile(bytes, { name: "x", ...(member !== undefined && { member }) }));
    expect(error).toMatchObject({ code, where: "x" });
    expect(error.message).toMatch(words);
  });

  it("gives a tensor, names and a layout, or LosswrightErrors, for any damage to any file", () => {
    const damage = fc.record({
      file: fc.constantFrom(...every.map(bytesOf)),
      changes: fc.array(fc.tuple(fc.nat(3000), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      length: fc.nat(3000),
      member: fc.constantFrom(undefined, "a", "labels", "f32", ""),
    });
    fc.assert(
      fc.property(damage, ({ file, changes, length, member }) => {
        const bytes = file.slice(0, Math.max(length, file.length - length));
        for (const [i, [at, byte]] of changes.entries()) bytes[at % (i % 2 ? bytes.length : 100)] = byte;
        const name = "x";
        const head = bytes.subarray(0, 200);
        for (const work of [
          () => parseTensorFile(bytes, { name, ...(member !== undefined && { member }) }),
          () => tensorNames(bytes, name),
          () => rowsLayout(bytes, bytes.length, name, member),
          () => rowsLayout(head, bytes.length, name, member),
        ]) {
          try {
            work();
          } catch (error) {
            if (!(error instanceof LosswrightError)) throw error;
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});

// ---- rows ----

/** The rows from..to of a file, as a reader of files fetches them. */
function rowsOf(file: Uint8Array, layout: RowsLayout, from: number, to: number): Tensor {
  const start = layout.offset + from * layout.rowBytes;
  return decodeRows(file.slice(start, layout.offset + to * layout.rowBytes), layout, from, to);
}

function layoutOf(file: Uint8Array, member?: string): RowsLayout {
  return rowsLayout(file.subarray(0, rowsHeadLength(file.subarray(0, 9), file.length)), file.length, "x", member);
}

/** The numbers of rows from..to of a whole tensor. */
function part({ data, shape }: Tensor, from: number, to: number): (number | bigint)[] {
  const row = sizeOf(shape.slice(1));
  return Array.from<number | bigint>(data.slice(from * row, to * row));
}

const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(
    fc.constantFrom<Dtype>("float64", "float32", "int64", "int32", "uint8", "bool"),
    fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 }),
  )
  .chain(([dtype, shape]) => {
    const bytes = dataOf(dtype, sizeOf(shape)).byteLength;
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((drawn) => {
      const filled = dataOf(dtype, sizeOf(shape));
      new Uint8Array(filled.buffer).set(dtype === "bool" ? drawn.map((byte) => byte & 1) : drawn);
      return view(filled, shape, "unlabeled", dtype);
    });
  });

describe("rows", () => {
  it("are the same by themselves as in the whole tensor, for any of them", () => {
    fc.assert(
      fc.property(anyTensor, fc.nat(4), fc.nat(4), (whole, one, other) => {
        const rows = whole.shape[0]!;
        const [from, to] = [Math.min(one, other, rows), Math.min(Math.max(one, other), rows)];
        const files: [Uint8Array, string?][] = [
          [encodeNpy(whole)],
          [encodeSafetensors(new Map([["a", labels] as const, ["b", whole] as const])), "b"],
        ];
        for (const [file, member] of files) {
          const layout = layoutOf(file, member);
          expect(layout).toMatchObject({ dtype: whole.dtype, shape: whole.shape });
          const found = rowsOf(file, layout, from, to);
          expect(found).toMatchObject({ dtype: whole.dtype, shape: [to - from, ...whole.shape.slice(1)] });
          expect(Array.from<number | bigint>(found.data)).toEqual(part(whole, from, to));
        }
      }),
    );
  });

  it("of every fixture are those of the whole tensor, uint32 always as int64", () => {
    let compared = 0;
    const compare = (file: Uint8Array, whole: Tensor, member?: string) => {
      const layout = layoutOf(file, member);
      for (let row = 0; row < whole.shape[0]!; row++) {
        const found = rowsOf(file, layout, row, row + 1);
        const isUint32 = /^(<u4|U32)$/.test(layout.fileDtype);
        expect(found.dtype).toBe(isUint32 ? "int64" : whole.dtype);
        expect(found.dtype).toBe(layout.dtype);
        expect(Array.from(found.data, String)).toEqual(part(whole, row, row + 1).map(String));
        compared++;
      }
    };
    for (const fixture of fixturesOf("numpy").filter(({ name, refused }) => !refused && !/Fortran|scalar/.test(name))) {
      compare(bytesOf(fixture), parseNpy(bytesOf(fixture)));
    }
    for (const fixture of fixturesOf("safetensors").filter(({ refused }) => !refused)) {
      for (const [name, whole] of parseSafetensors(bytesOf(fixture))) {
        if (whole.shape.length) compare(bytesOf(fixture), whole, name);
      }
    }
    expect(compared).toBeGreaterThan(100);
  });

  it("have a layout that is plain data and names the tensor", () => {
    const layout = layoutOf(safetensors, "logits");
    const offset = safetensors.length - 24;
    const wanted = { format: "safetensors", fileDtype: "F32", dtype: "float32", shape: [2, 3], offset, rowBytes: 12 };
    expect(layout).toEqual({ where: "x/logits", ...wanted });
    expect(structuredClone(layout)).toEqual(layout);
    expect(layoutOf(npy)).toMatchObject({ where: "x", format: "npy", fileDtype: "<f4", offset: 128, rowBytes: 12 });
  });

  it("share the buffer of aligned bytes", () => {
    const bytes = npy.slice(140, 152);
    expect(decodeRows(bytes, layoutOf(npy), 1).data).toEqual(new Float32Array([4, 5, 6]));
    expect(decodeRows(bytes, layoutOf(npy), 1).data.buffer).toBe(bytes.buffer);
  });

  it("count as many as their bytes hold, all of them where a row has no bytes, or as many as are said", () => {
    expect(decodeRows(npy.slice(128), layoutOf(npy)).shape).toEqual([2, 3]);
    const empty = layoutOf(encodeNpy(tensor(new Float32Array(0), [5, 0])));
    expect(decodeRows(new Uint8Array(0), empty).shape).toEqual([5, 0]);
    expect(decodeRows(new Uint8Array(0), empty, 1, 3).shape).toEqual([2, 0]);
  });

  it("show a bad value with its place in the whole tensor", () => {
    const file = encodeNpy(view(Uint8Array.of(0, 1, 1, 0, 0, 1), [3, 2], "unlabeled", "bool"));
    const error = errorOf(() => decodeRows(Uint8Array.of(1, 9), layoutOf(file), 2));
    expect(error).toMatchObject({
      code: "file",
      where: "x",
      field: "data",
      found: "the byte 9 at [2, 1]",
      index: [2, 1],
    });
  });

  it("need the head of a file alone, of any size", () => {
    // A float32 array of 40 GB, of which only the head is here.
    const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000, 100), }";
    const head = new Uint8Array(128).fill(0x20);
    head.set([0x93, ...latin("NUMPY\x01\x00\x76\x00"), ...latin(text)]);
    const size = 128 + 4e10;
    expect(rowsHeadLength(head, size)).toBeLessThan(2 ** 21);
    const longer = new Uint8Array(rowsHeadLength(head, size));
    longer.set(head);
    expect(rowsLayout(longer, size)).toMatchObject({ offset: 128, rowBytes: 400, shape: [100_000_000, 100] });

    const entry = '{"a":{"dtype":"BF16","shape":[100000000,100],"data_offsets":[0,20000000000]}}';
    const start = Buffer.alloc(8);
    start.writeUInt32LE(entry.length);
    const file = Buffer.concat([start, Buffer.from(entry)]);
    expect(rowsHeadLength(file.subarray(0, 9), 2e10 + file.length)).toBe(file.length);
    const layout = rowsLayout(file, 2e10 + file.length);
    expect(layout).toMatchObject({ fileDtype: "BF16", dtype: "float32", offset: file.length, rowBytes: 200 });
    const row = Buffer.from(new Uint16Array(100).fill(0x3fc0).buffer);
    expect(decodeRows(row, layout, 99_999_999).data).toEqual(new Float32Array(100).fill(1.5));
    expect(errorOf(() => rowsLayout(file, 2e10)).found).toContain("bytes of data");
  });

  const fortran = fixturesOf("numpy").find(({ name }) => name === "float32 in Fortran order")!;
  const scalar = encodeNpy(tensor([1], []));
  const unsupported: readonly [what: string, call: () => unknown, found: string, fix: string][] = [
    ["an .npz archive", () => layoutOf(npz, "logits"), "an archive of packed members", "whole"],
    ["Fortran order", () => layoutOf(bytesOf(fortran)), "Fortran order", "np.ascontiguousarray"],
    ["a scalar in .npy", () => layoutOf(scalar), "a scalar", "whole"],
    [
      "a scalar in safetensors",
      () => layoutOf(encodeSafetensors(new Map([["a", tensor([1], [])]]))),
      "a scalar",
      "whole",
    ],
  ];
  it.each(unsupported)("of %s are unsupported, for a reason that is said", (_, call, found, fix) => {
    const error = errorOf(call);
    expect(error.code).toBe("unsupported");
    expect(error.found).toContain(found);
    expect(error.fix).toContain(fix);
  });

  it("of a column in Fortran order lie as in C order, and are read", () => {
    const file = encodeNpy(tensor(new Float32Array([1, 2, 3]), [3, 1]));
    file.set(latin("True, "), Buffer.from(file).indexOf("False,"));
    const layout = layoutOf(file);
    expect(rowsOf(file, layout, 1, 3)).toMatchObject({ shape: [2, 1], data: new Float32Array([2, 3]) });
  });

  const layout = layoutOf(npy);
  const wrong: readonly [what: string, call: () => unknown, field: string, found: string][] = [
    ["a head that is too short", () => rowsLayout(npy.subarray(0, 100), npy.length), "head", "100 bytes"],
    ["a part of a row", () => decodeRows(new Uint8Array(13), layout), "from", "rows 0 to 1.08"],
    ["a part of a row, counted", () => decodeRows(new Uint8Array(13), layout, 0, 1), "bytes", "13 bytes"],
    ["more rows than there are", () => decodeRows(new Uint8Array(24), layout, 1), "from", "rows 1 to 3"],
    ["rows before the first", () => decodeRows(new Uint8Array(12), layout, -1), "from", "rows -1 to 0"],
    ["rows between two", () => decodeRows(new Uint8Array(12), layout, 0.5), "from", "rows 0.5"],
    ["rows backwards", () => decodeRows(new Uint8Array(0), layout, 2, 1), "from", "rows 2 to 1"],
    ["no number", () => decodeRows(new Uint8Array(0), layout, Number.NaN), "from", "rows NaN"],
  ];
  it.each(wrong)("refuse %s", (_, call, field, found) => {
    const error = errorOf(call);
    expect(error).toMatchObject({ code: "argument", field });
    expect(error.found).toContain(found);
    expect(error.fix).toBeDefined();
  });

  it("refuse a member that is not there, and want one where there are several", () => {
    expect(errorOf(() => layoutOf(safetensors, "label"))).toMatchObject({ code: "unknown", fix: 'write "labels".' });
    expect(errorOf(() => layoutOf(safetensors))).toMatchObject({ code: "argument", field: "member" });
    expect(errorOf(() => layoutOf(npy, "a"))).toMatchObject({ code: "unknown", field: "member" });
  });
});
