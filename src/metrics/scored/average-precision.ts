import { log1p } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import { Sums } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import { averageClasses } from "./average-classes.js";
import { type Bounded, roundingSlack, walkBuckets } from "./buckets.js";
import { readScores, type Scored, type ScoreFields } from "./class-scores.js";
import {
  openSummary,
  type ScoreSummary,
  type ScoreSummaryFactory,
  type ScoreSummaryOptions,
  type ScoreSummaryState,
  scoreSummary,
  scoreSummaryOptions,
} from "./score-summary.js";
import { walkThresholds } from "./thresholds.js";

/**
 * The mean precision over the positives, each at the threshold that finds it: Σ_n (R_n − R_{n−1}) P_n over the distinct
 * scores from the highest down. Steps, not trapezoids, which promise too much. 0 where there are no positives.
 *
 * With `resolutionBits` each bucket of scores is a step; the bounds are those of its positives all found before its
 * negatives, and after.
 *
 * scikit-learn `average_precision_score`.
 */
export const averagePrecision: ScoreSummaryFactory<ScoreSummaryOptions> = /*#__PURE__*/ defineMetric<
  ScoreFields,
  ScoreSummaryOptions,
  ScoreSummaryState,
  ScoreSummary
>({
  name: "averagePrecision",
  documentation: {
    summary: "The mean precision over the positives, each at the threshold that finds it.",
    formula: "Σ_n (R_n − R_{n−1}) P_n",
    source: "scikit-learn average_precision_score",
    goal: "maximize",
  },
  options: scoreSummaryOptions,
  ...scoreSummary,
  open: (fields, state, options) => openSummary("averagePrecision", fields, state, options),
  compute: ({ held }, { average }) => {
    if (held instanceof Sums) return boundedPrecision(held);
    if (held.length === 0) return Number.NaN;
    return averageClasses(readScores("averagePrecision", held), average, precisionOf);
  },
}) as ScoreSummaryFactory<ScoreSummaryOptions>;

function precisionOf(scored: Scored): number {
  const sum = new ExactSum();
  let allPositives = 0;
  walkThresholds(scored, (_, above, below, positives) => {
    if (positives > 0) sum.add(positives * (above / (above + below)));
    allPositives = above;
  });
  return allPositives === 0 ? 0 : Math.min(1, sum.value / allPositives);
}

function boundedPrecision(sums: Sums): Bounded & { readonly [name: string]: number } {
  const [value, lower, upper] = [new ExactSum(), new ExactSum(), new ExactSum()];
  const [positives, negatives] = [new ExactSum(), new ExactSum()];
  walkBuckets(sums, (above, below) => {
    const [foundBefore, falseBefore] = [positives.value, negatives.value];
    positives.add(above);
    negatives.add(below);
    if (above === 0) return;
    const [found, wrong] = [positives.value, negatives.value];
    value.add(above * (found / (found + wrong)));
    // All negatives of the bucket first, then positives that are ever so many and light, which is
    // ∫ (F + t)/(F + t + wrong) dt over 0 ≤ t ≤ above; or all its positives first, as one tie.
    lower.add(wrong === 0 ? above : above - wrong * log1p(above / (foundBefore + wrong)));
    upper.add(above * (found / (found + falseBefore)));
  });
  const all = positives.value;
  if (all === 0) return { value: 0, lower: 0, upper: 0 };
  return {
    value: Math.min(1, value.value / all),
    lower: Math.max(0, lower.value / all - roundingSlack),
    upper: Math.min(1, (upper.value / all) * (1 + roundingSlack)),
  };
}
