import { type Tensor, view } from "../tensor/index.js";
import { checkPresent, countLabels } from "./label-counts.js";
import type { Numbers } from "./numbers.js";

const where = "posWeightFrom";

/**
 * The `posWeight` that gives positives and negatives the same share of a binary loss: negatives / positives.
 * A model trained with it answers for a world where both are equally frequent: `undoPosWeight` takes it back.
 * Soft targets count in part: Σ(1 − y) / Σ y. A class without negatives gives 0.
 *
 * @param targets - `[N]` or `[N, C]` of 0 and 1 of any dtype; further leading axes are examples too
 * @returns a number for `[N]`; one a class, `[C]`, for more axes
 * @throws `argument`, `role`, `shape`; `value` for a target outside [0, 1] or a class without positives, naming it
 * @see torch `BCEWithLogitsLoss`, `pos_weight`
 *
 * @example
 * binaryCrossEntropy({ posWeight: posWeightFrom([1, 0, 0, 0]) as number });
 */
export function posWeightFrom(targets: Numbers<"targets" | "probabilities">): number | Tensor<"weights", "float64"> {
  const { positives, negatives, isSingle } = countLabels(where, targets);
  const fix = "a label that never occurs cannot be weighted up: collect positives, or leave the label out.";
  checkPresent(where, positives, "positive", isSingle, fix);
  const weights = negatives.map((count, k) => count / positives[k]!);
  return isSingle ? weights[0]! : view(weights, [weights.length], "weights", "float64");
}
