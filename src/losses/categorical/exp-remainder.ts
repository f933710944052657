import { expm1 } from "../../numerics/index.js";

/**
 * e^x − 1 − x, what the exponential has beyond its tangent; never negative, derivative e^x − 1.
 *
 * Within a quarter of 0 by its series x²/2 (1 + x/3 (1 + x/4 (1 + …))), since the difference would cancel. −∞ and +∞ give
 * +∞, NaN gives NaN.
 */
export function expRemainder(x: number): number {
  if (!(x > -0.25 && x < 0.25)) return x === Number.POSITIVE_INFINITY ? x : expm1(x) - x;
  let series = 1;
  for (let n = 13; n > 2; n--) series = 1 + (x / n) * series;
  return (x * x * series) / 2;
}
