import { powerOfTwo, productRemainder } from "../numerics/index.js";
import type { ExactSum } from "./exact-sum.js";

/**
 * Sums of products without rounding, and their quotients rounded once: moments whose difference would cancel in float64
 * (Σy² − (Σy)²/n, a variance around a large mean) are integers here until the end.
 */

/** Above it a factor is scaled before it is cut in halves, which would overflow; its partner is small then. */
const LARGE = /*#__PURE__*/ powerOfTwo(970);
const SHIFT = /*#__PURE__*/ powerOfTwo(60);

/**
 * Adds a·b as the rounded product and its rounding error, hence exactly; only below 2^−1021 · 2^53 the error itself is
 * rounded to a multiple of the smallest float64. A product that overflows counts as ±∞.
 */
export function addProduct(sum: ExactSum, a: number, b: number): void {
  const product = a * b;
  sum.add(product);
  const error = productError(a, b, product);
  if (error !== 0) sum.add(error);
}

/** Adds w·a·b exactly, as {@link addProduct} does. */
export function addWeightedProduct(sum: ExactSum, weight: number, a: number, b: number): void {
  if (weight === 1) {
    addProduct(sum, a, b);
    return;
  }
  const product = a * b;
  addProduct(sum, weight, product);
  const error = productError(a, b, product);
  if (error !== 0) addProduct(sum, weight, error);
}

/** a·b − product, exact where nothing over- or underflows. */
function productError(a: number, b: number, product: number): number {
  if (product === 0 || !Number.isFinite(product)) return 0;
  if (Math.abs(a) > LARGE) return productRemainder(a / SHIFT, b * SHIFT, product);
  if (Math.abs(b) > LARGE) return productRemainder(a * SHIFT, b / SHIFT, product);
  return productRemainder(a, b, product);
}

/**
 * Exact sums as integers in one common unit, so that they can be multiplied and subtracted without rounding; undefined
 * where one of them holds an infinity or NaN.
 *
 * @returns the integers and the exponent of their unit: sum i is `integers[i] · 2^exponent`
 */
export function alignedIntegers(
  sums: readonly ExactSum[],
): { readonly integers: readonly bigint[]; readonly exponent: number } | undefined {
  if (sums.some((sum) => !Number.isFinite(sum.value) && hasSpecials(sum))) return undefined;
  const parts = sums.map((sum) => {
    const { mantissa, exponent } = sum.toJSON();
    const magnitude = BigInt(mantissa.replace("-", ""));
    return { integer: mantissa.startsWith("-") ? -magnitude : magnitude, exponent };
  });
  const held = parts.filter(({ integer }) => integer !== 0n);
  const exponent = held.reduce((least, part) => Math.min(least, part.exponent), held[0]?.exponent ?? 0);
  const integers = parts.map((part) => (part.integer === 0n ? 0n : part.integer << BigInt(part.exponent - exponent)));
  return { integers, exponent };
}

function hasSpecials(sum: ExactSum): boolean {
  const { nan, inf, "-inf": negative } = sum.toJSON();
  return Boolean(nan ?? inf ?? negative);
}

/**
 * The float64 nearest to numerator / denominator · 2^exponent, ties to even; 0/0 is NaN, n/0 is ±∞.
 */
export function roundedRatio(numerator: bigint, denominator: bigint, exponent = 0): number {
  if (denominator === 0n) return numerator === 0n ? Number.NaN : numerator > 0n ? Infinity : -Infinity;
  if (numerator === 0n) return 0;
  const negative = numerator < 0n !== denominator < 0n;
  const above = numerator < 0n ? -numerator : numerator;
  const below = denominator < 0n ? -denominator : denominator;
  // A quotient of at least 64 bits holds the 53 that count and the one that rounds.
  const shift = Math.max(0, 64 + bitLength(below) - bitLength(above));
  const scaled = above << BigInt(shift);
  let quotient = scaled / below;
  if (quotient * below !== scaled) quotient |= 1n;
  const absolute = scaledNumber(quotient, exponent - shift);
  return negative ? -absolute : absolute;
}

/** The float64 nearest to integer · 2^exponent for an integer ≥ 0, ties to even, subnormal or not. */
function scaledNumber(integer: bigint, exponent: number): number {
  const top = bitLength(integer) + exponent;
  if (top > 1024) return Infinity;
  // Bits below the last one that a float64 of this size has, joined into one that says whether any was set.
  const last = Math.max(top - 53, -1074);
  const drop = last - exponent - 2;
  let kept = integer;
  let unit = exponent;
  if (drop > 0) {
    kept = integer >> BigInt(drop);
    if (kept << BigInt(drop) !== integer) kept |= 1n;
    unit = exponent + drop;
  }
  // At most 55 bits and the sticky one: rounded here once, to a multiple of 2^last, then scaled without rounding.
  const extra = BigInt(Math.max(0, last - unit));
  const half = extra > 0n ? 1n << (extra - 1n) : 0n;
  let rounded = kept >> extra;
  const rest = kept - (rounded << extra);
  if (extra > 0n && (rest > half || (rest === half && (rounded & 1n) === 1n))) rounded += 1n;
  const scale = unit + Number(extra);
  const number = Number(rounded);
  // 2^scale may be below the smallest normal number while the product is not.
  return scale < -1000 ? number * powerOfTwo(-1000) * powerOfTwo(scale + 1000) : number * powerOfTwo(scale);
}

function bitLength(integer: bigint): number {
  return (
    integer.toString(16).length * 4 -
    (integer === 0n ? 4 : Math.clz32(Number.parseInt(integer.toString(16)[0]!, 16)) - 28)
  );
}

/** The root of a ratio ≥ 0 of integers times 2^(2·exponent): the nearest float64 of the ratio, then its root. */
export function rootOfRatio(numerator: bigint, denominator: bigint, exponent = 0): number {
  const even =
    numerator === 0n || denominator === 0n ? 0 : 2 * Math.trunc((bitLength(numerator) - bitLength(denominator)) / 2);
  const scaled =
    even >= 0
      ? roundedRatio(numerator, denominator << BigInt(even))
      : roundedRatio(numerator << BigInt(-even), denominator);
  return Math.sqrt(scaled) * powerOfTwo(even / 2 + exponent);
}
