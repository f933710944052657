import { SoftmaxRow } from "../softmax-row.js";
import type { Items, ListMath } from "./list.js";

/**
 * Cross entropy of weights w against the softmax of a list's scores: −Σ_k w_k log p_k.
 *   d/ds_k = (Σ w) p_k − w_k, formed as (Σ_{j≠k} w_j) p_k − w_k (1 − p_k), which does not cancel for one weight alone
 * An item of weight 0 is silent, also where its logarithm is infinite; a list of nothing but −∞ gives NaN.
 *
 * @param weigh - writes the weights of the items, before each loss
 */
export function crossEntropyOfList(length: number, weigh: (items: Items, weights: Float64Array) => void): ListMath {
  const softmax = new SoftmaxRow(length);
  const weights = new Float64Array(length);
  return {
    loss(items) {
      weigh(items, weights);
      softmax.update(items.scores);
      if (softmax.broken) return Number.NaN;
      let loss = 0;
      for (let k = 0; k < items.count; k++) if (weights[k] !== 0) loss += weights[k]! * softmax.negativeLog(k);
      return loss;
    },
    gradient({ count, gradient }) {
      if (softmax.broken) {
        gradient.fill(Number.NaN);
        return;
      }
      let sum = 0;
      for (let k = 0; k < count; k++) sum += weights[k]!;
      for (let k = 0; k < count; k++) {
        gradient[k] = (sum - weights[k]!) * softmax.probability(k) - weights[k]! * softmax.complement(k);
      }
    },
  };
}
