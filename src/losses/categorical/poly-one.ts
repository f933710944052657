import { numberOption } from "../../contract/index.js";
import { expRemainder } from "./exp-remainder.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss, perTargetClass } from "./softmax-loss.js";

/** Options of {@link polyOne}. */
export interface PolyOneOptions extends LabelOptions {
  /** ε: weight of the added term 1 − p; 0 is cross entropy. Default 1. */
  readonly epsilon: number;
}

/**
 * Poly-1 loss: cross entropy with the first term of its expansion in 1 − p moved.
 *   loss     = −log p_y + ε (1 − p_y),     Σ_k q_k (−log p_k + ε (1 − p_k)) for targets
 *   d/dz_k   = (1 + ε p_y) (p_k − 1[k = y])
 * −log p = Σ_j (1 − p)^j / j begins with 1 − p; ε > 0 adds to it, ε = −1 takes it out, ε = 0 is cross entropy. Below −1
 * the loss falls below 0 and has its least value short of p = 1. Formed as (1 + ε)(1 − p) + (e^x − 1 − x) at x = log p, which
 * keeps its digits for ε = −1 too. A label whose logit is −∞ gives +∞; NaN or +∞ gives NaN, with a note.
 * Leng et al. 2022, eq. 6; optax `poly_loss_cross_entropy`.
 */
export const polyOne = /*#__PURE__*/ defineSoftmaxLoss<PolyOneOptions>({
  name: "polyOne",
  documentation: {
    summary: "Cross entropy plus epsilon times 1 − p.",
    formula: "−log p_y + ε (1 − p_y);  Σ_k q_k (−log p_k + ε (1 − p_k)) for targets",
    gradient: "d/dz_k = (1 + ε p_y) (p_k − 1[k = y])",
    likelihood: {
      target: "single class",
      distribution: "none but for epsilon 0: the categorical's negative log-likelihood plus a term that is none",
    },
    pitfalls: [
      "Its value is no negative log-likelihood: a perplexity of it means nothing.",
      "A positive epsilon makes the model surer of itself, a negative one less sure: calibrate again after changing it.",
      "Below −1 the gradient turns round near p = 1 and pushes right answers away.",
    ],
    metric: "accuracy",
    source: "Leng et al. 2022, eq. 6; optax poly_loss_cross_entropy",
  },
  options: { ...labelOptions, epsilon: numberOption("weight of the added term 1 − p; 0 is cross entropy", 1) },
  describe: (options) => `cross entropy plus ${options.epsilon} times (1 − p) of ${describeLabels(options)}`,
  row: ({ epsilon }, target) =>
    perTargetClass(
      target,
      // −log p = (1 − p) + (what the exponential at log p has beyond its tangent): for ε = −1 nothing cancels.
      (softmax, k) => (1 + epsilon) * softmax.complement(k) + expRemainder(-softmax.negativeLog(k)),
      (softmax, k) => 1 + epsilon - epsilon * softmax.complement(k),
    ),
});
