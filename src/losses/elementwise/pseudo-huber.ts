import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link pseudoHuber}. */
export interface PseudoHuberOptions {
  /** Where the square bends into the line, in the unit of the target, and the slope far out; above 0. Default 1. */
  readonly delta: number;
}

/** Beyond this, √(1 + q²) is |q| to half an ulp. */
const FAR = 1e8;

/**
 * Pseudo-Huber loss of the residual r = target − prediction, smooth to every order, with h = √(1 + (r/δ)²).
 *   loss          = δ²(h − 1)  =  r²/(1 + h)
 *   d/dprediction = −r/h
 * It runs like r²/2 near zero and like δ(|r| − δ) far out. The second form of the loss is the one computed: h − 1 would
 * cancel for small residuals, where δ²(h − 1) gives 0 from |r|/δ = 1e−8 down.
 * r = ±∞ gives +∞ and ∓δ; NaN gives NaN.
 * Charbonnier et al. 1994; Hartley and Zisserman 2004, appendix A6.8.
 */
export const pseudoHuber = /*#__PURE__*/ defineResidualLoss<PseudoHuberOptions>({
  name: "pseudoHuber",
  documentation: {
    summary: "A smooth curve from squared error near zero to absolute error far out.",
    formula: "δ²(√(1 + (r/δ)²) − 1),  r = target − prediction",
    gradient: "d/dprediction = −r / √(1 + (r/δ)²)",
    likelihood: {
      target: "real value with outliers",
      distribution: "symmetric hyperbolic of fixed scale: Gaussian center, exponential tails",
    },
    pitfalls: [
      "delta is in the unit of the target: rescaled targets need a rescaled delta.",
      "Far out it is δ(|r| − δ), huber is δ(|r| − δ/2): values of the two cannot be compared.",
      "Its curvature falls from the first residual on; huber keeps the full square up to delta.",
    ],
    metric: "meanAbsoluteError",
    source: "Charbonnier et al. 1994; Hartley and Zisserman 2004, A6.8",
  },
  options: { delta: numberOption("where the square bends into the line; the slope far out", 1, { above: 0 }) },
  describe: ({ delta }) => `pseudo-Huber loss of each element with delta ${delta}`,
  loss(r, { delta }) {
    const q = Math.abs(r) / delta;
    return q > FAR ? delta * (Math.abs(r) - delta) : r * (r / (1 + Math.sqrt(1 + q * q)));
  },
  slope(r, { delta }) {
    const q = r / delta;
    return Math.abs(q) > FAR ? delta * Math.sign(r) : r / Math.sqrt(1 + q * q);
  },
  kernel: ({ delta }) => float32Parameters({ delta }),
});
