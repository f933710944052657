import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import type { Scored } from "./class-scores.js";

/**
 * What a walk tells of a distinct score: the weight of positives and of negatives that score at least as high, and of
 * those that score just that. The latter are sums of their own: differences of the former, rounded at each score, lose
 * what many scores add up to.
 */
export type VisitThreshold = (
  threshold: number,
  truePositives: number,
  falsePositives: number,
  positives: number,
  negatives: number,
) => void;

/**
 * Walks the distinct scores from the highest down, equal scores together. Counts are whole numbers, weights of equal scores
 * exact sums, added up in the order of the scores, so that nothing depends on the order of the samples.
 */
export function walkThresholds({ scores, positive, weights }: Scored, visit: VisitThreshold): void {
  if (weights) walkWeighted(scores, positive, weights, visit);
  else walkCounts(scores, positive, visit);
}

/** Without weights: positives and negatives sorted apart, which needs no order of the samples. */
function walkCounts(scores: Float64Array, positive: Uint8Array, visit: VisitThreshold): void {
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
    const [firstAbove, firstBelow] = [a, b];
    while (a > 0 && above[a - 1] === threshold) a--;
    while (b > 0 && below[b - 1] === threshold) b--;
    visit(threshold + 0, above.length - a, below.length - b, firstAbove - a, firstBelow - b);
  }
}

function walkWeighted(scores: Float64Array, positive: Uint8Array, weights: Float64Array, visit: VisitThreshold): void {
  const order = sortedOrder(scores);
  const [above, below] = [new RunningSum(), new RunningSum()];
  const [tiedAbove, tiedBelow] = [new ExactSum(), new ExactSum()];
  for (let end = order.length; end > 0; ) {
    const threshold = scores[order[end - 1]!]!;
    let start = end - 1;
    while (start > 0 && scores[order[start - 1]!] === threshold) start--;
    let [positives, negatives] = [0, 0];
    if (end - start === 1) {
      const index = order[start]!;
      if (positive[index]) positives = weights[index]!;
      else negatives = weights[index]!;
    } else {
      tiedAbove.clear();
      tiedBelow.clear();
      for (let i = start; i < end; i++) (positive[order[i]!] ? tiedAbove : tiedBelow).add(weights[order[i]!]!);
      [positives, negatives] = [tiedAbove.value, tiedBelow.value];
    }
    if (positives > 0) above.add(positives);
    if (negatives > 0) below.add(negatives);
    visit(threshold + 0, above.value, below.value, positives, negatives);
    end = start;
  }
}

/**
 * A sum of terms above 0, read after each of them: what rounding takes from it is kept beside it (Neumaier 1974), so that
 * it is as if rounded once. Reading an exact sum as often costs more than the sort.
 */
class RunningSum {
  value = 0;
  private sum = 0;
  private rest = 0;

  add(term: number): void {
    const next = this.sum + term;
    this.rest += this.sum >= term ? this.sum - next + term : term - next + this.sum;
    this.sum = next;
    // A rate never falls from one threshold to the next.
    this.value = Math.max(this.value, next + this.rest);
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
