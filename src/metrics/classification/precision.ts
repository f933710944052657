import { defineClassScore } from "./class-score.js";

/**
 * Of the samples predicted to be of a class, the share that is: right / predicted, by weight, for each class and
 * averaged as `average` says (default `"macro"`). A class never predicted is worth `zeroDivision`.
 *
 * scikit-learn `precision_score`; torchmetrics agrees where classes are absent from a macro mean.
 */
export const precision = /*#__PURE__*/ defineClassScore<object>({
  name: "precision",
  summary: "Of the samples predicted to be of a class, the share that is.",
  formula: "right / predicted, for each class",
  source: "scikit-learn precision_score",
  options: {},
  quotient: ({ right, predicted }) => [right, predicted],
});
