import { numberOption } from "../../contract/index.js";
import { defineOverlapLoss } from "./overlap.js";

/** Options of {@link dice}. */
export interface DiceOptions {
  /** s ≥ 0, added to both sides of the quotient. Default 1. */
  readonly smooth: number;
}

/**
 * Soft Dice loss of a row of logits z against targets y, with p = σ(z): one overlap for a whole image or sample.
 *   loss    = 1 − (2 Σ p y + s) / (Σ p + Σ y + s)
 *   d/dz_i  = p_i (1 − p_i) ((1 − L) − 2 y_i) / (Σ p + Σ y + s),   L the loss
 * The unit is a row of axis 0 and the sums run over all its other axes. It is computed as
 * Σ (p (1 − y) + (1 − p) y) / (Σ p + Σ y + s), where nothing cancels. s = 0 and nothing true gives 1 for whatever is
 * predicted, and 0 where p is 0 in every element too. −∞ is p = 0; NaN and +∞ give NaN, with a note.
 * Milletari et al. 2016, without the squares in the denominator.
 */
export const dice = /*#__PURE__*/ defineOverlapLoss<DiceOptions>({
  name: "dice",
  documentation: {
    summary: "One minus the overlap of predicted and true area of a row.",
    formula: "1 − (2 Σ p y + s) / (Σ p + Σ y + s),  p = σ(z), sums over all axes but the first",
    gradient: "d/dz_i = p_i (1 − p_i) ((1 − L) − 2 y_i) / (Σ p + Σ y + s)",
    likelihood: { target: "binary mask of an image", distribution: "none: an overlap, not a sum over elements" },
    pitfalls: [
      "A row is one unit: the mean over images is not the overlap of the whole batch, and micro-batches of one image give the same mean.",
      "With smooth: 0 an image without positives has loss 1 whatever is predicted, and no gradient.",
      "smooth is in elements: what is small for a 512 × 512 image decides over a row of 8.",
      "Several classes are several channels: [B, C, H, W] is one overlap over all channels; reshape to [B·C, H·W] for one each.",
      "Probabilities end near 0 and 1: calibrate before they are used as such, or add binaryCrossEntropy.",
    ],
    metric: "fBeta (Dice is F1), jaccard",
    source: "Milletari et al. 2016, without squares",
  },
  options: { smooth: numberOption("added to both sides of the quotient", 1, { atLeast: 0 }) },
  describe: ({ smooth }) =>
    `soft Dice loss of each row of axis 0 (one overlap over all its elements), ${smooth} added to both sides of the quotient`,
  // 2 TP + FP + FN = Σ p + Σ y: Dice is Tversky's index at one half each, and so is half of s.
  costs: ({ smooth }) => ({ falsePositive: 0.5, falseNegative: 0.5, smooth: smooth / 2 }),
});
