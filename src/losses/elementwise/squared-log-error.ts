import { log1p } from "../../numerics/index.js";
import { defineElementLoss } from "./element.js";

/**
 * Squared logarithmic error of a prediction p and a target y, both above −1.
 *   loss          = (log(1 + y) − log(1 + p))²
 *   d/dprediction = −2 (log(1 + y) − log(1 + p)) / (1 + p)
 * Errors count by their ratio: 10 for 20 costs about what 100 for 200 costs. The difference of logarithms is formed as
 * ±log1p(|y − p| / (1 + the smaller)), which keeps its digits where both are close.
 * A NaN prediction gives NaN. scikit-learn `mean_squared_log_error`.
 */
export const squaredLogError = /*#__PURE__*/ defineElementLoss<Record<never, never>>({
  name: "squaredLogError",
  documentation: {
    summary: "Squared error between the logarithms of 1 + value: errors count by their ratio.",
    formula: "(log(1 + y) − log(1 + p))²",
    gradient: "d/dp = −2·(log(1 + y) − log(1 + p)) / (1 + p)",
    likelihood: {
      target: "non-negative amount over several orders of magnitude",
      distribution: "log-normal of 1 + y, fixed scale",
    },
    pitfalls: [
      "Predictions must stay above −1: give the model a positive output (softplus, exp), or train squaredError on log1p of the target.",
      "Predicting too little costs more than predicting as much too much.",
      "The model learns the median of a log-normal amount, not its mean: totals come out too small.",
      "Below about 1 the 1 of log(1 + y) rules and the error is an absolute one: choose the unit of the target accordingly.",
    ],
    metric: "rootMeanSquaredError of log1p, r2",
    source: "scikit-learn mean_squared_log_error",
  },
  options: {},
  narrows: {
    predictions: { meaning: "the predicted amount, above -1", domain: "aboveMinusOne" },
    targets: { meaning: "the observed amount, above -1", domain: "aboveMinusOne" },
  },
  describe: () => "squared difference of log(1 + value) between target and prediction of each element",
  math: () => ({
    loss(prediction, target) {
      const difference = logRatio(prediction, target);
      return difference * difference;
    },
    slope: (prediction, target) => (-2 * logRatio(prediction, target)) / (1 + prediction),
  }),
});

/** log((1 + y) / (1 + p)), from the side where the quotient is not near 0. */
function logRatio(prediction: number, target: number): number {
  return target < prediction
    ? -log1p((prediction - target) / (1 + target))
    : log1p((target - prediction) / (1 + prediction));
}
