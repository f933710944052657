import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link tukey}. */
export interface TukeyOptions {
  /** c: residuals beyond it pull nowhere; above 0, in the unit of the target. Default 4.685. */
  readonly cutoff: number;
}

/**
 * Tukey's biweight of the residual r = target − prediction.
 *   loss          = c²/6 · (1 − (1 − (r/c)²)³)   where |r| ≤ c,   c²/6   beyond
 *   d/dprediction = −r (1 − (r/c)²)²             where |r| ≤ c,   0      beyond
 * It runs like r²/2 near zero; an outlier costs a constant and pulls nowhere. With x = (r/c)² the loss is computed as
 * r²(3 − 3x + x²)/6, which does not cancel for small residuals. Twice differentiable at the cutoff. r = ±∞ gives c²/6
 * and 0; NaN gives NaN. For residuals of standard deviation 1 the default keeps 95 % of the efficiency of squared error.
 * Beaton and Tukey 1974; statsmodels `TukeyBiweight`.
 */
export const tukey = /*#__PURE__*/ defineResidualLoss<TukeyOptions>({
  name: "tukey",
  documentation: {
    summary: "Squared error near zero, a constant beyond the cutoff: outliers are ignored.",
    formula: "c²/6·(1 − (1 − (r/c)²)³) where |r| ≤ c,  c²/6 beyond;  r = target − prediction",
    gradient: "d/dprediction = −r·(1 − (r/c)²)² where |r| ≤ c,  0 beyond",
    likelihood: { target: "real value with gross outliers", distribution: "none: constant tails have no finite mass" },
    pitfalls: [
      "Beyond the cutoff the gradient is exactly 0: a model that starts far off never moves. Begin with huber.",
      "The default cutoff means residuals of standard deviation 1: divide by a robust scale (median of |r| / 0.6745) first.",
      "A value near c²/6 may mean that everything is an outlier, not that training has converged.",
    ],
    metric: "medianAbsoluteError",
    source: "Beaton and Tukey 1974; statsmodels TukeyBiweight",
  },
  options: { cutoff: numberOption("residuals beyond it cost a constant and pull nowhere", 4.685, { above: 0 }) },
  describe: ({ cutoff }) => `Tukey's biweight loss of each element, constant beyond a residual of ${cutoff}`,
  loss(r, { cutoff }) {
    if (Math.abs(r) > cutoff) return (cutoff * cutoff) / 6;
    const q = r / cutoff;
    const x = q * q;
    return (r * r * (3 - x * (3 - x))) / 6;
  },
  slope(r, { cutoff }) {
    if (Math.abs(r) > cutoff) return 0;
    const q = r / cutoff;
    const rest = (1 - q) * (1 + q);
    return r * rest * rest;
  },
  kernel: ({ cutoff }) => float32Parameters({ cutoff }),
});
