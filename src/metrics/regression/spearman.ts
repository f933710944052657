import { PairMoments } from "./correlation.js";
import { defineRankCorrelation } from "./rank-correlation.js";
import { weightedRanks } from "./ranks.js";

/**
 * Spearman's rank correlation: Pearson's of the ranks, ties sharing the mean of theirs. A weight says how often a sample
 * stands there. NaN where predictions or targets are all tied.
 *
 * scipy `spearmanr`.
 */
export const spearman = /*#__PURE__*/ defineRankCorrelation<object>({
  name: "spearman",
  summary: "The correlation of the ranks of predictions and targets.",
  formula: "Pearson's correlation of the ranks, ties at their mean",
  source: "Spearman 1904; scipy spearmanr",
  options: {},
  of: ({ predictions, targets, weights }) => {
    const [x, y] = [weightedRanks(predictions, weights), weightedRanks(targets, weights)];
    const moments = new PairMoments();
    for (let i = 0; i < x.length; i++) moments.add(weights?.[i] ?? 1, x[i]!, y[i]!);
    return moments.correlation;
  },
});
