import { exp, expm1, log1p, tanh } from "../../numerics/index.js";
import { defineResidualLoss } from "./residual.js";

/**
 * Logarithm of the hyperbolic cosine of the residual r = target − prediction.
 *   loss          = log cosh r
 *   d/dprediction = −tanh r
 * It runs like r²/2 near zero and like |r| − log 2 far out: huber with delta 1, but smooth.
 * Far out it is |r| + log1p(e^−2|r|) − log 2, which cannot overflow as cosh does from 711 on. Near zero those terms
 * cancel, so that there it is log1p(cosh r − 1) with cosh r − 1 = e²/(2(1 + e)), e = expm1(−|r|).
 * r = ±∞ gives +∞ and ∓1; NaN gives NaN. optax `log_cosh`.
 */
export const logCosh = /*#__PURE__*/ defineResidualLoss<Record<never, never>>({
  name: "logCosh",
  documentation: {
    summary: "Squared error near zero, absolute error far out, smooth and without an option.",
    formula: "log cosh r,  r = target − prediction",
    gradient: "d/dprediction = −tanh r",
    likelihood: { target: "real value with outliers", distribution: "hyperbolic secant of fixed scale" },
    pitfalls: [
      "It bends at residuals of 1 whatever the unit of the target is: scale the targets, or use pseudoHuber with its delta.",
      "cosh overflows where it is computed first: at 89 in float32, 711 in float64.",
    ],
    metric: "meanAbsoluteError",
    source: "optax log_cosh",
  },
  options: {},
  describe: () => "log-cosh of the residual of each element",
  loss(r) {
    const size = Math.abs(r);
    if (!(size < 1)) return size + (log1p(exp(-2 * size)) - Math.LN2);
    const e = expm1(-size);
    return log1p((e * e) / (2 * (1 + e)));
  },
  slope: tanh,
  kernel: () => [],
});
