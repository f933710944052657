import { expm1 } from "../../numerics/index.js";
import { expRemainder } from "../categorical/exp-remainder.js";
import { addExpectationGradient } from "../categorical/expectation.js";
import type { SoftmaxRow } from "../softmax-row.js";

/** A distribution over classes, by its probabilities and their logarithms. */
export type Distribution = Pick<SoftmaxRow, "probability" | "negativeLog">;

/** The mathematics of one unit whose distributions are in place. */
export interface DivergenceMath {
  loss(): number;
  /** Adds factor · d loss / d logits of the model to a row; follows `loss`. */
  addGradient(own: Float64Array, factor: number): void;
}

/**
 * from (e^d − 1 − d) for d = log(to / from): one class's part of KL(from‖to), written so that it is never negative.
 *
 * Σ_k from_k (e^d − 1 − d) = Σ from log(from/to) + Σ to − Σ from, and where both sum to 1 that is the divergence: a sum of
 * parts without a sign, where Σ from log(from/to) cancels to nothing between distributions that are alike.
 * `from` = 0 gives `to`, `to` = 0 gives +∞, both 0 give 0.
 */
export function divergencePart(from: number, to: number, d: number): number {
  if (from === 0) return to;
  return d > -1 && d < 1 ? from * expRemainder(d) : to - from * (1 + d);
}

/** log(to / from) of a class; NaN where both are 0. */
export function logRatio(from: Distribution, to: Distribution, k: number): number {
  return from.negativeLog(k) - to.negativeLog(k);
}

/**
 * KL(target‖model) = Σ_k q_k log(q_k / p_k) with its derivative (Σ q) p − q by the model's logits. p − q is
 * q (e^d − 1) where the two are near.
 *
 * @param excess - Σ q − 1 of the unit: targets need not sum to 1
 */
export function forwardDivergence(
  target: Distribution,
  model: SoftmaxRow,
  classes: number,
  excess: () => number = () => 0,
): DivergenceMath {
  return {
    loss() {
      let sum = 0;
      for (let k = 0; k < classes; k++) {
        sum += divergencePart(target.probability(k), model.probability(k), logRatio(target, model, k));
      }
      return sum + excess();
    },
    addGradient(own, factor) {
      const surplus = excess();
      for (let k = 0; k < classes; k++) {
        const [q, p, d] = [target.probability(k), model.probability(k), logRatio(target, model, k)];
        const difference = d > -1 && d < 1 ? q * expm1(d) : p - q;
        own[k]! += factor * (difference + surplus * p);
      }
    },
  };
}

/**
 * KL(model‖target) = Σ_k p_k log(p_k / q_k) with its derivative p_j (a_j − Σ_k p_k a_k), a = log(p / q), by the model's
 * logits. A class that the target forbids and the model does not makes it +∞.
 */
export function reverseDivergence(
  target: Distribution,
  model: SoftmaxRow,
  classes: number,
  excess: () => number = () => 0,
): DivergenceMath {
  const ratios = new Float64Array(classes);
  const slopes = new Float64Array(classes);
  return {
    loss() {
      let sum = 0;
      for (let k = 0; k < classes; k++) {
        const d = logRatio(model, target, k);
        ratios[k] = -d;
        sum += divergencePart(model.probability(k), target.probability(k), d);
      }
      return sum - excess();
    },
    addGradient(own, factor) {
      slopes.fill(0);
      addExpectationGradient(model, ratios, slopes);
      for (let k = 0; k < classes; k++) own[k]! += factor * slopes[k]!;
    },
  };
}
