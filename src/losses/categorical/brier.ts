import { addExpectationGradient } from "./expectation.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss } from "./softmax-loss.js";

/** Options of {@link brier}: those of labels alone. */
export type BrierOptions = LabelOptions;

/**
 * Brier score of the softmax p of logits against a target q, 1 at a label and 0 elsewhere.
 *   loss     = Σ_k (p_k − q_k)²
 *   d/dz_j   = 2 p_j (d_j − Σ_k p_k d_k),   d = p − q
 * No factor 1/2. Between 0 and 2 for labels, least at the true probabilities: a proper score. The difference at a
 * probable class is (1 − q_k) − (1 − p_k), so that p_y = 1 − 1e-18 keeps its digits. A class whose logit is −∞ has p = 0
 * and gradient 0; NaN or +∞ gives NaN, with a note. Brier 1950, the sum over classes.
 */
export const brier = /*#__PURE__*/ defineSoftmaxLoss<BrierOptions>({
  name: "brier",
  documentation: {
    summary: "The squared distance of predicted probabilities and labels, summed over classes.",
    formula: "Σ_k (p_k − q_k)²,  p = softmax(z)",
    gradient: "d/dz_j = 2 p_j (d_j − Σ_k p_k d_k),  d = p − q",
    likelihood: {
      target: "single class, calibrated probabilities wanted",
      distribution: "none: a proper score, not a log-likelihood",
    },
    pitfalls: [
      "The gradient vanishes where the model is sure and wrong: from a bad start it learns slowly, where cross entropy pulls hardest.",
      "For two classes it is twice the Brier score of the probability of one of them, which most metrics report.",
    ],
    metric: "brierScore, expectedCalibrationError",
    source: "Brier 1950",
  },
  options: labelOptions,
  describe: (options) =>
    `Brier score of ${describeLabels(options)}, the squares summed over classes, without factor 1/2`,
  row(_, { softmax, weights }) {
    const distances = new Float64Array(weights.length);
    return {
      loss() {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          const [p, q] = [softmax.probability(k), weights[k]!];
          const distance = p > 0.5 ? 1 - q - softmax.complement(k) : p - q;
          distances[k] = 2 * distance;
          sum += distance * distance;
        }
        return sum;
      },
      gradient(own) {
        own.fill(0);
        addExpectationGradient(softmax, distances, own);
      },
    };
  },
});
