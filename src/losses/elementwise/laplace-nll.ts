import { flagOption } from "../../contract/index.js";
import { log } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { ElementBatch } from "./element.js";
import { defineLocationScaleLoss } from "./location-scale.js";

/** Options of {@link laplaceNll}. */
export interface LaplaceNllOptions {
  /** Whether the constant log 2 is in the loss. Default false. */
  readonly full: boolean;
}

/** What {@link laplaceNll} reads. */
export interface LaplaceNllBatch extends ElementBatch {
  /** Above 0, differentiable: `[...]`, `[]` for one that holds for all, or `[..., 1]` for one a row. */
  readonly scale: Tensor<"predictions" | "scores" | Unlabeled>;
}

/**
 * Negative log-likelihood of a Laplace distribution with the predicted median and scale b; r = target − prediction.
 *   loss          = log b + |r|/b   (+ log 2 with `full`)
 *   d/dprediction = −sign(r)/b, 0 at r = 0
 *   d/dscale      = (1 − |r|/b)/b
 * At b = |r| the scale is right and its gradient 0. r = ±∞ gives +∞, with the gradients ∓1/b and −∞; NaN gives NaN. A
 * scale that is not above 0 is an error: it is not clamped. scipy `laplace.logpdf`.
 */
export const laplaceNll = /*#__PURE__*/ defineLocationScaleLoss<LaplaceNllOptions, LaplaceNllBatch, "scale">({
  name: "laplaceNll",
  documentation: {
    summary: "The negative log-likelihood of a Laplace distribution whose median and scale are both predicted.",
    formula: "log b + |r|/b (+ log 2 with full),  b = scale,  r = target − prediction",
    gradient: "d/dprediction = −sign(r)/b, and 0 at r = 0;  d/dscale = (1 − |r|/b)/b",
    likelihood: {
      target: "real value with heavy tails and noise of its own",
      distribution: "Laplace with predicted scale",
    },
    pitfalls: [
      "The scale must be above 0 and is not clamped: give the model a positive output (softplus, exp) with a floor.",
      "scale is the mean of |r|; the standard deviation is √2 times it.",
      "The loss may be negative: a density can exceed 1. Without full log 2 is missing.",
    ],
    metric: "the loss itself with full: true; meanAbsoluteError of the median",
    source: "scipy laplace.logpdf",
  },
  options: { full: flagOption("adds the constant log 2", false) },
  width: {
    field: "scale",
    meaning: "the predicted scale, above 0; of the predictions' shape, [] for all, or 1 on the last axis",
    domain: "positive",
  },
  describe: ({ full }) =>
    `Laplace negative log-likelihood of each element, ${full ? "with" : "without"} the constant log 2`,
  density({ full }) {
    const constant = full ? Math.LN2 : 0;
    return {
      loss: (r, scale) => log(scale) + Math.abs(r) / scale + constant,
      residualSlope: (r, scale) => Math.sign(r) / scale,
      widthSlope: (r, scale) => (1 - Math.abs(r) / scale) / scale,
    };
  },
});
