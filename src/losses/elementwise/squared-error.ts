import { defineResidualLoss } from "./residual.js";

/**
 * Squared error of the residual r = target − prediction.
 *   loss          = r²
 *   d/dprediction = −2r
 * The negative log-likelihood of a Gaussian of fixed variance, up to constants; an outlier twice as far costs four
 * times as much. `per: "sample"` gives the squared norm ‖r‖² of each sample.
 * r = ±∞ gives +∞ and ∓∞; NaN gives NaN. torch `mse_loss` (default reduction: mean over all elements).
 */
export const squaredError = /*#__PURE__*/ defineResidualLoss<Record<never, never>>({
  name: "squaredError",
  documentation: {
    summary: "The square of the residual, element by element.",
    formula: "r²,  r = target − prediction",
    gradient: "d/dprediction = −2r",
    likelihood: { target: "real value", distribution: "Gaussian of fixed variance" },
    pitfalls: [
      "An outlier twice as far costs four times as much: with heavy-tailed noise use huber or absoluteError.",
      "A prediction [N, 1] against a target [N] broadcasts to N × N elsewhere; here it is an error.",
      'The mean over elements is not the squared norm of a sample: that is per: "sample".',
    ],
    metric: "rootMeanSquaredError, r2",
    source: "torch mse_loss",
  },
  options: {},
  describe: () => "squared error of each element",
  loss: (r) => r * r,
  slope: (r) => 2 * r,
  kernel: () => [],
});
