import { defineLoss } from "../define-loss.js";
import {
  type CrossEntropyOptions,
  crossEntropyKernel,
  crossEntropyOptions,
  crossEntropyRow,
  crossEntropyUnits,
  describeCrossEntropy,
  settleCrossEntropy,
} from "./cross-entropy-row.js";
import { alignmentOf, type CategoricalBatch, categoricalFields } from "./labels.js";

export type { CrossEntropyOptions } from "./cross-entropy-row.js";

/**
 * Cross entropy of logits z against a label y or a target distribution q.
 *   loss    = −log p_y = log Σ_k exp(z_k) − z_y,     Σ_k q_k (−log p_k) for targets
 *   d/dz_k  = p_k − 1[k = y],                        (Σ q) p_k − q_k for targets
 * The order on logits is soft cap a·tanh(z/a), then /T, then + τ log π; the chain rule goes back through all three.
 *
 * Smoothing makes the target (1 − ε) q + ε/K. With class weights and hard labels the loss is w_y (−log p_y) over Σ w_y;
 * with smoothing (1 − ε) w_y (−log p_y) + (ε/K) Σ_k w_k (−log p_k), still over Σ w_y; with targets they scale the loss
 * and stay out of the denominator (torch). z-loss adds c·lse², weighted by w_y with hard labels.
 *
 * A logit of −∞ forbids its class: loss and gradient 0 there, +∞ where it is the label, NaN where all are −∞ and under
 * NaN or +∞, with a note. A soft cap leaves −∞ what it is.
 * torch `cross_entropy`; z-loss: Chowdhery et al. 2022, section 5; logit adjustment: Menon et al. 2021, eq. 10.
 */
export const crossEntropy = /*#__PURE__*/ defineLoss<CrossEntropyOptions, CategoricalBatch, "logits">({
  name: "crossEntropy",
  family: "categorical",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "The negative log-likelihood of one class among K, from logits.",
    formula: "log Σ_k exp(z_k) − z_y;  Σ_k q_k (−log p_k) for targets",
    gradient: "d/dz_k = p_k − 1[k = y];  (Σ q) p_k − q_k for targets",
    likelihood: { target: "single class", distribution: "categorical" },
    pitfalls: [
      "Takes logits: a softmax before it flattens the gradient, and log(softmax) underflows.",
      "Classes exclude each other: several true labels at once belong in binaryCrossEntropy.",
      "The mean is over the labels that count, weighted: micro-batches and ranks need one numerator over one denominator.",
      "A causal model's logits at t score the label at t + 1: labelShift: 1, once.",
      "With classWeights the probabilities are those of a re-weighted world; calibrate before using them.",
    ],
    metric: "accuracy, macro F1, perplexity for tokens",
    source: "torch cross_entropy",
  },
  options: crossEntropyOptions,
  fields: categoricalFields,
  oneOf: [["labels", "targets"]],
  settle: (options) => settleCrossEntropy("crossEntropy", options),
  alignment: alignmentOf,
  describe: (options) => describeCrossEntropy("cross entropy", options),
  units: crossEntropyUnits,
  kernel: crossEntropyKernel,
  open(batch, work) {
    const row = crossEntropyRow(batch, work);
    const logits = work.rows.logits!;
    return {
      loss: (unit) => row.loss(unit, logits),
      gradient: (unit) => row.gradient(unit, work.own.logits!),
    };
  },
});
