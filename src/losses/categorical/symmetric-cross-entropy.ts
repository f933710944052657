import { numberOption } from "../../contract/index.js";
import { log } from "../../numerics/index.js";
import { addExpectationGradient, expectation } from "./expectation.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss } from "./softmax-loss.js";
import { weightedGradient, weightedLoss } from "./target-weights.js";

/** Options of {@link symmetricCrossEntropy}. */
export interface SymmetricCrossEntropyOptions extends LabelOptions {
  /** Weight of the cross entropy, at least 0. Default 1. */
  readonly alpha: number;
  /** Weight of the reverse cross entropy, at least 0. Default 1. */
  readonly beta: number;
  /** A < 0: what stands for log 0 of the target. Default −4. */
  readonly logZero: number;
}

/**
 * Symmetric cross entropy: cross entropy plus its reverse, which is bounded.
 *   loss     = α (−log p_y) + β (−A) (1 − p_y)
 *   d/dz_k   = (α + β (−A) p_y) (p_k − 1[k = y])
 * The reverse, −Σ_k p_k log q_k, meets log 0 in every class but the label; A stands for it. For targets q the loss is
 * α Σ_k q_k (−log p_k) + β Σ_k p_k (−max(log q_k, A)).
 * The cross entropy learns fast, the bounded part resists wrong labels. A label whose logit is −∞ gives +∞ unless α = 0;
 * NaN or +∞ gives NaN, with a note. Wang et al. 2019, eq. 7 and 8.
 */
export const symmetricCrossEntropy = /*#__PURE__*/ defineSoftmaxLoss<SymmetricCrossEntropyOptions>({
  name: "symmetricCrossEntropy",
  documentation: {
    summary: "Cross entropy plus the bounded reverse cross entropy, for labels that are sometimes wrong.",
    formula: "α (−log p_y) + β (−A) (1 − p_y);  α Σ_k q_k (−log p_k) + β Σ_k p_k (−max(log q_k, A)) for targets",
    gradient: "d/dz_k = (α + β (−A) p_y) (p_k − 1[k = y])",
    likelihood: {
      target: "single class, labels partly wrong",
      distribution: "none: the categorical's negative log-likelihood plus a bounded term",
    },
    pitfalls: [
      "logZero is −4 here and in the paper's text, log(1e-4) ≈ −9.21 in its published code: say which.",
      "Only the products α and β · logZero matter against each other; tune one of the two.",
      "The cross entropy in it is unbounded: with many wrong labels make alpha small.",
    ],
    metric: "accuracy on clean labels",
    source: "Wang et al. 2019, eq. 7 and 8",
  },
  options: {
    ...labelOptions,
    alpha: numberOption("weight of the cross entropy", 1, { atLeast: 0 }),
    beta: numberOption("weight of the reverse cross entropy", 1, { atLeast: 0 }),
    logZero: numberOption("what stands for log 0 of the target", -4, { below: 0 }),
  },
  describe: (options) =>
    `${options.alpha} times cross entropy plus ${options.beta} times reverse cross entropy of ${describeLabels(options)}, log 0 of the target taken as ${options.logZero}`,
  row({ alpha, beta, logZero }, { softmax, weights }) {
    const costs = new Float64Array(weights.length);
    return {
      loss() {
        for (let k = 0; k < weights.length; k++) costs[k] = -beta * Math.max(log(weights[k]!), logZero);
        const reverse = expectation(softmax, costs);
        return alpha === 0 ? reverse : alpha * weightedLoss(weights, softmax) + reverse;
      },
      gradient(own) {
        weightedGradient(weights, softmax, own);
        for (let k = 0; k < own.length; k++) own[k]! *= alpha;
        addExpectationGradient(softmax, costs, own);
      },
    };
  },
});
