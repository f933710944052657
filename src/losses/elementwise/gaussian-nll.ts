import { flagOption, numberOption } from "../../contract/index.js";
import { log } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { ElementBatch } from "./element.js";
import { defineLocationScaleLoss } from "./location-scale.js";
import { HALF_LOG_2_PI } from "./stirling.js";

/** Options of {@link gaussianNll}. */
export interface GaussianNllOptions {
  /** Whether the constant ½ log 2π is in the loss. Default false. */
  readonly full: boolean;
  /** The variance is raised to it where it is below, in the value alone; at least 0. Default 1e-6. */
  readonly eps: number;
}

/** What {@link gaussianNll} reads. */
export interface GaussianNllBatch extends ElementBatch {
  /** At least 0, differentiable: `[...]`, `[]` for one that holds for all, or `[..., 1]` for one a row. */
  readonly variance: Tensor<"predictions" | "scores" | Unlabeled>;
}

/**
 * Negative log-likelihood of a Gaussian with the predicted mean and variance v; r = target − prediction, v̂ = max(v, ε).
 *   loss          = ½ (log v̂ + r²/v̂)   (+ ½ log 2π with `full`)
 *   d/dprediction = −r/v̂
 *   d/dvariance   = ½ (1/v̂ − r²/v̂²)
 * The gradient passes the clamp as if it were not there, at the clamped value, so that a variance below ε still learns.
 * At v = r² the variance is right and its gradient 0. r = ±∞ gives +∞, with the gradients ∓∞ and −∞; NaN gives NaN; with
 * ε = 0 a variance of 0 gives NaN. A negative variance is an error. Nix and Weigend 1994; torch `gaussian_nll_loss`.
 */
export const gaussianNll = /*#__PURE__*/ defineLocationScaleLoss<GaussianNllOptions, GaussianNllBatch, "variance">({
  name: "gaussianNll",
  documentation: {
    summary: "The negative log-likelihood of a Gaussian whose mean and variance are both predicted.",
    formula: "½·(log v̂ + r²/v̂) (+ ½·log 2π with full),  v̂ = max(variance, eps),  r = target − prediction",
    gradient: "d/dprediction = −r/v̂;  d/dvariance = ½·(1/v̂ − r²/v̂²), also where the variance is clamped",
    likelihood: { target: "real value with noise of its own", distribution: "Gaussian with a predicted variance" },
    pitfalls: [
      "The field is the variance, not the standard deviation and not its logarithm: square or exp first, and chain the gradient.",
      "Elements with a large predicted variance hardly teach the mean: start with squaredError, or weigh by the variance.",
      "The loss may be negative: a density can exceed 1.",
      "Without full the constant ½ log 2π is missing: values cannot be compared with other likelihoods.",
    ],
    metric: "the loss itself with full: true; meanSquaredError of the mean",
    source: "Nix and Weigend 1994; torch gaussian_nll_loss",
  },
  options: {
    full: flagOption("adds the constant ½ log 2π", false),
    eps: numberOption("the value uses at least this variance; gradients pass as if it were not clamped", 1e-6, {
      atLeast: 0,
    }),
  },
  width: {
    field: "variance",
    meaning: "the predicted variance, at least 0; of the predictions' shape, [] for all, or 1 on the last axis",
    domain: "nonNegative",
  },
  describe: ({ full, eps }) =>
    [
      "Gaussian negative log-likelihood of each element",
      `variance clamped at ${eps} in the value while its gradient passes`,
      full ? "with the constant ½ log 2π" : "without the constant ½ log 2π",
    ].join(", "),
  density({ full, eps }) {
    const constant = full ? HALF_LOG_2_PI : 0;
    return {
      loss(r, variance) {
        const v = Math.max(variance, eps);
        return (log(v) + r * (r / v)) / 2 + constant;
      },
      residualSlope: (r, variance) => r / Math.max(variance, eps),
      widthSlope(r, variance) {
        const v = Math.max(variance, eps);
        return (1 - r * (r / v)) / (2 * v);
      },
    };
  },
});
