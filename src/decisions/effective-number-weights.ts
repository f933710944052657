import { rejectUnknown } from "../errors/index.js";
import { expm1, log } from "../numerics/index.js";
import { type Tensor, view } from "../tensor/index.js";
import { type Numbers, readCounts, wrong } from "./numbers.js";

const where = "effectiveNumberWeights";

/**
 * Class weights by the effective number of examples: of n examples that overlap, (1 − β^n) / (1 − β) are new.
 *   w_k ∝ (1 − β) / (1 − β^n_k),   scaled so that Σ_k w_k = K
 * β = 0 gives weight 1 to every class; β → 1 gives 1/n_k, `inverseFrequencyWeights` but for the scale. Between them a
 * class stops gaining weight where n_k is well below 1/(1 − β), and stops losing it well above.
 * 1 − β^n is formed as −expm1(n log β), which keeps its digits for β next to 1.
 *
 * @param counts - `[K]`: examples of each class, of any dtype
 * @param options - `beta` in [0, 1): 1 − 1/N for a data set whose classes hold about N different examples; often 0.999
 * @returns `[K]`, for the option `classWeights`
 * @throws `argument`, `role`, `shape`; `value` for a class without examples, naming it; `unknown` and `option`
 * @see Cui et al. 2019, eq. 4
 *
 * @example
 * crossEntropy({ classWeights: [...effectiveNumberWeights([5000, 500, 50], { beta: 0.999 }).data] });
 */
export function effectiveNumberWeights(
  counts: Numbers,
  options: { readonly beta: number },
): Tensor<"weights", "float64"> {
  rejectUnknown(where, "option", options ?? {}, ["beta"]);
  const { beta } = options ?? {};
  if (typeof beta !== "number" || !(beta >= 0 && beta < 1)) {
    const fix = "for weights by plain frequency use inverseFrequencyWeights.";
    throw wrong(where, "option", "beta", String(beta), "a number at least 0 and below 1", fix);
  }
  const data = readCounts(where, counts);
  const rate = log(beta);
  const inverses = data.map((count) => -1 / expm1(count * rate));
  const total = inverses.reduce((sum, inverse) => sum + inverse, 0);
  const weights = inverses.map((inverse) => (inverse / total) * data.length);
  return view(weights, [data.length], "weights", "float64");
}
