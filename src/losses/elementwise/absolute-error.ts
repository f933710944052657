import { defineResidualLoss } from "./residual.js";

/**
 * Absolute error of the residual r = target − prediction.
 *   loss          = |r|
 *   d/dprediction = −sign(r), 0 at r = 0
 * The negative log-likelihood of a Laplace distribution of fixed scale, up to constants: robust, with a gradient
 * that does not grow with the error. r = ±∞ gives +∞ and ∓1; NaN gives NaN. torch `l1_loss`.
 */
export const absoluteError = /*#__PURE__*/ defineResidualLoss<Record<never, never>>({
  name: "absoluteError",
  documentation: {
    summary: "The magnitude of the residual, element by element.",
    formula: "|r|,  r = target − prediction",
    gradient: "d/dprediction = −sign(r), and 0 at r = 0",
    likelihood: { target: "real value with heavy tails", distribution: "Laplace of fixed scale" },
    pitfalls: [
      "The gradient has one size however small the error is, so a fixed step oscillates around the target: huber is smooth there.",
    ],
    metric: "meanAbsoluteError",
    source: "torch l1_loss",
  },
  options: {},
  describe: () => "absolute error of each element",
  loss: Math.abs,
  slope: (r) => Math.sign(r),
  kernel: () => [],
});
