import { eitherOption, numberOption } from "../../contract/index.js";
import { unitDeviance, unitDevianceSlope } from "./deviance.js";
import { defineElementLoss } from "./element.js";

/** Options of {@link tweedie}. */
export interface TweedieOptions {
  /** p: the variance is proportional to mean^p. At least 1, or at most 0. Default 1.5. */
  readonly power: number;
}

/**
 * Tweedie deviance of a target y from the predicted mean μ, for a variance proportional to μ^p.
 *   loss = 2 (y^(2−p)/((1 − p)(2 − p)) − y μ^(1−p)/(1 − p) + μ^(2−p)/(2 − p)),  and its limits at p = 1 and p = 2
 *   d/dμ = 2 μ^−p (μ − y)
 *
 *   p            distribution                    targets      predictions
 *   0            Gaussian: (y − μ)²              any          any
 *   1            Poisson: 2(y log(y/μ) − y + μ)  at least 0   above 0
 *   1 < p < 2    compound Poisson–gamma          at least 0   above 0
 *   2            gamma: 2(log(μ/y) + y/μ − 1)    above 0      above 0
 *   p > 2        positive stable (3: inverse     above 0      above 0
 *                Gaussian)
 *   p < 0        extreme stable                  any          above 0
 * Between 0 and 1 there is no distribution. Values go smoothly through p = 1 and 2. For p < 0 a target below 0 has its
 * first term taken for 0, as in the reference. A NaN prediction gives NaN; what lies outside its domain is an error.
 * Jørgensen 1997, 4.1; scikit-learn `mean_tweedie_deviance`.
 */
export const tweedie = /*#__PURE__*/ defineElementLoss<TweedieOptions>({
  name: "tweedie",
  documentation: {
    summary:
      "The deviance of a variance that grows as a power of the mean; between 1 and 2 for amounts with exact zeros.",
    formula:
      "2·(y^(2−p)/((1−p)(2−p)) − y·μ^(1−p)/(1−p) + μ^(2−p)/(2−p));  (y − μ)² at p = 0, 2(y·log(y/μ) − y + μ) at 1, 2(log(μ/y) + y/μ − 1) at 2",
    gradient: "d/dμ = 2·μ^−p·(μ − y)",
    likelihood: {
      target: "positive real with exact zeros (1 < p < 2), positive real (p ≥ 2), count (p = 1)",
      distribution: "Tweedie: Gaussian 0, Poisson 1, compound Poisson–gamma 1 to 2, gamma 2, inverse Gaussian 3",
    },
    pitfalls: [
      "Predictions are the mean and must be above 0 (but at power 0): give the model a positive output (exp) with a floor.",
      "Targets of 0 need a power below 2.",
      "Values at different powers cannot be compared: choose the power by likelihood or on held-out decisions.",
      "It is a deviance: at power 1 twice poissonNll up to a constant, at 2 gammaNll, at 0 squaredError.",
    ],
    metric: "the loss itself; meanAbsoluteError",
    source: "scikit-learn mean_tweedie_deviance",
  },
  options: {
    power: eitherOption(
      numberOption("the variance is proportional to this power of the mean", 1.5, { atLeast: 1 }),
      numberOption("", 0, { atMost: 0 }),
    ),
  },
  narrows: {
    predictions: {
      meaning: "the predicted mean, above 0 unless the power is 0",
      domain: ({ power }: TweedieOptions) => (power === 0 ? undefined : "positive"),
    },
    targets: {
      meaning: "the observed amount: any for a power up to 0, at least 0 below 2, above 0 from 2 on",
      domain: ({ power }: TweedieOptions) =>
        power === 0 ? undefined : power < 0 ? "finite" : power < 2 ? "nonNegative" : "positive",
    },
  },
  describe: ({ power }) => `Tweedie deviance of each element with power ${power} (0 at a perfect prediction)`,
  math: ({ options: { power } }) => ({
    loss: (mean, target) => unitDeviance(target, mean, power),
    slope: (mean, target) => unitDevianceSlope(target, mean, power),
  }),
});
