import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  roundToBfloat16,
  roundToFloat16,
} from "./index.js";

const view = new DataView(new ArrayBuffer(4));

/** binary16 widened by moving bits: an independent way, through the bit pattern of the float32 result. */
function widened(half: number): number {
  const [sign, exponent] = [(half & 0x8000) << 16, (half >> 10) & 0x1f];
  let mantissa = half & 0x3ff;
  if (exponent === 31) view.setUint32(0, (sign | 0x7f800000 | (mantissa << 13)) >>> 0);
  else if (exponent > 0) view.setUint32(0, (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0);
  else if (mantissa === 0) view.setUint32(0, sign >>> 0);
  else {
    // A subnormal half is a normal float32: shift its leading bit out.
    let shift = 0;
    while ((mantissa & 0x400) === 0) {
      mantissa <<= 1;
      shift++;
    }
    view.setUint32(0, (sign | ((113 - shift) << 23) | ((mantissa & 0x3ff) << 13)) >>> 0);
  }
  return view.getFloat32(0);
}

it("decodes all 65,536 patterns of float16 exactly, −0 and infinities by identity, NaN as NaN", () => {
  const decoded = decodeFloat16(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
  const wrong = Array.from(decoded, (value, bits) => ({ bits, value, wanted: widened(bits) })).filter(
    ({ value, wanted }) => !Object.is(value, wanted),
  );
  expect(wrong).toEqual([]);
});

it.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
  [0x7c00, Infinity],
  [0xfc00, -Infinity],
  [0x7e00, NaN],
  [0x8000, -0],
])("decodes 0x%s as IEEE 754 says", (bits, value) => {
  expect(decodeFloat16(Uint16Array.of(bits))[0]).toBe(value);
});

const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

it("decodes all 65,536 patterns of bfloat16 to the float32 they are the upper half of, NaN payloads included", () => {
  const decoded = new DataView(decodeBfloat16(every).buffer);
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const wrong = every.filter((bits) => decoded.getUint32(4 * bits, little) !== bits * 65536);
  expect(Array.from(wrong)).toEqual([]);
});

it.each([
  [0x3f80, 1],
  [0xc000, -2],
  [0x4049, 3.140625],
  [0x7f7f, 255 * 2 ** 120],
  [0x0080, 2 ** -126],
  [0x0001, 2 ** -133],
  [0x7f80, Infinity],
  [0xff80, -Infinity],
  [0x7fc0, NaN],
  [0xff81, NaN],
  [0x8000, -0],
])("decodes 0x%s of bfloat16", (bits, value) => {
  expect(decodeBfloat16(Uint16Array.of(bits))[0]).toBe(value);
});

interface Golden {
  /** A double, its bytes in hexadecimal with the sign first, and its pattern. */
  float16: [double: string, bits: number][];
  bfloat16: [double: string, bits: number][];
}

const golden: Golden = JSON.parse(readFileSync(new URL("../io/fixtures/half.json", import.meta.url), "utf8"));

const formats = [
  {
    name: "float16",
    encode: encodeFloat16,
    decode: decodeFloat16,
    round: roundToFloat16,
    golden: golden.float16,
    infinity: 0x7c00,
    nan: 0x7e00,
    step: 2 ** 16,
  },
  {
    name: "bfloat16",
    encode: encodeBfloat16,
    decode: decodeBfloat16,
    round: roundToBfloat16,
    golden: golden.bfloat16,
    infinity: 0x7f80,
    nan: 0x7fc0,
    step: 2 ** 128,
  },
];

describe.each(formats)("rounding to $name", ({ encode, decode, round, golden, infinity, nan, step }) => {
  /** Every finite number that is not negative, by its pattern, and the one that would follow the largest. */
  const numbers = [...decode(every.subarray(0, infinity)), step];

  /** Nearest of the list, ties to even: by comparison of distances, each exact (a power of two apart at most). */
  function nearest(magnitude: number): number {
    let [low, high] = [0, infinity];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (numbers[middle]! <= magnitude) low = middle;
      else high = middle;
    }
    if (magnitude >= step) return infinity;
    const half = (numbers[low]! + numbers[high]!) / 2;
    return magnitude < half || (magnitude === half && low % 2 === 0) ? low : high;
  }

  it("gives what Python gives, from the double, on both sides of every tie", () => {
    const doubles = golden.map(([hex]) => Buffer.from(hex, "hex").readDoubleBE());
    expect(doubles.length).toBeGreaterThan(600);
    expect(Array.from(encode(Float64Array.from(doubles)))).toEqual(golden.map(([, bits]) => bits));
  });

  it("leaves every number of the format as it is, with its sign, and makes every NaN the quiet one", () => {
    const decoded = decode(every);
    const kept = every.map((bits) => ((bits & 0x7fff) > infinity ? nan : bits));
    expect(encode(decoded)).toEqual(kept);
    expect(encode(Float64Array.from(decoded))).toEqual(kept);
    expect(round(decoded)).toEqual(decoded);
  });

  it("takes the middle of any two neighbors to the even one, and what is beside it to the nearer", () => {
    const wrong: number[] = [];
    const middles = Float64Array.from({ length: infinity }, (_, low) => (numbers[low]! + numbers[low + 1]!) / 2);
    const bits = new BigUint64Array(middles.buffer.slice(0));
    const ties = encode(middles);
    const below = encode(new Float64Array(bits.map((word) => word - 1n).buffer));
    const above = encode(new Float64Array(bits.map((word) => word + 1n).buffer));
    for (let low = 0; low < infinity; low++) {
      const right = below[low] === low && above[low] === low + 1 && ties[low] === low + (low % 2);
      if (!right) wrong.push(low);
    }
    expect(wrong).toEqual([]);
  });

  it("gives the nearest number for any double and any float32, whatever its sign", () => {
    const within = fc.double({ min: -1.1 * step, max: 1.1 * step, noNaN: true });
    const small = fc.double({ min: -4 * numbers[300]!, max: 4 * numbers[300]!, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(within, small, fc.double({ noNaN: true }), fc.float({ noNaN: true })), (value) => {
        const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
        const bits = sign | nearest(Math.abs(value));
        expect(encode(Float64Array.of(value))[0]).toBe(bits);
        expect(round(Float64Array.of(value))[0]).toBe(decode(Uint16Array.of(bits))[0]);
        if (Math.fround(value) === value) expect(encode(Float32Array.of(value))[0]).toBe(bits);
      }),
      { numRuns: 5000 },
    );
  });

  it("keeps the array's type, and writes into the array it is given, the input's own too", () => {
    const data = Float64Array.of(1.0001, -3);
    expect(round(data)).toEqual(Float64Array.of(1, -3));
    expect(round(Float32Array.of(1.0001))).toEqual(Float32Array.of(1));
    expect(round(data, data)).toBe(data);
    expect(data).toEqual(Float64Array.of(1, -3));
    const out = new Uint16Array(2);
    expect(encode(data, out)).toBe(out);
    expect(decode(out)).toEqual(Float32Array.of(1, -3));
  });

  it("refuses an array of another length to write into", () => {
    const refusal = expect.objectContaining({ code: "argument", field: "out", found: "3 places for 2 numbers" });
    expect(() => encode(new Float32Array(2), new Uint16Array(3))).toThrow(refusal);
    expect(() => round(new Float32Array(2), new Float32Array(3))).toThrow(refusal);
  });
});

it("rounds a double once: by way of float32 it would round twice", () => {
  // 1 + 2^-11 + 2^-30 lies above the tie; as a float32 it is the tie itself.
  const value = 1 + 2 ** -11 + 2 ** -30;
  expect(Math.fround(value)).toBe(1 + 2 ** -11);
  expect(encodeFloat16(Float64Array.of(value))[0]).toBe(0x3c01);
  expect(encodeFloat16(Float32Array.of(value))[0]).toBe(0x3c00);
});
