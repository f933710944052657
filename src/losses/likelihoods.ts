import { closest, LosswrightError } from "../errors/index.js";

/** What a target is drawn from, and the objective that is its negative log-likelihood up to constants. */
export interface Likelihood {
  readonly distribution: string;
  /** Name of the objective, for `objectiveFrom({ objective })`. */
  readonly objective: string;
  /** What the model gives for each target. */
  readonly model: string;
}

/**
 * From a target type to the distribution it is assumed to be drawn from and the objective that follows: choosing a
 * loss is choosing what is random about the target.
 *
 * @example
 * objectiveFrom({ objective: likelihoods["count"].objective }); // poissonNll
 */
export const likelihoods = {
  "real value": { distribution: "Gaussian of fixed variance", objective: "squaredError", model: "the mean" },
  "real value with heavy tails": {
    distribution: "Laplace of fixed scale",
    objective: "absoluteError",
    model: "the median",
  },
  "real value with outliers": {
    distribution: "Gaussian with Laplace tails",
    objective: "huber",
    model: "a mean that outliers do not move far",
  },
  "real value with noise of its own": {
    distribution: "Gaussian with a variance for each target",
    objective: "gaussianNll",
    model: "mean and variance",
  },
  "quantile of a real value": {
    distribution: "asymmetric Laplace",
    objective: "quantile",
    model: "the quantile",
  },
  "binary label": { distribution: "Bernoulli", objective: "binaryCrossEntropy", model: "one logit" },
  "multi-label": {
    distribution: "Bernoulli, independent for each label",
    objective: "binaryCrossEntropy",
    model: "one logit a label",
  },
  "single class": { distribution: "categorical", objective: "crossEntropy", model: "one logit a class" },
  "ordered class": {
    distribution: "Bernoulli for each threshold",
    objective: "ordinal",
    model: "one logit a threshold",
  },
  "distribution over classes": {
    distribution: "categorical, against a soft target",
    objective: "klDivergence",
    model: "one logit a class",
  },
  "pair preference": { distribution: "Bradley-Terry", objective: "pairwiseLogistic", model: "one score an item" },
  "order of a list": { distribution: "Plackett-Luce", objective: "listMle", model: "one score an item" },
  "embedding match": {
    distribution: "categorical over the negatives",
    objective: "infoNce",
    model: "an embedding for each side",
  },
  count: { distribution: "Poisson", objective: "poissonNll", model: "the logarithm of the rate" },
  "overdispersed count": {
    distribution: "negative binomial",
    objective: "negativeBinomialNll",
    model: "the mean",
  },
  "positive real": { distribution: "Gamma", objective: "gammaNll", model: "the mean" },
  "positive real with exact zeros": {
    distribution: "Tweedie, compound Poisson and Gamma",
    objective: "tweedie",
    model: "the mean",
  },
} as const satisfies Readonly<Record<string, Likelihood>>;

/** The target types of {@link likelihoods}. */
export type TargetType = keyof typeof likelihoods;

/** The likelihood of a target type given as text. @throws `unknown`, naming the near miss */
export function likelihoodOf(target: string): Likelihood {
  if (Object.hasOwn(likelihoods, target)) return likelihoods[target as TargetType];
  const known = Object.keys(likelihoods);
  const meant = closest(target, known);
  throw new LosswrightError({
    code: "unknown",
    where: "likelihoods",
    field: "target",
    found: `"${target}"`,
    expected: `one of ${known.join(", ")}`,
    ...(meant && { fix: `write "${meant}".` }),
  });
}
