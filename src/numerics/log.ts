import { SMALLEST_NORMAL, SUBNORMAL_LIFT, SUBNORMAL_SHIFT } from "./bits.js";
import { logOfSum } from "./log-parts.js";

/**
 * Natural logarithm of x, within 0.52 ulp, near 1 as elsewhere.
 *
 * log(1) = +0, log(±0) = −∞, log(+∞) = +∞, log(x) = NaN for x < 0 and NaN. A subnormal x has the same error bound.
 *
 * Algorithm and reference: `logOfSum`.
 */
export function log(x: number): number {
  if (x >= SMALLEST_NORMAL && x < Infinity) return logOfSum(x, 0, 0);
  if (x > 0) return x === Infinity ? x : logOfSum(x * SUBNORMAL_LIFT, 0, SUBNORMAL_SHIFT);
  return x === 0 ? -Infinity : NaN;
}
