import { defineExplained } from "./explained.js";

/**
 * The share of the targets' variance that predictions explain: 1 − Σ w (t − p)² / Σ w (t − t̄)². Exact moments, one
 * rounding. Below 0 where the mean of the targets would have done better. NaN for fewer than two samples.
 *
 * scikit-learn `r2_score`.
 */
export const r2 = /*#__PURE__*/ defineExplained({
  name: "r2",
  summary: "The share of the targets' variance that predictions explain.",
  formula: "1 − Σ w (t − p)² / Σ w (t − t̄)²",
  source: "scikit-learn r2_score",
  least: 2,
  unexplained: ({ weight, errorSquared }) => weight * errorSquared,
});
