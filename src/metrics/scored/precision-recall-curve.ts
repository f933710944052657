import { type Curve, defineCurve } from "./curve.js";
import { thresholdsOf } from "./thresholds.js";

const lists = ["precision", "recall", "thresholds"] as const;

/** Result of {@link precisionRecallCurve}; with several classes the curves follow each other. */
export type PrecisionRecallCurve = Curve<(typeof lists)[number]>;

/**
 * Precision and recall at every distinct score, ascending; the last point is precision 1 and recall 0, without a
 * threshold. Without positives recall is 1 at every threshold.
 *
 * scikit-learn `precision_recall_curve`.
 */
export const precisionRecallCurve = /*#__PURE__*/ defineCurve({
  name: "precisionRecallCurve",
  summary: "Precision and recall at every threshold.",
  formula: "TP(t) / (TP(t) + FP(t)), TP(t) / P for the distinct scores t, ascending",
  source: "scikit-learn precision_recall_curve",
  dropIntermediate: "whether points are left out whose recall both neighbors have too",
  lists,
  of: (scored, dropIntermediate) => {
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
  },
});

/** Whether a point is the first or the last of those that found as many positives. */
function endsRecall(truePositives: Float64Array, i: number): boolean {
  return truePositives[i] !== truePositives[i - 1] || truePositives[i] !== truePositives[i + 1];
}
