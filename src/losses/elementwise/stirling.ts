import { lgamma, log } from "../../numerics/index.js";

/** ½ log 2π */
export const HALF_LOG_2_PI = 0.9189385332046727;

/**
 * What Stirling's formula leaves out: δ(x) = log Γ(x + 1) − ((x + ½) log x − x + ½ log 2π), between 0 and 1/(12x), for
 * x > 0. Densities of counts differ from an exponential of their deviance by a few δ alone; formed from them, no large
 * logarithms of Γ cancel (Loader 2000, Fast and Accurate Computation of Binomial Probabilities).
 *
 * From 10 on the asymptotic series (Abramowitz and Stegun 1964, 6.1.41), whose next term is below 2^−54.
 */
export function stirlingRemainder(x: number): number {
  if (x < 10) return lgamma(x + 1) - ((x + 0.5) * log(x) - x + HALF_LOG_2_PI);
  const inverse = 1 / x;
  const v = inverse * inverse;
  const upper = 1 / 1188 - v * (691 / 360360 - v * (1 / 156));
  return inverse * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v * upper))));
}
