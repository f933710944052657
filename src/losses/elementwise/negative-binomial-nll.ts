import { numberOption } from "../../contract/index.js";
import { log, log1p } from "../../numerics/index.js";
import { devianceOfRatio } from "./deviance.js";
import { defineElementLoss } from "./element.js";
import { HALF_LOG_2_PI, stirlingRemainder } from "./stirling.js";

/** Options of {@link negativeBinomialNll}. */
export interface NegativeBinomialNllOptions {
  /** r > 0: the variance is μ + μ²/r; large values approach Poisson. Default 1, the geometric distribution. */
  readonly dispersion: number;
}

/**
 * Negative log-likelihood of a count y under a negative binomial of the predicted mean μ and dispersion r.
 *   loss = log Γ(r) + log Γ(y + 1) − log Γ(y + r) + r log(1 + μ/r) + y log(1 + r/μ)
 *   d/dμ = r (μ − y) / (μ (r + μ))
 * All constants are in it. The number of failures before the r-th success of probability r/(r + μ); a Poisson count
 * whose rate is gamma distributed with shape r.
 *
 * Logarithms of Γ of large counts cancel, so for y > 0 it is formed after Loader 2000 from the remainders δ of Stirling's
 * formula and half deviances d(y, m) = y log(y/m) − y + m, with n = y + r:
 *   loss = ½ log(2πy) + ½ log(1 + y/r) + δ(y) + δ(r) − δ(n) + d(y, nμ/(r + μ)) + d(r, nr/(r + μ))
 * y = 0 costs r log(1 + μ/r). μ = 0 gives 0 (slope 1) against y = 0 and +∞ otherwise; a NaN prediction gives NaN. A
 * target between whole numbers is scored by the same formula; below 0 it is an error, and so is a prediction.
 * scipy `nbinom.logpmf`.
 */
export const negativeBinomialNll = /*#__PURE__*/ defineElementLoss<NegativeBinomialNllOptions>({
  name: "negativeBinomialNll",
  documentation: {
    summary: "The negative log-likelihood of counts that scatter more than Poisson.",
    formula: "log Γ(r) + log Γ(y + 1) − log Γ(y + r) + r·log(1 + μ/r) + y·log(1 + r/μ),  r = dispersion",
    gradient: "d/dμ = r·(μ − y) / (μ·(r + μ))",
    likelihood: { target: "overdispersed count", distribution: "negative binomial of mean μ and variance μ + μ²/r" },
    pitfalls: [
      "Predictions are the mean, not its logarithm and not a success probability: exp first, and chain the gradient.",
      "dispersion is r (scipy's n); other software calls 1/r dispersion.",
      "dispersion is fixed here: fit it on the training targets, since the default of 1 (geometric) is seldom right.",
    ],
    metric: "the loss itself; meanAbsoluteError of the mean",
    source: "scipy nbinom.logpmf; Loader 2000",
  },
  options: {
    dispersion: numberOption("r: the variance is μ + μ²/r; large values approach Poisson", 1, { above: 0 }),
  },
  narrows: {
    predictions: { meaning: "the predicted mean count, at least 0", domain: "nonNegative" },
    targets: { meaning: "the observed count, at least 0", domain: "nonNegative" },
  },
  describe: ({ dispersion }) =>
    `negative binomial negative log-likelihood of each element with dispersion ${dispersion}, constants included`,
  math({ options: { dispersion: r } }) {
    const remainder = stirlingRemainder(r);
    return {
      loss(mean, count) {
        if (count === 0) return r * log1p(mean / r);
        if (mean === 0) return Number.POSITIVE_INFINITY;
        const n = count + r;
        const logs = HALF_LOG_2_PI + (log(count) + log1p(count / r)) / 2;
        const remainders = stirlingRemainder(count) + (remainder - stirlingRemainder(n));
        const misfits =
          misfit(count, n * (mean / (r + mean)), ((r / n) * (count - mean)) / mean) +
          misfit(r, n * (r / (r + mean)), (mean - count) / n);
        return logs + remainders + misfits;
      },
      slope: (mean, count) => (r / (r + mean)) * (count === 0 ? 1 : (mean - count) / mean),
    };
  },
});

/** y log(y/m) − y + m, from the excess y/m − 1 too: where it is small, y − m would be rounding alone. */
function misfit(y: number, m: number, excess: number): number {
  if (Math.abs(excess) < 0.75) return (m / 2) * devianceOfRatio(log1p(excess), 1);
  return y * (log(y) - log(m)) + (m - y);
}
