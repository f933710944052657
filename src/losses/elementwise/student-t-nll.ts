import { numberOption } from "../../contract/index.js";
import { log, log1p } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { ElementBatch } from "./element.js";
import { defineLocationScaleLoss } from "./location-scale.js";
import { log1pSquare } from "./log1p-square.js";
import { HALF_LOG_2_PI, stirlingRemainder } from "./stirling.js";

/** Options of {@link studentTNll}. */
export interface StudentTNllOptions {
  /** ν > 0: how light the tails are; 1 is Cauchy, large values approach the Gaussian. Default 4. */
  readonly degreesOfFreedom: number;
}

/** What {@link studentTNll} reads. */
export interface StudentTNllBatch extends ElementBatch {
  /** Above 0, differentiable: `[...]`, `[]` for one that holds for all, or `[..., 1]` for one a row. */
  readonly scale: Tensor<"predictions" | "scores" | Unlabeled>;
}

/**
 * Negative log-likelihood of Student's t distribution with ν degrees of freedom, the predicted center and scale s;
 * z = (target − prediction)/s.
 *   loss          = log s + ½(ν + 1) log(1 + z²/ν) + c(ν),   c(ν) = log Γ(ν/2) − log Γ((ν + 1)/2) + ½ log(νπ)
 *   d/dprediction = −(ν + 1) z / ((ν + z²) s)
 *   d/dscale      = ν (1 − z²) / ((ν + z²) s)
 * All constants are in it. An outlier pulls ever less: the pull is largest at |z| = √ν. In c(ν) large logarithms of Γ
 * would cancel; with δ, what Stirling's formula leaves out, c(ν) = ½ log 2π + ½ − (ν/2) log1p(1/ν) + δ(ν/2) − δ((ν+1)/2),
 * which goes to the Gaussian's ½ log 2π. r = ±∞ gives +∞, with the gradients 0 and −ν/s; NaN gives NaN. A scale that is
 * not above 0 is an error. scipy `t.logpdf`; ν = 4 by default after Lange, Little and Taylor 1989.
 */
export const studentTNll = /*#__PURE__*/ defineLocationScaleLoss<StudentTNllOptions, StudentTNllBatch, "scale">({
  name: "studentTNll",
  documentation: {
    summary: "The negative log-likelihood of Student's t: a Gaussian with tails that forgive outliers.",
    formula:
      "log s + ½(ν + 1)·log(1 + z²/ν) + log Γ(ν/2) − log Γ((ν + 1)/2) + ½·log(νπ),  z = (target − prediction)/s,  s = scale",
    gradient: "d/dprediction = −(ν + 1)·z / ((ν + z²)·s);  d/dscale = ν·(1 − z²) / ((ν + z²)·s)",
    likelihood: {
      target: "real value with outliers and noise of its own",
      distribution: "Student's t with predicted scale",
    },
    pitfalls: [
      "scale is not the standard deviation: that is s·√(ν/(ν − 2)), and infinite for ν ≤ 2.",
      "Not convex in the prediction: far from the target the gradient vanishes.",
      "The scale must be above 0 and is not clamped: give the model a positive output (softplus, exp) with a floor.",
      "Where one model fits some targets exactly, the likelihood grows without bound as the scale shrinks.",
    ],
    metric: "the loss itself; medianAbsoluteError of the center",
    source: "scipy t.logpdf; Lange, Little and Taylor 1989",
  },
  options: {
    degreesOfFreedom: numberOption("how light the tails are: 1 is Cauchy, large values approach the Gaussian", 4, {
      above: 0,
    }),
  },
  width: {
    field: "scale",
    meaning: "the predicted scale, above 0; of the predictions' shape, [] for all, or 1 on the last axis",
    domain: "positive",
  },
  describe: ({ degreesOfFreedom }) =>
    `Student's t negative log-likelihood of each element with ${degreesOfFreedom} degrees of freedom, constants included`,
  density({ degreesOfFreedom: nu }) {
    const root = Math.sqrt(nu);
    const center = HALF_LOG_2_PI + 0.5 - (nu / 2) * log1p(1 / nu);
    const constant = center + (stirlingRemainder(nu / 2) - stirlingRemainder((nu + 1) / 2));
    return {
      loss: (r, scale) => log(scale) + ((nu + 1) / 2) * log1pSquare(Math.abs(r) / scale / root) + constant,
      residualSlope(r, scale) {
        const z = r / scale;
        // Far out by the reciprocal, as z² would overflow.
        return ((nu + 1) * (Math.abs(z) > 1 ? 1 / (nu / z + z) : z / (nu + z * z))) / scale;
      },
      widthSlope(r, scale) {
        const z = r / scale;
        if (!(Math.abs(z) > 1)) return (((nu * (1 - z)) / (nu + z * z)) * (1 + z)) / scale;
        const inverse = 1 / z;
        return (((nu * (inverse - 1)) / (nu * inverse * inverse + 1)) * (inverse + 1)) / scale;
      },
    };
  },
});
