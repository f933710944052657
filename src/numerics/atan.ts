import { highWord } from "./bits.js";
import { ARCTANGENTS, FIRST_WORD, HALF_PI_HIGH, HALF_PI_LOW } from "./tables/atan.js";

/**
 * Arctangent of x in radians, in [−π/2, π/2], within 0.6 ulp. Derivative: 1/(1 + x²).
 *
 * atan(±0) = ±0, atan(±∞) = ±π/2 (the nearest double), atan(NaN) = NaN. Subnormal x returns x.
 *
 * Algorithm: `atanOfSum`.
 */
export function atan(x: number): number {
  if (x > 0) return atanOfSum(x, 0);
  return x < 0 ? -atanOfSum(-x, 0) : x; // ±0 and NaN
}

/**
 * arctan(x + xLow) for x > 0 and a correction |xLow| ≤ ulp(x).
 *
 * From 1/16 to 32 a table of middles c, sixteen a binade, and the subtraction theorem:
 *   arctan x = arctan c + arctan((x − c)/(1 + xc)).
 * The last term is at most a thirtieth of the first, so its roundings weigh little. Below 1/16 the Taylor polynomial of
 * degree 15; from 32 on π/2 − arctan(1/x) with the same polynomial. After Gal and Bachelis, ACM TOMS 17, 1991.
 */
export function atanOfSum(x: number, xLow: number): number {
  if (x < 0.0625) return x + (smallArctangentRest(x) + xLow);
  if (x < 32) {
    const i = 3 * ((highWord(x) - FIRST_WORD) >> 16);
    const c = ARCTANGENTS[i];
    const t = (x - c + xLow) / (1 + x * c);
    return ARCTANGENTS[i + 1] + (t + (ARCTANGENTS[i + 2] + smallArctangentRest(t)));
  }
  const inverse = 1 / x; // an ulp of it is far below one of π/2, and so is xLow's effect
  return HALF_PI_HIGH + (HALF_PI_LOW - (inverse + smallArctangentRest(inverse)));
}

/** arctan t − t for |t| < 1/16: the next term, t¹⁷/17, is worth 2^−68 t. */
function smallArctangentRest(t: number): number {
  const t2 = t * t;
  const t4 = t2 * t2;
  const upper = 1 / 11 - t2 * (1 / 13) + t4 * (1 / 15);
  return -t * t2 * (1 / 3 - t2 * (1 / 5) + t4 * (1 / 7 - t2 * (1 / 9) + t4 * upper));
}
