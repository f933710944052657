import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { Samples, Sums } from "../accumulators.js";
import type { BoundFields, GivenFields } from "../fields.js";
import type { Metric, NarrowFactory, UndefinedOption } from "../metric.js";
import type { ClassAverage } from "./average-classes.js";
import { type Bounded, openBuckets } from "./buckets.js";
import {
  type ClassScoresOptions,
  classScoresOptions,
  columns,
  openScores,
  type ScoreFields,
  scoreFields,
} from "./class-scores.js";

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

/** What such metrics compute, whatever their options. */
export type ScoreSummary = number | Tensor<Unlabeled, "float64"> | BoundedResult;

/** A bounded value among the results of metrics. */
export type BoundedResult = Bounded & { readonly [name: string]: number };

/** Makes metrics of one number; of one a class where `average` is `"none"`; bounded where `resolutionBits` is a number. */
export type ScoreSummaryFactory<Options extends ScoreSummaryOptions> = ((
  options: Partial<Options & UndefinedOption> & { readonly resolutionBits: number },
) => Metric<ScoreFields, BoundedResult>) &
  NarrowFactory<
    ScoreFields,
    Options,
    ScoreSummary,
    {
      readonly special: { readonly average: "none"; readonly resolutionBits?: null };
      readonly specially: Tensor<Unlabeled, "float64">;
      readonly usual: {
        readonly average?: Exclude<ScoreSummaryOptions["average"], "none">;
        readonly resolutionBits?: null;
      };
      readonly usually: number;
    }
  >;
