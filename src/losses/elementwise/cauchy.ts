import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { log1pSquare } from "./log1p-square.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link cauchy}. */
export interface CauchyOptions {
  /** s: the residual, in the unit of the target, around which the pull of an error turns weaker; above 0. Default 1. */
  readonly scale: number;
}

/**
 * Cauchy (Lorentzian) loss of the residual r = target − prediction.
 *   loss          = s² log(1 + (r/s)²/2)
 *   d/dprediction = −r / (1 + (r/s)²/2)
 * It runs like r²/2 near zero and like a logarithm far out: the pull is largest at |r| = √2 s and falls to 0 beyond, so
 * that an outlier is almost left alone. Not convex. It is s² times barron with alpha 0.
 * r = ±∞ gives +∞ and 0; NaN gives NaN. Black and Anandan 1996; Barron 2019, eq. 2.
 */
export const cauchy = /*#__PURE__*/ defineResidualLoss<CauchyOptions>({
  name: "cauchy",
  documentation: {
    summary: "Squared error near zero, a logarithm far out: outliers lose their pull.",
    formula: "s²·log(1 + (r/s)²/2),  r = target − prediction",
    gradient: "d/dprediction = −r / (1 + (r/s)²/2)",
    likelihood: {
      target: "real value with gross outliers",
      distribution: "Student's t of 2s² − 1 degrees of freedom (for s = 1 Cauchy of scale √2); none for s² ≤ 1/2",
    },
    pitfalls: [
      "Not convex: started far off, the gradient is nearly 0 and training stands still. Begin with huber, or a large scale.",
      "scale is in the unit of the target, and multiplies the loss by its square.",
    ],
    metric: "meanAbsoluteError, medianAbsoluteError",
    source: "Black and Anandan 1996; Barron 2019, eq. 2",
  },
  options: { scale: numberOption("the residual around which the pull of an error turns weaker", 1, { above: 0 }) },
  describe: ({ scale }) => `Cauchy loss of each element with scale ${scale}, times the squared scale`,
  loss: (r, { scale }) => scale * (scale * log1pSquare(Math.abs(r) / scale / Math.SQRT2)),
  slope(r, { scale }) {
    const q = r / scale;
    // Far out by the reciprocal, as q² would overflow.
    return Math.abs(q) > 1 ? scale / (1 / q + q / 2) : r / (1 + (q * q) / 2);
  },
  kernel: ({ scale }) => float32Parameters({ scale }),
});
