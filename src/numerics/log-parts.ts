import { highWord, LOW, POWER_ZERO, POWERS_OF_TWO } from "./bits.js";
import { FIRST_WORD, LN2_HIGH, LN2_LOW, RECIPROCALS } from "./tables/log.js";

/** 1.5·2¹¹: adding and taking it away rounds a number below 2 to a multiple of 2^−41. */
const CUT_AT_41_BITS = 3072;

/** 1.5·2¹⁹: the same for multiples of 2^−33. */
const CUT_AT_33_BITS = 786432;

/**
 * log((x + xLow) / 2^shift) for a positive normal x and a correction |xLow| ≤ ulp(x); below 0.52 ulp, near 1 too.
 *
 * Table-driven (Tang, ACM TOMS 16, 1990; reciprocals in place of divisions after Gal and Bachelis 1991).
 * x = 2^e·m with m in [0.703, 1.406), c a reciprocal of ten bits for m's interval, r = mc − 1, |r| < 2^−7:
 *   log x = e·ln2 − log c + log(1 + r).
 * m is cut at 2^−41, so that both pieces times c are exact; around 1, c = 1 and log c = 0, so r = x − 1 and nothing
 * cancels. log(1 + r) is its Taylor polynomial of degree 8: the next term is worth 2^−59 r.
 */
export function logOfSum(x: number, xLow: number, shift: number): number {
  const offset = (highWord(x) - FIRST_WORD) | 0;
  const e = offset >> 20;
  const i = 3 * ((offset >> 13) & 127);
  const c = RECIPROCALS[i];
  const scale = POWERS_OF_TWO[POWER_ZERO - e];

  const m = x * scale;
  const cut = m + CUT_AT_41_BITS - CUT_AT_41_BITS;
  const rHigh = cut * c - 1;
  const rLow = (m - cut + xLow * scale) * c;
  const r = rHigh + rLow;
  const rLost = rHigh - r + rLow;

  const n = e - shift;
  const whole = n * LN2_HIGH + RECIPROCALS[i + 1];
  const high = whole + r;
  const lost = whole - high + r;

  const r2 = r * r;
  const upper = 1 / 5 - r * (1 / 6) + r2 * (1 / 7 - r * (1 / 8));
  const p = r2 * (r * (1 / 3) - 1 / 2 + r2 * (r * upper - 1 / 4));
  return high + (lost + (rLost + (n * LN2_LOW + RECIPROCALS[i + 2]) + p));
}

/**
 * log(x / 2^shift) for a positive normal x as an unevaluated sum: returns the rounded value and leaves in LOW what it lacks;
 * together they are good to 2^−66, which is what x^y needs, where the logarithm is multiplied by up to a thousand.
 *
 * As `logOfSum`, with two refinements: −r²/2 is formed exactly, from a head of r of 26 bits and its tail, and the
 * polynomial goes to degree 10.
 */
export function logParts(x: number, shift: number): number {
  const offset = (highWord(x) - FIRST_WORD) | 0;
  const e = offset >> 20;
  const i = 3 * ((offset >> 13) & 127);
  const c = RECIPROCALS[i];

  const m = x * POWERS_OF_TWO[POWER_ZERO - e];
  const cut = m + CUT_AT_41_BITS - CUT_AT_41_BITS;
  const rHigh = cut * c - 1;
  const rLow = (m - cut) * c;
  const r = rHigh + rLow;
  const rLost = rHigh - r + rLow;

  const n = e - shift;
  const whole = n * LN2_HIGH + RECIPROCALS[i + 1];
  const first = whole + r;
  const firstLost = whole - first + r;

  const head = r + CUT_AT_33_BITS - CUT_AT_33_BITS;
  const tail = r - head;
  const square = -0.5 * head * head;
  const squareLow = -0.5 * tail * (r + head);
  const second = first + square;
  const secondLost = first - second + square;

  const r2 = r * r;
  const upper = 1 / 7 - r * (1 / 8) + r2 * (1 / 9 - r * (1 / 10));
  const p = r * r2 * (1 / 3 - r * (1 / 4) + r2 * (1 / 5 - r * (1 / 6) + r2 * upper));
  const small = rLost - rLost * r + squareLow + (n * LN2_LOW + RECIPROCALS[i + 2]);
  const rest = firstLost + secondLost + (small + p);
  const high = second + rest;
  LOW[0] = rest - (high - second);
  return high;
}
