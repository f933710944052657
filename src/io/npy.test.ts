import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Dtype, dataOf, placeOf, sizeOf, type Tensor, tensor, view } from "../tensor/index.js";
import { encodeNpy, parseNpy } from "./npy.js";

interface Fixture {
  name: string;
  bytes: string;
  refused?: string;
  dtype: string;
  shape: number[];
  values: (number | string)[];
}

const { fixtures }: { fixtures: Fixture[] } = JSON.parse(
  readFileSync(new URL("./fixtures/numpy.json", import.meta.url), "utf8"),
);
const bytesOf = ({ bytes }: Fixture) => new Uint8Array(Buffer.from(bytes, "base64"));
const readable = fixtures.filter(({ refused }) => refused === undefined);
const refused = fixtures.filter(({ refused }) => refused !== undefined);

/** What the tensor of a NumPy dtype has to be, stated apart from the code. */
const dtypes: Record<string, Dtype> = {
  float16: "float32",
  float32: "float32",
  float64: "float64",
  int8: "int32",
  int16: "int32",
  int32: "int32",
  int64: "int64",
  uint8: "uint8",
  uint16: "int32",
  uint32: "int32",
  uint64: "int64",
  bool: "bool",
};

const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A file with the header as it is given, neither padded nor checked. */
function npy(header: string, data: Uint8Array = new Uint8Array(0), version = 1): Uint8Array {
  const text = version === 3 ? new TextEncoder().encode(header) : latin(header);
  const start = version === 1 ? 10 : 12;
  const head = new Uint8Array(start);
  head.set([0x93, ...latin("NUMPY"), version, 0]);
  const words = new DataView(head.buffer);
  if (version === 1) words.setUint16(8, text.length, true);
  else words.setUint32(8, text.length, true);
  return concat(head, text, data);
}

const dict = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parseNpy reads what NumPy wrote", () => {
  it.each(readable.map((fixture) => [fixture.name, fixture] as const))("%s", (_, fixture) => {
    const parsed = parseNpy(bytesOf(fixture), fixture.name);
    const wide = fixture.dtype === "uint32" && fixture.values.some((value) => Number(value) >= 2 ** 31);
    expect(parsed.dtype).toBe(wide ? "int64" : dtypes[fixture.dtype]);
    expect(parsed.shape).toEqual(fixture.shape);
    expect(parsed.role).toBe("unlabeled");
    const values = fixture.values.map((value) => (parsed.dtype === "int64" ? BigInt(value) : Number(value)));
    expect(Array.from<number | bigint>(parsed.data)).toEqual(values);
  });

  it.each(refused.map((fixture) => [fixture.name, fixture] as const))("and refuses %s by name", (_, fixture) => {
    const error = errorOf(() => parseNpy(bytesOf(fixture), "x.npy"));
    expect(error).toMatchObject({ code: "dtype", where: "x.npy", field: "descr" });
    expect(error.found).toContain(fixture.refused);
    expect(error.fix).toContain(".astype(np.float32)");
  });
});

describe("parseNpy", () => {
  const cases = fc.record({
    descr: fc.constantFrom("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1"),
    order: fc.constantFrom("<", ">"),
    fortran: fc.boolean(),
    version: fc.constantFrom(1, 2, 3),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    shift: fc.integer({ min: 0, max: 7 }),
    seed: fc.integer({ min: 0, max: 1000 }),
  });

  it("reads any shape in either order, byte order and version, at any alignment", () => {
    fc.assert(
      fc.property(cases, ({ descr, order, fortran, version, shape, shift, seed }) => {
        const itemSize = Number(descr[1]);
        const little = order === "<";
        const size = sizeOf(shape);
        const numbers = Array.from({ length: size }, (_, i) =>
          descr === "b1" ? (i + seed) % 2 : (i * 7 + seed) % 128,
        );
        const data = new DataView(new ArrayBuffer(size * itemSize));
        for (const [i, number] of numbers.entries()) {
          // The number of the row-major place i stands where column-major order puts that place.
          const place = placeOf(i, shape);
          let at = i;
          if (fortran) at = place.reduceRight((sum, step, axis) => sum * shape[axis]! + step, 0);
          if (descr === "f4") data.setFloat32(at * 4, number, little);
          else if (descr === "f8") data.setFloat64(at * 8, number, little);
          else if (itemSize === 8) data.setBigInt64(at * 8, BigInt(number), little);
          else if (itemSize === 4) data.setInt32(at * 4, number, little);
          else if (itemSize === 2) data.setInt16(at * 2, number, little);
          else data.setInt8(at, number);
        }
        const header = dict(
          order + descr,
          `(${shape.join(",")}${shape.length === 1 ? "," : ""})`,
          fortran ? "True" : "False",
        );
        const file = npy(header, new Uint8Array(data.buffer), version);
        const within = concat(new Uint8Array(shift), file).subarray(shift);
        const parsed = parseNpy(within);
        expect(parsed.shape).toEqual(shape);
        expect(Array.from<number | bigint, number>(parsed.data, Number)).toEqual(numbers);
      }),
    );
  });

  it("takes the header's keys in any order, in either quotes, and lengths as Python 2 wrote them", () => {
    const header = `{"shape": (2L, 1,),\n "fortran_order": True, "descr": '<f4'}  \n`;
    expect(parseNpy(npy(header, new Uint8Array(8))).shape).toEqual([2, 1]);
  });

  it("shares the buffer where the numbers lie in it as they are, and copies where they do not", () => {
    const file = encodeNpy(tensor(new Float32Array([1, 2, 3])));
    expect(parseNpy(file).data.buffer).toBe(file.buffer);
    const shifted = concat(new Uint8Array(1), file).subarray(1);
    expect(parseNpy(shifted).data.buffer).not.toBe(shifted.buffer);
    expect(parseNpy(shifted).data).toEqual(new Float32Array([1, 2, 3]));
  });

  it("holds plain typed arrays when it is given a Node Buffer, and copies an unaligned one", () => {
    const file = Buffer.from(encodeNpy(tensor(new Uint8Array([1, 2]))));
    expect(parseNpy(file).data.constructor).toBe(Uint8Array);
    const floats = Buffer.concat([Buffer.alloc(1), encodeNpy(tensor([1.5, 2.5]))]).subarray(1);
    expect(parseNpy(floats).data).toEqual(new Float64Array([1.5, 2.5]));
  });

  const one = new Uint8Array(4);
  const bad: readonly [what: string, bytes: Uint8Array, code: string, field: string, fix: string][] = [
    ["an empty file", new Uint8Array(0), "file", "magic", "numpy.save"],
    ["another kind of file", latin("PNG, surely"), "file", "magic", "numpy.save"],
    ["an npz archive", latin("PK\x03\x04 and more"), "file", "magic", "each array alone"],
    ["a pickle", Uint8Array.of(0x80, 4, 0x95, 0, 0, 0, 0, 0), "file", "magic", "numpy.save"],
    ["the magic string alone", latin("\x93NUMPY"), "file", "header", "cut off"],
    ["version 4.0", npy(dict("<f4", "()"), one, 4), "file", "version", "numpy.save"],
    ["version 1.7", latin("\x93NUMPY\x01\x07\x00\x00"), "file", "version", "numpy.save"],
    ["a cut-off length", latin("\x93NUMPY\x02\x00\x10\x00"), "file", "header", "cut off"],
    ["a header beyond the file", latin("\x93NUMPY\x01\x00\xff\xff{}"), "file", "header", "cut off"],
    ["a header length of 4 GiB", latin("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"), "file", "header", "cut off"],
    ["a header of megabytes", npy(" ".repeat((1 << 20) + 1), one, 2), "file", "header", "plain array"],
    ["an empty header", npy(""), "file", "header", "numpy.save"],
    ["a list for a header", npy("['descr']"), "file", "header", "numpy.save"],
    ["an expression for a header", npy("dict(descr='<f4')"), "file", "header", "numpy.save"],
    ["an unclosed dict", npy("{'descr': '<f4', "), "file", "header", "numpy.save"],
    ["an unclosed string", npy("{'descr"), "file", "header", "numpy.save"],
    ["an escape in a string", npy("{'des\\x63r': '<f4'}"), "file", "header", "numpy.save"],
    ["no comma between entries", npy("{'descr': '<f4' 'shape': ()}"), "file", "header", "numpy.save"],
    ["no colon", npy("{'descr' '<f4'}"), "file", "header", "numpy.save"],
    ["a missing key", npy("{'descr': '<f4', 'shape': (1,)}", one), "file", "header", "numpy.save"],
    ["a key twice", npy("{'descr': '<f4', 'descr': '<f4', 'shape': ()}", one), "file", "header", "numpy.save"],
    ["an unknown key", npy(`{'strides': (4,), ${dict("<f4", "(1,)").slice(1)}`, one), "file", "header", "numpy.save"],
    ["trailing garbage", npy(`${dict("<f4", "(1,)")} + 1`, one), "file", "header", "numpy.save"],
    ["a number for a flag", npy(dict("<f4", "(1,)", "0"), one), "file", "header", "numpy.save"],
    ["a longer word for a flag", npy(dict("<f4", "(1,)", "Falsehood"), one), "file", "header", "numpy.save"],
    ["a number for a shape", npy(dict("<f4", "(1)"), one), "file", "header", "numpy.save"],
    ["a list for a shape", npy(dict("<f4", "[1]"), one), "file", "header", "numpy.save"],
    ["a comma for a shape", npy(dict("<f4", "(,)"), one), "file", "header", "numpy.save"],
    ["two commas in a shape", npy(dict("<f4", "(1,,)"), one), "file", "header", "numpy.save"],
    ["no comma in a shape", npy(dict("<f4", "(1 1)"), one), "file", "header", "numpy.save"],
    ["a fraction in a shape", npy(dict("<f4", "(1.0,)"), one), "file", "header", "numpy.save"],
    ["a leading zero in a shape", npy(dict("<f4", "(01,)"), one), "file", "header", "numpy.save"],
    ["an open shape", npy("{'descr': '<f4', 'shape': (1, "), "file", "header", "numpy.save"],
    ["a negative length", npy(dict("<f4", "(-1,)"), one), "shape", "shape", "damaged"],
    ["a length of 2^53", npy(dict("<f4", "(9007199254740992,)"), one), "shape", "shape", "damaged"],
    ["a length without end", npy(dict("<f4", `(${"9".repeat(400)},)`), one), "shape", "shape", "damaged"],
    ["lengths that overflow", npy(dict("<f4", "(4294967296, 4294967296)"), one), "shape", "shape", "damaged"],
    ["lengths that overflow beside a 0", npy(dict("<f4", "(0, 4294967296, 4294967296)")), "shape", "shape", "damaged"],
    ["many axes that overflow", npy(dict("<f4", `(${"2, ".repeat(60)})`), one), "shape", "shape", "damaged"],
    ["truncated data", npy(dict("<f4", "(2,)"), one), "file", "data", "cut off"],
    ["data of terabytes that are not there", npy(dict("<f8", "(1099511627776,)"), one), "file", "data", "cut off"],
    ["bytes behind the data", npy(dict("|u1", "(3,)"), one), "file", "data", "one array a file"],
    ["named fields", npy("{'descr': [('a', '<f4')], 'shape': ()}", one), "dtype", "descr", ".astype(np.float32)"],
    ["no byte order", npy(dict("|f4", "(1,)"), one), "dtype", "descr", ".astype(np.float32)"],
    ["the byte order of some machine", npy(dict("=f4", "(1,)"), one), "dtype", "descr", ".astype(np.float32)"],
    ["a dtype in words", npy(dict("float32", "(1,)"), one), "dtype", "descr", ".astype(np.float32)"],
    ["an empty dtype", npy(dict("", "(1,)"), one), "dtype", "descr", ".astype(np.float32)"],
    ["a name of every object", npy(dict("<constructor", "(1,)"), one), "dtype", "descr", ".astype(np.float32)"],
    ["a boolean of 2", npy(dict("|b1", "(1, 2)"), Uint8Array.of(1, 2)), "file", "data", ".astype(bool)"],
    ["2^63 in uint64", npy(dict("<u8", "(1,)"), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128)), "file", "data", "np.int64"],
  ];

  it.each(bad)("refuses %s", (_, bytes, code, field, fix) => {
    const error = errorOf(() => parseNpy(bytes, "x.npy"));
    expect(error).toMatchObject({ code, field, where: "x.npy" });
    expect(error.fix).toContain(fix);
  });

  it("shows a bad value with its row-major place, in Fortran order too", () => {
    const data = Uint8Array.of(0, 1, 9, 1, 0, 1);
    expect(errorOf(() => parseNpy(npy(dict("|b1", "(2, 3)"), data))).index).toEqual([0, 2]);
    expect(errorOf(() => parseNpy(npy(dict("|b1", "(2, 3)", "True"), data))).index).toEqual([0, 1]);
  });

  it("keeps messages short, whatever a header declares", () => {
    const shape = `(${"1, ".repeat(20_000)})`;
    expect(errorOf(() => parseNpy(npy(dict("<f4", shape)))).message.length).toBeLessThan(300);
    expect(errorOf(() => parseNpy(npy(dict("<f4", shape.replace("1", "-1"))))).message.length).toBeLessThan(300);
  });

  it("says what a pickle, a long double and bfloat16 are", () => {
    expect(errorOf(() => parseNpy(npy(dict("|O", "(1,)"), one))).message).toContain("never executed");
    expect(errorOf(() => parseNpy(npy(dict("<f16", "(1,)"), one))).message).toContain("float128");
    expect(errorOf(() => parseNpy(npy(dict("<V2", "(2,)"), one))).message).toContain("bfloat16");
  });

  it("gives a tensor no larger than the file allows or a LosswrightError, for any damage to a valid file", () => {
    const damage = fc.record({
      file: fc.constantFrom(...fixtures.map(bytesOf)),
      changes: fc.array(fc.tuple(fc.nat(1000), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      cut: fc.oneof(fc.constant(0), fc.nat(200)),
      more: fc.uint8Array({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(damage, ({ file, changes, cut, more }) => {
        const bytes = concat(file.subarray(0, Math.max(0, file.length - cut)), more);
        // Half of the changes fall on the header, where most of the meaning is.
        for (const [i, [at, byte]] of changes.entries())
          bytes[at % Math.min(bytes.length, i % 2 ? 80 : Infinity)] = byte;
        try {
          const { data } = parseNpy(bytes);
          expect(data.byteLength).toBeLessThanOrEqual(4 * bytes.length);
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("gives a tensor or a LosswrightError for any text as a header", () => {
    const token = fc.constantFrom("{", "}", "(", ")", "[", "'descr'", "'shape'", "'fortran_order'", ":", ",", "'<f4'");
    const word = fc.oneof(token, fc.constantFrom("True", "False", "1", "-1", "L", " ", "\n", "\\", '"', "'", "é", "∞"));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), fc.constantFrom(1, 2, 3), (words, version) => {
        try {
          parseNpy(npy(words.join(""), new Uint8Array(4), version));
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });
});

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });

/** Tensors of every dtype, of any bits that the dtype has. */
const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom<Dtype>("float64", "float32", "int64", "int32", "uint8", "bool"), shapes)
  .chain(([dtype, shape]) => {
    const data = dataOf(dtype, sizeOf(shape));
    const raw = new Uint8Array(data.buffer);
    return fc.uint8Array({ minLength: raw.length, maxLength: raw.length }).map((bytes) => {
      const filled = dataOf(dtype, data.length);
      new Uint8Array(filled.buffer).set(dtype === "bool" ? bytes.map((byte) => byte & 1) : bytes);
      return view(filled, shape, "unlabeled", dtype);
    });
  });

describe("encodeNpy", () => {
  it("writes a file that parseNpy reads back to the bit", () => {
    fc.assert(
      fc.property(anyTensor, (given) => {
        const { dtype, shape, data } = parseNpy(encodeNpy(given));
        expect({ dtype, shape }).toEqual({ dtype: given.dtype, shape: given.shape });
        const bits = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
          Buffer.from(buffer, byteOffset, byteLength);
        expect(bits(data).equals(bits(given.data))).toBe(true);
      }),
    );
  });

  const kept = readable.filter(({ name, dtype }) => dtypes[dtype] === dtype && !/-endian|Fortran|version/.test(name));
  it.each(kept.map((fixture) => [fixture.name, fixture] as const))("writes NumPy's own bytes: %s", (_, fixture) => {
    expect(Buffer.from(encodeNpy(parseNpy(bytesOf(fixture)))).toString("base64")).toBe(fixture.bytes);
  });

  it("writes a part of a larger buffer alone", () => {
    const part = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
    expect(parseNpy(encodeNpy(tensor(part))).data).toEqual(new Float32Array([2, 3]));
  });

  it("aligns the data to 64 bytes, and writes version 2.0 where the header is too long for 1.0", () => {
    for (const axes of [0, 1, 2, 10, 21812, 21830, 30000]) {
      const shape = new Array<number>(axes).fill(1);
      const file = encodeNpy(tensor([7], shape));
      expect(file.length % 64).toBe(8);
      expect(file[6]).toBe(axes > 21812 ? 2 : 1);
      expect(parseNpy(file)).toMatchObject({ shape, data: new Float64Array([7]) });
    }
  });

  const bad: readonly [what: string, given: unknown, code: string, fix: string][] = [
    ["what is no tensor", [1, 2], "argument", "tensor(data, shape)"],
    ["null", null, "argument", "tensor(data, shape)"],
    ["a shape of other size", { ...tensor([1, 2]), shape: [3] }, "shape", "tensor(data, shape)"],
    ["a boolean of 2", view(Uint8Array.of(0, 2), [2], "mask", "bool"), "value", ".astype(bool)"],
  ];
  it.each(bad)("refuses %s", (_, given, code, fix) => {
    const error = errorOf(() => encodeNpy(given as Tensor, "a name"));
    expect(error).toMatchObject({ code, where: "a name" });
    expect(error.fix).toContain(fix);
  });
});

const python = spawnSync("python3", ["-c", "import numpy"], { encoding: "utf8" });
const noNumpy = python.error ? "no python3 here" : python.status === 0 ? undefined : "this python3 has no numpy";

describe(`NumPy itself${noNumpy ? ` (skipped: ${noNumpy})` : ""}`, () => {
  it.skipIf(noNumpy)("reads what encodeNpy writes, and would have written the same bytes", () => {
    const directory = mkdtempSync(join(tmpdir(), "losswright-npy-"));
    try {
      const tensors = fc.sample(anyTensor, { numRuns: 100, seed: 1 });
      for (const [i, given] of tensors.entries()) writeFileSync(join(directory, `${i}.npy`), encodeNpy(given));
      const script = [
        "import io, json, sys, numpy as np",
        "for i in range(int(sys.argv[2])):",
        "    path = f'{sys.argv[1]}/{i}.npy'",
        "    array = np.load(path, allow_pickle=False)",
        "    again = io.BytesIO()",
        "    np.save(again, array)",
        "    same = again.getvalue() == open(path, 'rb').read()",
        "    print(json.dumps([array.dtype.name, list(array.shape), array.tobytes().hex(), same]))",
      ].join("\n");
      const run = spawnSync("python3", ["-c", script, directory, String(tensors.length)], { encoding: "utf8" });
      expect(run.stderr).toBe("");
      const told = run.stdout.trim().split("\n");
      expect(told.map((line) => JSON.parse(line))).toEqual(
        tensors.map(({ dtype, shape, data }) => [dtype, shape, Buffer.from(data.buffer).toString("hex"), true]),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
