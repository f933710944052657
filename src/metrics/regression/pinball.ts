import { numberOption } from "../../contract/index.js";
import { defineElementMean } from "./element-mean.js";

/** Options of {@link pinball}. */
export interface PinballOptions {
  /** The quantile that predictions are of, in [0, 1]. Default 0.5: half the absolute error. */
  readonly quantile: number;
}

/**
 * Σ w max(τ (t − p), (τ − 1)(t − p)) / Σ w for predictions of the τ-quantile. NaN for no sample.
 *
 * Koenker and Bassett 1978; scikit-learn `mean_pinball_loss`.
 */
export const pinball = /*#__PURE__*/ defineElementMean<PinballOptions>({
  name: "pinball",
  summary: "The loss of predicted quantiles: τ for each unit too low, 1 − τ for each too high.",
  formula: "Σ w max(τ (t − p), (τ − 1)(t − p)) / Σ w",
  source: "Koenker and Bassett 1978; scikit-learn mean_pinball_loss",
  options: { quantile: numberOption("the quantile that predictions are of", 0.5, { atLeast: 0, atMost: 1 }) },
  term: (prediction, target, { quantile }) =>
    Math.max(quantile * (target - prediction), (quantile - 1) * (target - prediction)),
});
