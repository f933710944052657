import { defineElementMean } from "./element-mean.js";

/**
 * Σ w (p − t)² / Σ w, in the square of the target's unit. NaN for no sample. The objective `squaredError` is the same
 * number, with a gradient.
 *
 * scikit-learn `mean_squared_error`.
 */
export const meanSquaredError = /*#__PURE__*/ defineElementMean<object>({
  name: "meanSquaredError",
  summary: "The mean squared difference of prediction and target.",
  formula: "Σ w (p − t)² / Σ w",
  source: "scikit-learn mean_squared_error",
  options: {},
  term: (prediction, target) => (prediction - target) * (prediction - target),
});
