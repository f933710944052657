import { type Curve, defineCurve } from "./curve.js";
import { thresholdsOf } from "./thresholds.js";

const lists = ["falsePositiveRate", "truePositiveRate", "thresholds"] as const;

/** Result of {@link rocCurve}; with several classes the curves follow each other, and `classes` tells them apart. */
export type RocCurve = Curve<(typeof lists)[number]>;

/**
 * False and true positive rates at every threshold, from +∞ (nothing is positive) down through the distinct scores; a
 * score at or above the threshold is positive. A rate of nothing is NaN.
 *
 * scikit-learn `roc_curve`.
 */
export const rocCurve = /*#__PURE__*/ defineCurve({
  name: "rocCurve",
  summary: "False and true positive rates at every threshold.",
  formula: "FP(t) / N, TP(t) / P for thresholds t from +∞ down",
  source: "scikit-learn roc_curve",
  dropIntermediate: "whether points on a straight line between their neighbors are left out",
  lists,
  of: (scored, dropIntermediate) => {
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
  },
});

/** Whether the step after a point is another one than the step before it. */
function bends(counts: readonly number[], i: number): boolean {
  return counts[i + 1]! - counts[i]! !== counts[i]! - counts[i - 1]!;
}
