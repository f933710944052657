import { numberOption } from "../../contract/index.js";
import { exp, expm1 } from "../../numerics/index.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss, perTargetClass } from "./softmax-loss.js";

/** Options of {@link generalizedCrossEntropy}. */
export interface GeneralizedCrossEntropyOptions extends LabelOptions {
  /** q in (0, 1]: towards 0 cross entropy, at 1 the mean absolute error of the probabilities, halved. Default 0.7. */
  readonly q: number;
}

/**
 * Generalized cross entropy: bounded, so that a wrong label cannot pull without end.
 *   loss     = (1 − p_y^q) / q,     Σ_k t_k (1 − p_k^q) / q for targets t
 *   d/dz_k   = p_y^q (p_k − 1[k = y])
 * The gradient is cross entropy's times p_y^q: labels the model finds improbable count less. q → 0 is cross entropy,
 * q = 1 is 1 − p_y. Formed as −expm1(q log p_y) / q, which keeps its digits for small q and where p_y rounds to 1.
 * A label whose logit is −∞ gives 1/q, with gradient 0; NaN or +∞ gives NaN, with a note.
 * Zhang and Sabuncu 2018, eq. 6.
 */
export const generalizedCrossEntropy = /*#__PURE__*/ defineSoftmaxLoss<GeneralizedCrossEntropyOptions>({
  name: "generalizedCrossEntropy",
  documentation: {
    summary: "A bounded loss between cross entropy and absolute error, for labels that are sometimes wrong.",
    formula: "(1 − p_y^q) / q;  Σ_k t_k (1 − p_k^q) / q for targets",
    gradient: "d/dz_k = p_y^q (p_k − 1[k = y])",
    likelihood: {
      target: "single class, labels partly wrong",
      distribution: "none: robust by design, cross entropy as q → 0",
    },
    pitfalls: [
      "The gradient vanishes with p_y: with many classes and q near 1 training from scratch hardly starts. Begin with cross entropy or a small q.",
      "Hard examples look like wrong labels and are turned down with them.",
    ],
    metric: "accuracy on clean labels",
    source: "Zhang and Sabuncu 2018, eq. 6",
  },
  options: {
    ...labelOptions,
    q: numberOption("towards 0 cross entropy, at 1 the absolute error 1 − p", 0.7, { above: 0, atMost: 1 }),
  },
  describe: (options) => `generalized cross entropy (1 − p^q)/q of ${describeLabels(options)}, q ${options.q}`,
  row: ({ q }, target) =>
    perTargetClass(
      target,
      (softmax, k) => -expm1(-q * softmax.negativeLog(k)) / q,
      (softmax, k) => exp(-q * softmax.negativeLog(k)),
    ),
});
