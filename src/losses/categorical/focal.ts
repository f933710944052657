import { flagOption, numberOption, numbersOption } from "../../contract/index.js";
import { pow } from "../../numerics/index.js";
import { softmaxKernel } from "../softmax-kernel.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss, perTargetClass } from "./softmax-loss.js";

/** Options of {@link focal}. */
export interface FocalOptions extends LabelOptions {
  /** γ ≥ 0: how strongly easy examples are turned down; 0 is cross entropy. Default 2. */
  readonly gamma: number;
  /** α_k ≥ 0, one a class: scales the loss and never divides. */
  readonly alpha: readonly number[] | null;
  /** ε in [0, 1): the target becomes (1 − ε) q + ε/K. Default 0. */
  readonly labelSmoothing: number;
  /** Holds (1 − p)^γ constant in the gradient: it then weighs the cross entropy's and pulls no more. Default false. */
  readonly reweightOnly: boolean;
}

/**
 * Focal loss: cross entropy with the easy examples turned down.
 *   loss     = α_y (1 − p_y)^γ (−log p_y),     Σ_k q_k α_k (1 − p_k)^γ (−log p_k) for targets or smoothing
 *   d/dz_k   = s (p_k − 1[k = y]),   s = α_y (1 − p_y)^γ (1 + γ p_y (−log p_y)/(1 − p_y))
 * s is the derivative by −log p_y; `reweightOnly` leaves its second summand out, so that the modulation only weighs.
 * γ = 0 is cross entropy. 1 − p_y is formed from the other classes' mass, so a loss of 1e-50 keeps its digits.
 *
 * p_y → 1 gives 0 with gradient 0 for every γ > 0, also below 1, where (1 − p)^(γ−1) alone would be infinite; a label
 * whose logit is −∞ gives +∞, with cross entropy's gradient. NaN or +∞ gives NaN, with a note.
 * Lin et al. 2017, eq. 5; with several classes in the target as Keras' `CategoricalFocalCrossentropy`.
 */
export const focal = /*#__PURE__*/ defineSoftmaxLoss<FocalOptions>({
  name: "focal",
  documentation: {
    summary: "Cross entropy with easy examples turned down by (1 − p)^gamma.",
    formula: "α_y (1 − p_y)^γ (−log p_y);  Σ_k q_k α_k (1 − p_k)^γ (−log p_k) for targets",
    gradient:
      "d/dz_k = s (p_k − 1[k = y]), s = α_y (1 − p_y)^γ (1 + γ p_y (−log p_y) / (1 − p_y)); reweightOnly: s = α_y (1 − p_y)^γ",
    likelihood: {
      target: "single class, easy examples in the majority",
      distribution: "none: a reweighted cross entropy, whose least loss is not at the true probabilities",
    },
    pitfalls: [
      "Its probabilities are too modest: calibrate before they are used as probabilities.",
      "The factor (1 − p)^gamma has a gradient of its own; code that detaches it trains something else: reweightOnly: true.",
      "alpha scales the loss and does not divide: the value is no weighted mean, other than with classWeights of crossEntropy.",
      "With a large gamma early training is slow, and mislabeled examples, which stay hard, get most of the gradient.",
    ],
    metric: "averagePrecision, macro F1",
    source: "Lin et al. 2017, eq. 5; Keras CategoricalFocalCrossentropy",
  },
  options: {
    ...labelOptions,
    gamma: numberOption("how strongly easy examples are turned down; 0 is cross entropy", 2, { atLeast: 0 }),
    alpha: numbersOption("factor on the loss of each class; it never divides", { atLeast: 0 }),
    labelSmoothing: numberOption("moves ε of the target to all classes: (1 − ε) q + ε/K", 0, { atLeast: 0, below: 1 }),
    reweightOnly: flagOption("holds (1 − p)^γ constant in the gradient", false),
  },
  describe: (options) =>
    [
      `focal loss of ${describeLabels(options)}, gamma ${options.gamma}`,
      options.reweightOnly
        ? "the factor (1 − p)^gamma held constant in the gradient (p detached)"
        : "the gradient through the factor (1 − p)^gamma",
      options.alpha && `each class times its alpha ${JSON.stringify(options.alpha)} (not in the denominator)`,
      options.labelSmoothing > 0 && `smoothed by ${options.labelSmoothing}`,
    ]
      .filter(Boolean)
      .join(", "),
  perClass: ["alpha"],
  weighting: ({ alpha, labelSmoothing }) => ({ smoothing: labelSmoothing, perClass: alpha }),
  row: ({ gamma, reweightOnly }, target) =>
    perTargetClass(
      target,
      (softmax, k) => {
        const modulation = pow(softmax.complement(k), gamma);
        return modulation === 0 ? 0 : modulation * softmax.negativeLog(k);
      },
      (softmax, k) => {
        const complement = softmax.complement(k);
        const modulation = pow(complement, gamma);
        if (reweightOnly) return modulation;
        // −log p / (1 − p) runs to 1 as p does; p (−log p) runs to 0 with p.
        const probability = softmax.probability(k);
        const ratio = complement === 0 ? 1 : softmax.negativeLog(k) / complement;
        return modulation * (1 + (probability === 0 ? 0 : gamma * probability * ratio));
      },
    ),
  kernel(batch) {
    const { gamma, alpha, labelSmoothing, reweightOnly } = batch.options;
    if (!batch.has("labels") || labelSmoothing > 0) return "the target is more than one label";
    return softmaxKernel(batch, {
      kernel: "focal",
      inputs: ["logits"],
      parameters: [gamma, reweightOnly ? 1 : 0],
      tables: [undefined, alpha ? Float32Array.from(alpha) : undefined],
      scratchRows: 1,
      nanosecondsPerClass: 1.2,
    });
  },
});
