import { defineElementMean } from "./element-mean.js";

/**
 * √(Σ w (p − t)² / Σ w), in the target's unit; the root is of the whole, never a mean of roots of batches. With outputs
 * it is taken of each. NaN for no sample.
 *
 * scikit-learn `root_mean_squared_error`.
 */
export const rootMeanSquaredError = /*#__PURE__*/ defineElementMean<object>({
  name: "rootMeanSquaredError",
  summary: "The root of the mean squared difference of prediction and target.",
  formula: "√(Σ w (p − t)² / Σ w)",
  source: "scikit-learn root_mean_squared_error",
  options: {},
  term: (prediction, target) => (prediction - target) * (prediction - target),
  finish: Math.sqrt,
});
