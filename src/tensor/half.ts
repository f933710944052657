/**
 * The two 16-bit floating-point formats. Reading widens exactly: every number of either is a float32. Writing rounds
 * once, from the number as it is given, to the nearest (ties to even); what lies half a step or more above the largest
 * number is infinity.
 */
import { LosswrightError } from "../errors/index.js";

/**
 * IEEE 754 binary16 to float32, exactly: every binary16 number, subnormals and infinities included, is a float32.
 *
 * @param bits - the 16-bit patterns
 */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = valueOfFloat16(bits[i]!);
  return out;
}

/**
 * bfloat16 to float32, exactly: a bfloat16 is the upper half of a float32, so every pattern keeps its meaning, that of
 * a NaN to the bit.
 *
 * @param bits - the 16-bit patterns
 */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  const words = new Uint32Array(out.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return out;
}

/**
 * Numbers as IEEE 754 binary16 patterns, rounded to the nearest, ties to even: from 65520 on infinity, up to 2^-25
 * zero, ±0 and ±∞ as they are; every NaN is the quiet one, 0x7e00.
 *
 * @param data - float64 is rounded once, not by way of float32
 * @param out - where the patterns go, of the same length; a new array without it
 * @throws `argument` for an `out` of another length
 */
export function encodeFloat16(
  data: Float32Array | Float64Array,
  out: Uint16Array = new Uint16Array(data.length),
): Uint16Array {
  checkLength("encodeFloat16", data, out);
  for (let i = 0; i < data.length; i++) out[i] = patternOf(data[i]!, float16);
  return out;
}

/**
 * Numbers as bfloat16 patterns, rounded to the nearest, ties to even: beyond the largest, 255·2^120, by half a step or
 * more infinity, ±0 and ±∞ as they are; every NaN is the quiet one, 0x7fc0.
 *
 * @param data - float64 is rounded once, not by way of float32
 * @param out - where the patterns go, of the same length; a new array without it
 * @throws `argument` for an `out` of another length
 */
export function encodeBfloat16(
  data: Float32Array | Float64Array,
  out: Uint16Array = new Uint16Array(data.length),
): Uint16Array {
  checkLength("encodeBfloat16", data, out);
  for (let i = 0; i < data.length; i++) out[i] = patternOf(data[i]!, bfloat16);
  return out;
}

/**
 * The float16 nearest to each number, as a number of the array's own type: what is left of it after a round trip
 * through half precision. Rounds as {@link encodeFloat16} does.
 *
 * @param out - where the numbers go, `data` itself included; a new array without it
 * @throws `argument` for an `out` of another length
 */
export function roundToFloat16(data: Float32Array, out?: Float32Array): Float32Array;
export function roundToFloat16(data: Float64Array, out?: Float64Array): Float64Array;
export function roundToFloat16(data: Float32Array | Float64Array, out = emptyLike(data)): Float32Array | Float64Array {
  checkLength("roundToFloat16", data, out);
  for (let i = 0; i < data.length; i++) out[i] = valueOfFloat16(patternOf(data[i]!, float16));
  return out;
}

/**
 * The bfloat16 nearest to each number, as a number of the array's own type: what is left of it after a round trip
 * through bfloat16. Rounds as {@link encodeBfloat16} does.
 *
 * @param out - where the numbers go, `data` itself included; a new array without it
 * @throws `argument` for an `out` of another length
 */
export function roundToBfloat16(data: Float32Array, out?: Float32Array): Float32Array;
export function roundToBfloat16(data: Float64Array, out?: Float64Array): Float64Array;
export function roundToBfloat16(data: Float32Array | Float64Array, out = emptyLike(data)): Float32Array | Float64Array {
  checkLength("roundToBfloat16", data, out);
  const value = new Float32Array(1);
  const word = new Uint32Array(value.buffer);
  for (let i = 0; i < data.length; i++) {
    word[0] = patternOf(data[i]!, bfloat16) << 16;
    out[i] = value[0]!;
  }
  return out;
}

// ---- one number ----

/** A format whose normal numbers begin at 2^leastExponent and have `mantissaBits` behind the leading one. */
interface Half {
  readonly mantissaBits: number;
  readonly leastExponent: number;
  readonly infinity: number;
  readonly nan: number;
}

const float16: Half = { mantissaBits: 10, leastExponent: -14, infinity: 0x7c00, nan: 0x7e00 };
const bfloat16: Half = { mantissaBits: 7, leastExponent: -126, infinity: 0x7f80, nan: 0x7fc0 };

function valueOfFloat16(half: number): number {
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  // 2^-24 is the unit of a subnormal; a normal number is (1024 + mantissa) · 2^(exponent − 25).
  const magnitude =
    exponent === 0
      ? mantissa / 16777216
      : exponent === 31
        ? mantissa === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : exponent >= 25
          ? (1024 + mantissa) * (1 << (exponent - 25))
          : (1024 + mantissa) / (1 << (25 - exponent));
  return half & 0x8000 ? -magnitude : magnitude;
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** Which of the two words holds the exponent: 1 on little-endian machines. */
const high = /*#__PURE__*/ (() => {
  double[0] = 1;
  return words[1] === 0 ? 0 : 1;
})();

/** 2^52: adding and taking it away rounds a smaller positive double to an integer, ties to even. */
const rounder = 4503599627370496;

function patternOf(value: number, { mantissaBits, leastExponent, infinity, nan }: Half): number {
  if (Number.isNaN(value)) return nan;
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  double[0] = magnitude;
  const exponent = Math.max((words[high]! >>> 20) - 1023, leastExponent);
  if (exponent > 1 - leastExponent) return sign | infinity;
  // Steps of the format at this exponent: the product is exact, since 2^(mantissaBits − exponent) is made of bits.
  words[1 - high] = 0;
  words[high] = (1023 + mantissaBits - exponent) << 20;
  const steps = magnitude * double[0] + rounder - rounder;
  // The leading one of a normal number is in the steps, and raises the exponent above it by one; so does a carry.
  return sign | (((exponent - leastExponent) << mantissaBits) + steps);
}

function emptyLike(data: Float32Array | Float64Array): Float32Array | Float64Array {
  return data instanceof Float32Array ? new Float32Array(data.length) : new Float64Array(data.length);
}

function checkLength(where: string, data: ArrayLike<unknown>, out: ArrayLike<unknown>): void {
  if (out.length === data.length) return;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "out",
    found: `${out.length} places for ${data.length} numbers`,
    expected: "as many",
    fix: `make it with length ${data.length}, or leave it out.`,
  });
}
