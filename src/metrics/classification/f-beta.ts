import { numberOption } from "../../contract/index.js";
import { defineClassScore } from "./class-score.js";

/** Options of {@link fBeta} beside those of every class score. */
export interface FBetaOptions {
  /** Recall counts β times as much as precision; at least 0. Default 1: their harmonic mean. */
  readonly beta: number;
}

/**
 * The weighted harmonic mean of precision and recall: (1 + β²) right / (β² actual + predicted), for each class and
 * averaged as `average` says (default `"macro"`).
 *
 * van Rijsbergen 1979; scikit-learn `fbeta_score`.
 */
export const fBeta = /*#__PURE__*/ defineClassScore<FBetaOptions>({
  name: "fBeta",
  summary: "The harmonic mean of precision and recall, in which recall counts β times as much.",
  formula: "(1 + β²) right / (β² actual + predicted), for each class",
  source: "van Rijsbergen 1979; scikit-learn fbeta_score",
  options: { beta: numberOption("recall counts so many times as much as precision", 1, { atLeast: 0 }) },
  quotient: ({ right, predicted, actual }, { beta }) => [(1 + beta * beta) * right, beta * beta * actual + predicted],
});
