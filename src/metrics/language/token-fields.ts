import { exp, log } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BoundFields, MetricField } from "../fields.js";

/** Logits of tokens beside their labels, already shifted. */
export const tokenFields = {
  logits: {
    meaning: "raw scores of the vocabulary at each position",
    axes: ["...", "K"],
    holds: "reals",
    infinite: true,
    range: { words: "a logit below +∞", has: (value) => value < Number.POSITIVE_INFINITY },
    roles: ["logits", "logProbabilities"],
  },
  labels: {
    meaning: "the token that each position should predict: already shifted",
    axes: ["..."],
    holds: "indices",
    roles: ["classIndices", "targets"],
  },
} as const satisfies Record<string, MetricField>;

/** Sums of −log p of pieces of text, in nats. */
export const likelihoodField = {
  negativeLogLikelihood: {
    meaning: "−log p of each piece of text, summed over its tokens, in nats",
    axes: ["..."],
    holds: "reals",
    infinite: true,
    range: { words: "at least 0", has: (value) => value >= 0 },
    roles: [],
  },
} as const satisfies Record<string, MetricField>;

/** How many there are in each piece. */
export function countField(what: string): MetricField {
  return {
    meaning: `${what} of each piece of text`,
    axes: ["..."],
    holds: "reals",
    range: { words: "a count of at least 0", has: (value) => value >= 0 },
    roles: [],
  };
}

/** Logits beside labels, as types. */
export interface TokenScores {
  /** `[..., K]`. */
  readonly logits: Tensor<"logits" | "logProbabilities" | Unlabeled>;
  /** `[...]`, already shifted. */
  readonly labels: Tensor<"classIndices" | "targets" | Unlabeled>;
}

/** −log softmax(logits)[label] of each position, in nats. */
export function tokenLoss(fields: BoundFields): (position: number) => number {
  const classes = fields.size("K");
  const [logit, label] = [fields.reals("logits"), fields.indices("labels", classes)];
  return (position) => {
    const base = position * classes;
    const own = logit(base + label(position));
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) largest = Math.max(largest, logit(base + k));
    // Where every class is forbidden nothing can be said.
    if (largest === Number.NEGATIVE_INFINITY) return Number.NaN;
    let total = 0;
    for (let k = 0; k < classes; k++) total += exp(logit(base + k) - largest);
    return log(total) - (own - largest);
  };
}
