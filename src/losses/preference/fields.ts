import { choiceOption, type OptionSpec } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { FieldSpec } from "../definition.js";

/** What a sequence scores: the log-probability of a whole answer, one number an answer. */
export type SequenceScores = Tensor<"scores" | "logProbabilities" | Unlabeled>;

/** Whether a sequence's score is the sum or the mean of its tokens' log-probabilities. */
export type Score = "sum" | "mean";

/** A field of one score a sequence; `[B, T]` is refused, since log-probabilities of tokens are no sequence scores. */
export function sequenceField(meaning: string, gradient: "row" | "shared" | "none") {
  return {
    meaning,
    holds: "reals",
    roles: ["scores", "logProbabilities"],
    shape: ["B"],
    read: "label",
    gradient,
  } as const satisfies FieldSpec;
}

/** Says what the scores are; it changes no arithmetic, and stands in the contract because the two mean different things. */
export function scoreOption(fallback: Score): OptionSpec<Score> {
  return choiceOption(
    "what the scores are, for the contract alone: summed token log-probabilities favor short answers, their mean weakens length",
    fallback,
    ["sum", "mean"],
  );
}

/** What the scores are, in words. */
export function scoreInWords(score: Score): string {
  return score === "sum" ? "sums of token log-probabilities" : "means of token log-probabilities";
}
