import { defineExplained } from "./explained.js";

/**
 * The share of the targets' variance that is gone from the errors: 1 − Var(t − p) / Var(t). Unlike `r2` it forgives a
 * constant offset. NaN for no sample.
 *
 * scikit-learn `explained_variance_score`.
 */
export const explainedVariance = /*#__PURE__*/ defineExplained({
  name: "explainedVariance",
  summary: "The share of the targets' variance that is gone from the errors.",
  formula: "1 − Var(t − p) / Var(t)",
  source: "scikit-learn explained_variance_score",
  least: 1,
  unexplained: ({ weight, error, errorSquared }) => weight * errorSquared - error * error,
});
