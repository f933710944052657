import { log1pExp, sigmoid } from "../../numerics/index.js";

/**
 * a log(1 + e^−z) + b log(1 + e^z): the negative log-likelihood of a logit z, with weight a on 1 and b on 0.
 *
 * A term of weight 0 is silent, also where its logarithm is infinite. +∞ is NaN, as an input that no model should give;
 * −∞ is a certain 0.
 */
export function bernoulliLoss(z: number, a: number, b: number): number {
  if (!(z < Number.POSITIVE_INFINITY)) return Number.NaN;
  return (a === 0 ? 0 : a * log1pExp(-z)) + (b === 0 ? 0 : b * log1pExp(z));
}

/** Its derivative by z: −a σ(−z) + b σ(z). */
export function bernoulliSlope(z: number, a: number, b: number): number {
  return z < Number.POSITIVE_INFINITY ? b * sigmoid(z) - a * sigmoid(-z) : Number.NaN;
}
