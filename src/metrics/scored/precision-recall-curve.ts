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

/** Options of {@link precisionRecallCurve}. */
export interface PrecisionRecallCurveOptions extends ClassScoresOptions {
  /** Whether points are left out whose recall both neighbors have too. Default false. */
  readonly dropIntermediate: boolean;
}

interface PrecisionRecallCurveState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

const names = ["precision", "recall", "thresholds"] as const;

/** Result of {@link precisionRecallCurve}; with several classes the curves follow each other. */
export type PrecisionRecallCurve = Curve<(typeof names)[number]> & {
  readonly [name: string]: Tensor<Unlabeled, "float64">;
};

/**
 * Precision and recall at every distinct score, ascending; the last point is precision 1 and recall 0, without a
 * threshold. Without positives recall is 1 at every threshold.
 *
 * scikit-learn `precision_recall_curve`.
 */
export const precisionRecallCurve = /*#__PURE__*/ defineMetric<
  ScoreFields,
  PrecisionRecallCurveOptions,
  PrecisionRecallCurveState,
  PrecisionRecallCurve
>({
  name: "precisionRecallCurve",
  documentation: {
    summary: "Precision and recall at every threshold.",
    formula: "TP(t) / (TP(t) + FP(t)), TP(t) / P for the distinct scores t, ascending",
    source: "scikit-learn precision_recall_curve",
  },
  options: {
    ...classScoresOptions,
    multilabel: flagOption("labels are [..., K] flags that are each there or not", false),
    dropIntermediate: flagOption("whether points are left out whose recall both neighbors have too", false),
  },
  fields: ({ multilabel }, given) => scoreFields(multilabel, given),
  forms: () => [["scores", "labels"]],
  ignored: "labels",
  state: () => ({ samples: new Samples(columns) }),
  open: (fields, { samples }, options) => openScores("precisionRecallCurve", fields, samples, options),
  compute: ({ samples }, { dropIntermediate }) =>
    curvesOf(readScores("precisionRecallCurve", samples), names, (scored) => {
      const found = thresholdsOf(scored);
      const positives = found.truePositives.at(-1) ?? 0;
      const isKept = (_: number, i: number) => !dropIntermediate || endsRecall(found.truePositives, i);
      const [thresholds, truePositives, falsePositives] = [
        found.thresholds.filter(isKept),
        found.truePositives.filter(isKept),
        found.falsePositives.filter(isKept),
      ];
      const precision = truePositives.map((above, i) => above / (above + falsePositives[i]!));
      const recall = truePositives.map((above) => (positives === 0 ? 1 : above / positives));
      return {
        precision: [...precision.reverse(), 1],
        recall: [...recall.reverse(), 0],
        thresholds: thresholds.reverse(),
      };
    }),
});

/** Whether a point is the first or the last of those that found as many positives. */
function endsRecall(truePositives: Float64Array, i: number): boolean {
  return truePositives[i] !== truePositives[i - 1] || truePositives[i] !== truePositives[i + 1];
}
