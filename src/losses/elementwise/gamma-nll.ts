import { unitDeviance, unitDevianceSlope } from "./deviance.js";
import { defineElementLoss } from "./element.js";

/**
 * Gamma deviance of a target y from the predicted mean μ, both above 0.
 *   loss = 2 (−log(y/μ) + (y − μ)/μ)
 *   d/dμ = 2 (μ − y)/μ²
 * Twice what the log-likelihood of a gamma distribution of shape 1 falls short of its best, so 0 where μ = y; the shape,
 * if it is the same for all, only scales it. Errors count by their ratio: the value depends on y/μ alone. It is tweedie
 * with power 2, computed without the cancellation of the terms above near y = μ.
 * A NaN prediction gives NaN; a prediction or target that is not above 0 is an error.
 * McCullagh and Nelder 1989, 8.3.1; scikit-learn `mean_gamma_deviance`.
 */
export const gammaNll = /*#__PURE__*/ defineElementLoss<Record<never, never>>({
  name: "gammaNll",
  documentation: {
    summary: "The deviance of positive amounts whose scatter grows with their mean.",
    formula: "2·(−log(y/μ) + (y − μ)/μ)",
    gradient: "d/dμ = 2·(μ − y)/μ²",
    likelihood: {
      target: "positive real (cost, waiting time)",
      distribution: "gamma of fixed shape; up to the shape as factor and a constant",
    },
    pitfalls: [
      "Predictions are the mean and must be above 0: give the model a positive output (exp) with a floor.",
      "A target of 0 has no likelihood: for amounts with zeros use tweedie with a power between 1 and 2.",
      "It is a deviance: 0 at a perfect prediction, twice a negative log-likelihood of shape 1 up to a constant.",
    ],
    metric: "the loss itself; meanAbsolutePercentageError",
    source: "scikit-learn mean_gamma_deviance",
  },
  options: {},
  narrows: {
    predictions: { meaning: "the predicted mean, above 0", domain: "positive" },
    targets: { meaning: "the observed amount, above 0", domain: "positive" },
  },
  describe: () => "gamma deviance of each element (twice the log-likelihood lost, 0 at a perfect prediction)",
  math: () => ({
    loss: (mean, target) => unitDeviance(target, mean, 2),
    slope: (mean, target) => unitDevianceSlope(target, mean, 2),
  }),
});
