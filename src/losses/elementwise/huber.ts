import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link huber}. */
export interface HuberOptions {
  /** The residual where the square ends and the line begins, in the unit of the target; above 0. Default 1. */
  readonly delta: number;
}

/**
 * Huber loss of the residual r = target − prediction.
 *   loss          = r²/2               where |r| ≤ δ,   δ(|r| − δ/2) beyond
 *   d/dprediction = −r                 where |r| ≤ δ,   −δ sign(r)   beyond
 * Squared error near zero, absolute error far out: one outlier pulls no harder than δ.
 * r = ±∞ gives +∞ and ∓δ; NaN gives NaN. Huber 1964; torch `huber_loss`.
 */
export const huber = /*#__PURE__*/ defineResidualLoss<HuberOptions>({
  name: "huber",
  documentation: {
    summary: "Squared error near zero, absolute error beyond delta.",
    formula: "r²/2 where |r| ≤ δ,  δ(|r| − δ/2) beyond;  r = target − prediction",
    gradient: "d/dprediction = −r where |r| ≤ δ,  −δ sign(r) beyond",
    likelihood: { target: "real value with outliers", distribution: "Gaussian with Laplace tails" },
    pitfalls: [
      "delta is in the unit of the target: rescaled targets need a rescaled delta.",
      "Its square has the factor 1/2: for large delta it is half of squaredError. smoothL1 divides by its beta besides.",
    ],
    metric: "meanAbsoluteError",
    source: "Huber 1964; torch huber_loss",
  },
  options: { delta: numberOption("the residual where the square ends and the line begins", 1, { above: 0 }) },
  describe: ({ delta }) => `Huber loss of each element with delta ${delta}`,
  loss: (r, { delta }) => (Math.abs(r) <= delta ? (r * r) / 2 : delta * (Math.abs(r) - delta / 2)),
  slope: (r, { delta }) => (Math.abs(r) <= delta ? r : delta * Math.sign(r)),
  kernel: ({ delta }) => float32Parameters({ delta }),
});
