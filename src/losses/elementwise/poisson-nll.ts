import { flagOption, numberOption } from "../../contract/index.js";
import { exp, log } from "../../numerics/index.js";
import { defineElementLoss } from "./element.js";

/** Options of {@link poissonNll}. */
export interface PoissonNllOptions {
  /** Whether predictions are logarithms of the rate; otherwise rates, at least 0. Default true. */
  readonly logInput: boolean;
  /** Whether Stirling's approximation of log y! is added for targets above 1. Default false. */
  readonly full: boolean;
  /** Added to the rate inside its logarithm with `logInput: false`; at least 0. Default 1e-8. */
  readonly eps: number;
}

/**
 * Negative log-likelihood of a Poisson count y, from the logarithm z of its rate (or, with `logInput: false`, the rate λ).
 *   loss = e^z − y z,                  d/dz = e^z − y
 *   loss = λ − y log(λ + ε),           d/dλ = 1 − y/(λ + ε)
 *   with `full`, for y > 1, plus y log y − y + ½ log(2πy): Stirling's approximation of log y!, a constant
 * A target of 0 costs the rate alone, also where its logarithm is −∞. z = −∞ gives 0 against y = 0 and +∞ otherwise;
 * z = +∞ gives +∞ with an infinite gradient, as does a z above 709.78, where e^z overflows; NaN gives NaN. Targets need
 * not be whole; a negative one is an error, and so is a negative rate. torch `poisson_nll_loss`.
 */
export const poissonNll = /*#__PURE__*/ defineElementLoss<PoissonNllOptions>({
  name: "poissonNll",
  documentation: {
    summary: "The negative log-likelihood of counts.",
    formula:
      "e^z − y·z, or λ − y·log(λ + eps) with logInput: false;  with full and y > 1 plus y·log y − y + ½·log(2πy)",
    gradient: "d/dz = e^z − y;  d/dλ = 1 − y/(λ + eps)",
    likelihood: { target: "count", distribution: "Poisson" },
    pitfalls: [
      "Predictions are the logarithm of the rate unless logInput: false. A rate taken for a logarithm trains without an error.",
      "Variance equals mean: for counts that scatter more use negativeBinomialNll.",
      "Without full, log y! is missing and the value may be negative; full adds Stirling's approximation, 0.04 short of log 2! and closer beyond.",
      "Exposure (time, area) belongs into the model as + log exposure, not into the weights.",
    ],
    metric: "the loss itself; meanAbsoluteError of the rate",
    source: "torch poisson_nll_loss",
  },
  options: {
    logInput: flagOption("predictions are logarithms of the rate, otherwise rates", true),
    full: flagOption("adds Stirling's approximation of log y! for targets above 1", false),
    eps: numberOption("added to the rate inside its logarithm, with logInput: false", 1e-8, { atLeast: 0 }),
  },
  narrows: {
    predictions: {
      meaning: "the logarithm of the rate, or the rate (at least 0) with logInput: false",
      domain: ({ logInput }: PoissonNllOptions) => (logInput ? undefined : "nonNegative"),
    },
    targets: { meaning: "the observed count, at least 0", domain: "nonNegative" },
  },
  describe: ({ logInput, full, eps }) =>
    [
      "Poisson negative log-likelihood of each element",
      logInput ? "from the logarithm of the rate" : `from the rate, ${eps} added inside its logarithm`,
      full ? "with Stirling's approximation of log y! for targets above 1" : "without log y!",
    ].join(", "),
  math({ options: { logInput, full, eps } }) {
    const constant = (target: number) =>
      full && target > 1 ? target * log(target) - target + log(2 * Math.PI * target) / 2 : 0;
    // A count of 0 is silent where the logarithm of the rate is −∞.
    const observed = (target: number, logRate: number) => (target === 0 ? 0 : target * logRate);
    if (!logInput) {
      return {
        loss: (rate, target) => rate - observed(target, log(rate + eps)) + constant(target),
        slope: (rate, target) => (target === 0 ? 1 : 1 - target / (rate + eps)),
      };
    }
    return {
      loss(z, target) {
        const rate = exp(z);
        return rate === Number.POSITIVE_INFINITY ? rate : rate - observed(target, z) + constant(target);
      },
      slope: (z, target) => exp(z) - target,
    };
  },
});
