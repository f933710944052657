/** What the elementary functions share: the bits of a double, powers of two, and exact remainders of rounded operations. */

const DOUBLE = new Float64Array(1);
const WORDS = new Uint32Array(DOUBLE.buffer);

/** Which half of WORDS holds sign, exponent and the top of the mantissa: 1 on little-endian machines. */
const HIGH = /* @__PURE__ */ (() => {
  DOUBLE[0] = 1;
  return WORDS[1] === 0 ? 0 : 1;
})();

/** Sign, exponent and the top 20 bits of the mantissa of x, as an unsigned 32-bit integer. */
export function highWord(x: number): number {
  DOUBLE[0] = x;
  return WORDS[HIGH];
}

/** POWERS_OF_TWO[n + 1074] = 2^n for −1074 ≤ n ≤ 1023: a load is quicker than putting the bits together. */
export const POWERS_OF_TWO = /* @__PURE__ */ (() => {
  const powers = new Float64Array(2098);
  let power = 5e-324; // 2^−1074
  for (let i = 0; i < powers.length; i++) {
    powers[i] = power;
    power += power;
  }
  return powers;
})();

/** Index of 2⁰ in POWERS_OF_TWO. */
export const POWER_ZERO = 1074;

/** 2^exponent for a whole exponent, exactly: 0 below 2^−1074, +∞ above 2^1023. */
export function powerOfTwo(exponent: number): number {
  if (exponent < -POWER_ZERO) return 0;
  return POWERS_OF_TWO[exponent + POWER_ZERO] ?? Number.POSITIVE_INFINITY;
}

/** Smallest normal double, 2^−1022. */
export const SMALLEST_NORMAL = 2.2250738585072014e-308;

/** Multiplying a positive subnormal by 2^SUBNORMAL_SHIFT makes it normal, exactly. */
export const SUBNORMAL_SHIFT = 54;
export const SUBNORMAL_LIFT = 18014398509481984;

/** 1.5·2⁵²: adding and taking it away rounds |x| < 2⁵¹ to an integer, ties to even. */
export const ROUNDER = 6755399441055744;

/**
 * Where a function that returns a sum `high + low` leaves its low part, so that nothing is allocated. The caller reads
 * it before it calls anything else.
 */
export const LOW = new Float64Array(1);

/** 2²⁷ + 1 cuts a double in two halves of 26 bits (Veltkamp 1968). */
const SPLITTER = 134217729;

/**
 * a·b − p for p = fl(a·b), exactly (Dekker 1971): the halves' products are exact and are added from the largest down.
 * For |a|, |b| < 2^995, and no p so small that its remainder is subnormal.
 */
export function productRemainder(a: number, b: number, p: number): number {
  const aCut = SPLITTER * a;
  const aHigh = aCut - (aCut - a);
  const aLow = a - aHigh;
  const bCut = SPLITTER * b;
  const bHigh = bCut - (bCut - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - p + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

/**
 * (n + nLow) / (d + dLow), returned as a first quotient q with its correction in LOW, not yet added: the remainder
 * n − q·d is exact, and divided once more it says what q lacks. One reciprocal serves both quotients; that q is an ulp
 * off is part of what the remainder tells.
 */
export function quotientParts(n: number, nLow: number, d: number, dLow: number): number {
  const inverse = 1 / d;
  const q = n * inverse;
  const p = q * d;
  LOW[0] = (n - p - productRemainder(q, d, p) + (nLow - q * dLow)) * inverse;
  return q;
}
