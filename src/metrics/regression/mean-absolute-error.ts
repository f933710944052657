import { defineElementMean } from "./element-mean.js";

/** Σ w |p − t| / Σ w, in the target's unit. NaN for no sample. scikit-learn `mean_absolute_error`. */
export const meanAbsoluteError = /*#__PURE__*/ defineElementMean<object>({
  name: "meanAbsoluteError",
  summary: "The mean absolute difference of prediction and target.",
  formula: "Σ w |p − t| / Σ w",
  source: "scikit-learn mean_absolute_error",
  options: {},
  term: (prediction, target) => Math.abs(prediction - target),
});
