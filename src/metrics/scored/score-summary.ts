import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import { Samples, Sums } from "../accumulators.js";
import type { BoundFields, GivenFields } from "../fields.js";
import type { ClassAverage } from "./average-classes.js";
import { openBuckets } from "./buckets.js";
import { type ClassScoresOptions, classScoresOptions, columns, openScores, scoreFields } from "./class-scores.js";

/** Options of metrics that make one number of the order of scores. */
export interface ScoreSummaryOptions extends ClassScoresOptions {
  /** How classes become one number. Default `"macro"`. */
  readonly average: ClassAverage;
  /**
   * Leading bits of a score that are kept: memory is bounded, and the result is `{ value, lower, upper }`, the exact
   * value being between the bounds. Null keeps every score.
   */
  readonly resolutionBits: number | null;
}

export const scoreSummaryOptions = {
  ...classScoresOptions,
  average: choiceOption("how classes become one number", "macro", ["macro", "micro", "weighted", "samples", "none"]),
  resolutionBits: nullableOption(
    numberOption("leading bits of a score that are kept, to bound memory", 10, {
      integer: true,
      atLeast: 1,
      atMost: 20,
    }),
  ),
} as const;

/** Every score, or the weight in each bucket of scores. */
export interface ScoreSummaryState {
  readonly held: Samples | Sums;
  readonly [name: string]: Samples | Sums;
}

/** What such metrics have in common: their fields, and what they keep. */
export const scoreSummary = {
  fields: ({ multilabel }: ScoreSummaryOptions, given?: GivenFields) => scoreFields(multilabel, given),
  forms: () => [["scores", "labels"]],
  ignored: "labels",
  state: ({ resolutionBits }: ScoreSummaryOptions): ScoreSummaryState => ({
    held: resolutionBits === null ? new Samples(columns) : new Sums(),
  }),
} as const;

/** Opens an update into the scores or their buckets. */
export function openSummary(
  where: string,
  fields: BoundFields,
  { held }: ScoreSummaryState,
  options: ScoreSummaryOptions,
): (sample: number, weight: number) => void {
  return held instanceof Sums ? openBuckets(where, fields, held, options) : openScores(where, fields, held, options);
}
