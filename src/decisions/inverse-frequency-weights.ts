import { type Tensor, view } from "../tensor/index.js";
import { type Numbers, readCounts } from "./numbers.js";

/**
 * Class weights that give every class the same share of the loss: w_k = n / (K n_k), n = Σ_k n_k.
 * Every n_k w_k is n/K, so the weights of a whole epoch sum to n and balanced classes have weight 1. They rise without
 * bound for rare classes: 1 example among 100 000 weighs 50 000 of two classes; `effectiveNumberWeights` rises slower.
 * A model trained with them answers for a world where classes are equally frequent: calibrate before using its
 * probabilities.
 *
 * @param counts - `[K]`: examples of each class, of any dtype
 * @returns `[K]`, for the option `classWeights`
 * @throws `argument`, `role`, `shape`; `value` for a class without examples, naming it
 * @see scikit-learn `compute_class_weight("balanced")`; King and Zeng 2001
 *
 * @example
 * crossEntropy({ classWeights: [...inverseFrequencyWeights([90, 9, 1]).data] });
 */
export function inverseFrequencyWeights(counts: Numbers): Tensor<"weights", "float64"> {
  const data = readCounts("inverseFrequencyWeights", counts);
  const total = data.reduce((sum, count) => sum + count, 0);
  const weights = data.map((count) => total / (data.length * count));
  return view(weights, [data.length], "weights", "float64");
}
