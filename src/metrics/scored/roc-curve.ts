import { flagOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { Samples } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import {
  type ClassScoresOptions,
  classScoresOptions,
  columns,
  openScores,
  readScores,
  type ScoreFields,
  scoreFields,
} from "./class-scores.js";
import { type Curve, curvesOf } from "./curve.js";
import { thresholdsOf } from "./thresholds.js";

/** Options of {@link rocCurve}. */
export interface RocCurveOptions extends ClassScoresOptions {
  /** Whether points on a straight line between their neighbors are left out. Default false. */
  readonly dropIntermediate: boolean;
}

interface RocCurveState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

const names = ["falsePositiveRate", "truePositiveRate", "thresholds"] as const;

/** Result of {@link rocCurve}; with several classes the curves follow each other, and `classes` tells them apart. */
export type RocCurve = Curve<(typeof names)[number]> & { readonly [name: string]: Tensor<Unlabeled, "float64"> };

/**
 * False and true positive rates at every threshold, from +∞ (nothing is positive) down through the distinct scores; a
 * score at or above the threshold is positive. A rate of nothing is NaN.
 *
 * scikit-learn `roc_curve`.
 */
export const rocCurve = /*#__PURE__*/ defineMetric<ScoreFields, RocCurveOptions, RocCurveState, RocCurve>({
  name: "rocCurve",
  documentation: {
    summary: "False and true positive rates at every threshold.",
    formula: "FP(t) / N, TP(t) / P for thresholds t from +∞ down",
    source: "scikit-learn roc_curve",
  },
  options: {
    ...classScoresOptions,
    multilabel: flagOption("labels are [..., K] flags that are each there or not", false),
    dropIntermediate: flagOption("whether points on a straight line between their neighbors are left out", false),
  },
  fields: ({ multilabel }, given) => scoreFields(multilabel, given),
  forms: () => [["scores", "labels"]],
  ignored: "labels",
  state: () => ({ samples: new Samples(columns) }),
  open: (fields, { samples }, options) => openScores("rocCurve", fields, samples, options),
  compute: ({ samples }, { dropIntermediate }) =>
    curvesOf(readScores("rocCurve", samples), names, (scored) => {
      const found = thresholdsOf(scored);
      const thresholds = [Number.POSITIVE_INFINITY, ...found.thresholds];
      const [above, below] = [
        [0, ...found.truePositives],
        [0, ...found.falsePositives],
      ];
      // The highest score stays too, as in scikit-learn, which adds the point of +∞ afterwards.
      const isCorner = (i: number) =>
        i <= 1 || i === above.length - 1 || bends(above, i) || bends(below, i) || !dropIntermediate;
      const kept = [...above.keys()].filter(isCorner);
      const [positives, negatives] = [above.at(-1)!, below.at(-1)!];
      return {
        falsePositiveRate: kept.map((i) => below[i]! / negatives),
        truePositiveRate: kept.map((i) => above[i]! / positives),
        thresholds: kept.map((i) => thresholds[i]!),
      };
    }),
});

/** Whether the step after a point is another one than the step before it. */
function bends(counts: readonly number[], i: number): boolean {
  return counts[i + 1]! - counts[i]! !== counts[i]! - counts[i - 1]!;
}
