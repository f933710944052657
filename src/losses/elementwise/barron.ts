import { numberOption } from "../../contract/index.js";
import { exp, expm1, pow } from "../../numerics/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { log1pSquare, SQUARE_ALONE } from "./log1p-square.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link barron}. */
export interface BarronOptions {
  /** α: how heavy the tails are; 2 squared error, 1 smooth absolute error, 0 Cauchy, −2 Geman–McClure, −∞ Welsch. Default 1. */
  readonly alpha: number;
  /** c: the residual, in the unit of the target, where the square bends; above 0. Default 1. */
  readonly scale: number;
}

/**
 * Barron's general robust loss of the residual r = target − prediction, with q = r/c and b = |α − 2|.
 *   loss          = (b/α)((q²/b + 1)^(α/2) − 1)
 *   d/dprediction = −(q/c)(q²/b + 1)^(α/2 − 1)
 * and the limits of both: q²/2 at α = 2, log(q²/2 + 1) at 0, 1 − e^(−q²/2) at −∞, e^(q²/2) − 1 at +∞. It runs like q²/2
 * near zero for every α. With ℓ = log(1 + q²/b) the loss is b (ℓ/2) · expm1(z)/z, z = αℓ/2: the form has no hole at
 * α = 0 and none at small residuals.
 * r = ±∞ gives +∞ for α ≥ 0 and −b/α below (1 at −∞), with the slope 0 for α < 1, ∓1/c at 1, ∓∞ above; NaN gives NaN.
 * Not convex for α < 1. Barron 2019, eq. 8 and 9.
 */
export const barron = /*#__PURE__*/ defineResidualLoss<BarronOptions>({
  name: "barron",
  documentation: {
    summary: "One family of robust losses: alpha turns squared error into ever more forgiving ones.",
    formula:
      "(|α−2|/α)·(((r/c)²/|α−2| + 1)^(α/2) − 1);  (r/c)²/2 at α = 2,  log((r/c)²/2 + 1) at 0,  1 − exp(−(r/c)²/2) at −∞",
    gradient: "d/dprediction = −(r/c²)·((r/c)²/|α−2| + 1)^(α/2 − 1)",
    likelihood: {
      target: "real value with outliers",
      distribution: "Barron's p(r; α, c) for fixed α ≥ 0 and c; none below 0, where the mass is infinite",
    },
    pitfalls: [
      "Divides by the squared scale: near zero it is (r/c)²/2, so scale changes the learning rate. pseudoHuber and cauchy are scale² times it at alpha 1 and 0.",
      "Not convex below alpha 1: far from the target the gradient vanishes. Begin with a larger alpha.",
      "alpha and scale are fixed here: learned ones need the log partition function, or the loss shrinks by widening.",
    ],
    metric: "meanAbsoluteError, medianAbsoluteError",
    source: "Barron 2019, eq. 8",
  },
  options: {
    alpha: numberOption(
      "how heavy the tails are: 2 squared, 1 smooth absolute, 0 Cauchy, -2 Geman-McClure, -inf Welsch",
      1,
      { infinite: true },
    ),
    scale: numberOption("the residual where the square bends", 1, { above: 0 }),
  },
  describe: ({ alpha, scale }) => `Barron's robust loss of each element with alpha ${alpha} and scale ${scale}`,
  loss: (r, { alpha, scale }) => robustLoss(Math.abs(r) / scale, alpha),
  slope: (r, { alpha, scale }) => (Math.sign(r) * robustSlope(Math.abs(r) / scale, alpha)) / scale,
  kernel({ alpha, scale }) {
    if (alpha === 0 || alpha === 2 || !Number.isFinite(alpha)) return `alpha is ${alpha}, a limit`;
    return float32Parameters({ alpha, scale });
  },
});

/** The loss of q = |r|/c ≥ 0. */
function robustLoss(q: number, alpha: number): number {
  if (alpha === 2) return (q * q) / 2;
  if (alpha === Number.NEGATIVE_INFINITY) return -expm1((-q * q) / 2);
  if (alpha === Number.POSITIVE_INFINITY) return expm1((q * q) / 2);
  const b = Math.abs(alpha - 2);
  const w = q / Math.sqrt(b);
  const half = log1pSquare(w) / 2;
  if (alpha === 0) return b * half;
  const z = alpha * half;
  if (Math.abs(z) < 1) return b * half * (z === 0 ? 1 : expm1(z) / z);
  // Where the power is large it is taken of 1 + w² itself: through the logarithm it would lose a digit for each of z.
  return (b / alpha) * (half > 1 && z > 0 ? powerOfSum(w, alpha / 2) - 1 : expm1(z));
}

/** The derivative by q = |r|/c ≥ 0. */
function robustSlope(q: number, alpha: number): number {
  if (alpha === 2) return q;
  // q e^(−q²/2) is 0 from 39 on; at q = +∞ the product would be NaN.
  if (alpha === Number.NEGATIVE_INFINITY) return q > 40 ? 0 : q * exp((-q * q) / 2);
  if (alpha === Number.POSITIVE_INFINITY) return q * exp((q * q) / 2);
  const b = Math.abs(alpha - 2);
  const w = q / Math.sqrt(b);
  // Far out q w^(α−2) as one power, which has its limit at +∞.
  return w > SQUARE_ALONE ? Math.sqrt(b) * pow(w, alpha - 1) : q * powerOfSum(w, alpha / 2 - 1);
}

/** (1 + w²)^y: a large power of a sum near 1 goes through log1p, which keeps the digits of w² that 1 + w² rounds off. */
function powerOfSum(w: number, y: number): number {
  if (w > SQUARE_ALONE) return pow(w, 2 * y);
  return w > 1 ? pow(1 + w * w, y) : exp(y * log1pSquare(w));
}
