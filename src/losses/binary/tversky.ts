import { numberOption } from "../../contract/index.js";
import { defineOverlapLoss } from "./overlap.js";

/** Options of {@link tversky}. */
export interface TverskyOptions {
  /** a ≥ 0: weight of false positives. Default 0.5. */
  readonly alpha: number;
  /** b ≥ 0: weight of false negatives. Default 0.5. */
  readonly beta: number;
  /** s ≥ 0, added to both sides of the quotient. Default 1. */
  readonly smooth: number;
}

/**
 * Tversky loss of a row of logits z against targets y, with p = σ(z): an overlap whose two mistakes weigh differently.
 *   loss    = 1 − (TP + s) / (TP + a FP + b FN + s),   TP = Σ p y,  FP = Σ p (1 − y),  FN = Σ (1 − p) y
 *   d/dz_i  = p_i (1 − p_i) ((a (1 − y_i) − b y_i)(1 − L) − y_i L) / (TP + a FP + b FN + s),   L the loss
 * a = b = 1/2 is dice with twice the s, a = b = 1 one minus the soft Jaccard index. The unit is a row of axis 0. It is
 * computed as (a FP + b FN) / (TP + a FP + b FN + s), where nothing cancels. Where that quotient is 0/0 (s = 0, nothing
 * true, nothing predicted or a = 0) the loss is 0. −∞ is p = 0; NaN and +∞ give NaN, with a note.
 * Salehi et al. 2017, eq. 3; the two weights stand in their order there.
 */
export const tversky = /*#__PURE__*/ defineOverlapLoss<TverskyOptions>({
  name: "tversky",
  documentation: {
    summary: "One minus an overlap in which false positives and false negatives weigh differently.",
    formula:
      "1 − (TP + s) / (TP + α FP + β FN + s),  TP = Σ p y, FP = Σ p (1 − y), FN = Σ (1 − p) y, sums over all axes but the first",
    gradient: "d/dz_i = p_i (1 − p_i) ((α (1 − y_i) − β y_i)(1 − L) − y_i L) / (TP + α FP + β FN + s)",
    likelihood: { target: "binary mask, small objects", distribution: "none: an overlap, not a sum over elements" },
    pitfalls: [
      "alpha weighs false positives and beta false negatives; libraries that swap them exist, and no shape betrays it.",
      "For recall on small objects beta is the larger one (0.7 against 0.3).",
      "A row is one unit: the mean over images is not the overlap of the whole batch.",
    ],
    metric: "fBeta, recall",
    source: "Salehi et al. 2017, eq. 3",
  },
  options: {
    alpha: numberOption("weight of false positives", 0.5, { atLeast: 0 }),
    beta: numberOption("weight of false negatives", 0.5, { atLeast: 0 }),
    smooth: numberOption("added to both sides of the quotient", 1, { atLeast: 0 }),
  },
  describe: ({ alpha, beta, smooth }) =>
    `Tversky loss of each row of axis 0 (one overlap over all its elements), false positives weighing ${alpha} and false negatives ${beta}, ${smooth} added to both sides of the quotient`,
  costs: ({ alpha, beta, smooth }) => ({ falsePositive: alpha, falseNegative: beta, smooth }),
});
