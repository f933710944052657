import { powerOfTwo } from "../../numerics/index.js";
import { defineElementMean } from "./element-mean.js";

/** A target of 0 is taken for it: float64's epsilon, as in scikit-learn. */
const least = /*#__PURE__*/ powerOfTwo(-52);

/**
 * Σ w |p − t| / max(|t|, 2⁻⁵²) / Σ w: a share, not percent. A target near 0 makes it huge. NaN for no sample.
 *
 * scikit-learn `mean_absolute_percentage_error`.
 */
export const meanAbsolutePercentageError = /*#__PURE__*/ defineElementMean<object>({
  name: "meanAbsolutePercentageError",
  summary: "The mean absolute difference of prediction and target, as a share of the target.",
  formula: "Σ w (|p − t| / max(|t|, 2⁻⁵²)) / Σ w",
  source: "scikit-learn mean_absolute_percentage_error",
  options: {},
  term: (prediction, target) => Math.abs(prediction - target) / Math.max(Math.abs(target), least),
});
