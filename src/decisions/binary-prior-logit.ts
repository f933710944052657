import { log, log1p } from "../numerics/index.js";
import { type Tensor, view } from "../tensor/index.js";
import { checkPresent, countLabels } from "./label-counts.js";
import { type Numbers, wrong } from "./numbers.js";

const where = "binaryPriorLogit";

/**
 * The logit of how often a binary label is 1: log(π / (1 − π)), −log of what `posWeightFrom` gives.
 * As the first bias of an output it makes a model begin at the base rate: its loss starts at the entropy of the labels,
 * and the first steps do not go into unlearning a probability of 1/2.
 * Near π = 1/2 it is formed as log1p((2π − 1)/(1 − π)), where the quotient's logarithm would cancel.
 *
 * @param prior - π in (0, 1); or targets, `[N]` or `[N, C]` of 0 and 1, whose own frequency is π
 * @returns a number for a number or `[N]`; one a class, `[C]`, for more axes
 * @throws `value` for π outside (0, 1), for targets outside [0, 1], or for a class where all are the same, naming it;
 * `argument`, `role`, `shape` for what is no tensor of targets
 * @see Lin et al. 2017, section 4.1 (bias −log((1 − π)/π) of RetinaNet)
 *
 * @example
 * binaryPriorLogit(0.01); // −4.595
 */
export function binaryPriorLogit(prior: number): number;
export function binaryPriorLogit(prior: Numbers<"targets" | "probabilities">): number | Tensor<"scores", "float64">;
export function binaryPriorLogit(
  prior: number | Numbers<"targets" | "probabilities">,
): number | Tensor<"scores", "float64"> {
  if (typeof prior === "number") {
    if (prior > 0 && prior < 1) return logOfQuotient(prior, 1 - prior, 2 * prior - 1);
    throw wrong(where, "value", "prior", String(prior), "a probability above 0 and below 1");
  }
  const { positives, negatives, isSingle } = countLabels(where, prior);
  const fix = "labels that are all the same have no finite logit: add the examples missing, or name a prior yourself.";
  checkPresent(where, positives, "positive", isSingle, fix);
  checkPresent(where, negatives, "negative", isSingle, fix);
  const logits = positives.map((count, k) => logOfQuotient(count, negatives[k]!, count - negatives[k]!));
  return isSingle ? logits[0]! : view(logits, [logits.length], "scores", "float64");
}

/** log(a/b), given a − b exactly. */
function logOfQuotient(a: number, b: number, difference: number): number {
  return Math.abs(difference) < b / 2 ? log1p(difference / b) : log(a / b);
}
