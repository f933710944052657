import { logOfSum } from "./log-parts.js";

/**
 * log(1 + x) without losing the small digits of x in the sum, within 0.52 ulp.
 *
 * log1p(±0) = ±0, log1p(−1) = −∞, log1p(+∞) = +∞, log1p(x) = NaN for x < −1 and NaN. Subnormal x returns x.
 *
 * 1 + x is carried as its rounded value and the exact remainder (Dekker 1971) into `logOfSum`.
 */
export function log1p(x: number): number {
  if (x > -1 && x < Infinity) {
    if (x === 0) return x; // the sum would turn −0 into +0
    const sum = 1 + x;
    return logOfSum(sum, x < 1 ? 1 - sum + x : x - sum + 1, 0);
  }
  if (x === -1) return -Infinity;
  return x === Infinity ? x : NaN;
}
