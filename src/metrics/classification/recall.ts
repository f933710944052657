import { defineClassScore } from "./class-score.js";

/**
 * Of the samples of a class, the share predicted to be: right / actual, by weight, for each class and averaged as
 * `average` says (default `"macro"`). A class without a sample is worth `zeroDivision`.
 *
 * scikit-learn `recall_score`; torchmetrics agrees where classes are absent from a macro mean.
 */
export const recall = /*#__PURE__*/ defineClassScore<object>({
  name: "recall",
  summary: "Of the samples of a class, the share predicted to be.",
  formula: "right / actual, for each class",
  source: "scikit-learn recall_score",
  options: {},
  quotient: ({ right, actual }) => [right, actual],
});
