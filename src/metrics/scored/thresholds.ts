import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import type { Scored } from "./class-scores.js";

/**
 * Walks the distinct scores from the highest down, equal scores together: after each of them, the weight of positives
 * and of negatives that score at least as high. Counts are whole numbers, weights exact sums rounded at each step, so
 * that nothing depends on the order of the samples.
 */
export function walkThresholds(
  { scores, positive, weights }: Scored,
  visit: (threshold: number, truePositives: number, falsePositives: number) => void,
): void {
  if (weights) walkWeighted(scores, positive, weights, visit);
  else walkCounts(scores, positive, visit);
}

/** Without weights: positives and negatives sorted apart, which needs no order of the samples. */
function walkCounts(
  scores: Float64Array,
  positive: Uint8Array,
  visit: (threshold: number, truePositives: number, falsePositives: number) => void,
): void {
  let count = 0;
  for (let i = 0; i < positive.length; i++) count += positive[i]!;
  const [above, below] = [new Float64Array(count), new Float64Array(scores.length - count)];
  for (let i = 0, a = 0, b = 0; i < scores.length; i++) {
    if (positive[i]) above[a++] = scores[i]!;
    else below[b++] = scores[i]!;
  }
  above.sort();
  below.sort();
  let [a, b] = [above.length, below.length];
  while (a > 0 || b > 0) {
    const threshold = b === 0 || (a > 0 && above[a - 1]! >= below[b - 1]!) ? above[a - 1]! : below[b - 1]!;
    while (a > 0 && above[a - 1] === threshold) a--;
    while (b > 0 && below[b - 1] === threshold) b--;
    visit(threshold, above.length - a, below.length - b);
  }
}

function walkWeighted(
  scores: Float64Array,
  positive: Uint8Array,
  weights: Float64Array,
  visit: (threshold: number, truePositives: number, falsePositives: number) => void,
): void {
  const order = sortedOrder(scores);
  const [above, below] = [new ExactSum(), new ExactSum()];
  for (let i = order.length - 1; i >= 0; i--) {
    const index = order[i]!;
    (positive[index] ? above : below).add(weights[index]!);
    const isLast = i === 0 || scores[order[i - 1]!] !== scores[index];
    if (isLast) visit(scores[index]! + 0, above.value, below.value);
  }
}

/** The points of a walk, one a distinct score from the highest down. */
export interface Thresholds {
  readonly thresholds: Float64Array;
  readonly truePositives: Float64Array;
  readonly falsePositives: Float64Array;
}

/** All points of {@link walkThresholds}. */
export function thresholdsOf(scored: Scored): Thresholds {
  const [thresholds, truePositives, falsePositives]: number[][] = [[], [], []];
  walkThresholds(scored, (threshold, above, below) => {
    thresholds!.push(threshold);
    truePositives!.push(above);
    falsePositives!.push(below);
  });
  return {
    thresholds: Float64Array.from(thresholds!),
    truePositives: Float64Array.from(truePositives!),
    falsePositives: Float64Array.from(falsePositives!),
  };
}
