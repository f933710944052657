import { weightedGradient, weightedLoss } from "../categorical/target-weights.js";
import { SoftmaxRow } from "../softmax-row.js";
import type { Items, ListMath } from "./list.js";

/**
 * Cross entropy of weights w against the softmax p of a list's scores: −Σ_k w_k log p_k, with the derivative
 * (Σ w) p_k − w_k. A list of nothing but −∞ gives NaN.
 *
 * @param weigh - writes the weights of the items, 0 beyond them
 */
export function crossEntropyOfList(length: number, weigh: (items: Items, weights: Float64Array) => void): ListMath {
  const softmax = new SoftmaxRow(length);
  const weights = new Float64Array(length);
  return {
    loss(items) {
      weigh(items, weights);
      softmax.update(items.scores);
      return softmax.broken ? Number.NaN : weightedLoss(weights, softmax);
    },
    gradient({ gradient }) {
      if (softmax.broken) gradient.fill(Number.NaN);
      else weightedGradient(weights, softmax, gradient);
    },
  };
}
