import { defineClassScore } from "./class-score.js";

/**
 * Intersection over union of the samples of a class and those predicted to be: right / (actual + predicted − right),
 * for each class and averaged as `average` says (default `"macro"`).
 *
 * Jaccard 1901; scikit-learn `jaccard_score`.
 */
export const jaccard = /*#__PURE__*/ defineClassScore<object>({
  name: "jaccard",
  summary: "Intersection over union of the samples of a class and those predicted to be.",
  formula: "right / (actual + predicted − right), for each class",
  source: "Jaccard 1901; scikit-learn jaccard_score",
  options: {},
  quotient: ({ right, predicted, actual }) => [right, actual + predicted - right],
});
