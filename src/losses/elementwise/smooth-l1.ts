import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link smoothL1}. */
export interface SmoothL1Options {
  /** The residual where the square ends and the line begins; 0 is the absolute error. Default 1. */
  readonly beta: number;
}

/**
 * Smooth L1 loss of the residual r = target − prediction.
 *   loss          = r²/(2β)            where |r| < β,   |r| − β/2    beyond
 *   d/dprediction = −r/β               where |r| < β,   −sign(r)     beyond, 0 at r = 0
 * Huber loss divided by its delta: slope 1 far out, whatever β. β = 0 is the absolute error.
 * r = ±∞ gives +∞ and ∓1; NaN gives NaN. Girshick 2015; torch `smooth_l1_loss`.
 */
export const smoothL1 = /*#__PURE__*/ defineResidualLoss<SmoothL1Options>({
  name: "smoothL1",
  documentation: {
    summary: "Absolute error with its kink rounded off inside beta.",
    formula: "r²/(2β) where |r| < β,  |r| − β/2 beyond;  r = target − prediction",
    gradient: "d/dprediction = −r/β where |r| < β,  −sign(r) beyond, and 0 at r = 0",
    likelihood: { target: "real value with outliers", distribution: "Laplace with a Gaussian center" },
    pitfalls: ["It is huber divided by delta: moving from one to the other rescales the learning rate by delta."],
    metric: "meanAbsoluteError",
    source: "Girshick 2015; torch smooth_l1_loss",
  },
  options: {
    beta: numberOption("the residual where the square ends and the line begins; 0 is absolute error", 1, {
      atLeast: 0,
    }),
  },
  describe: ({ beta }) => `smooth L1 loss of each element with beta ${beta}`,
  loss: (r, { beta }) => (Math.abs(r) < beta ? (r * r) / (2 * beta) : Math.abs(r) - beta / 2),
  slope: (r, { beta }) => (Math.abs(r) < beta ? r / beta : Math.sign(r)),
  kernel: ({ beta }) => float32Parameters({ beta }),
});
