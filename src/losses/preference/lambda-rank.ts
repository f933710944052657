import { numberOption } from "../../contract/index.js";
import { log1pExp, sigmoid } from "../../numerics/index.js";
import { Gains } from "./gains.js";
import { defineListLoss, type Items } from "./list.js";

/** Options of {@link lambdaRank}. */
export interface LambdaRankOptions {
  /** T > 0: differences of scores are divided by it. Default 1. */
  readonly temperature: number;
}

/**
 * LambdaRank loss of a list with scores s and relevance y: pairwise logistic loss, each pair weighed by what swapping
 * it would change in NDCG.
 *   w_ij    = |2^y_i − 2^y_j| · |1/log(1 + rank_i) − 1/log(1 + rank_j)| / ideal DCG      (a constant: no gradient)
 *   loss    = Σ_{y_i > y_j} w_ij log(1 + e^−z),   z = (s_i − s_j)/T
 *   d/ds_i  = −w_ij σ(−z)/T,   d/ds_j = +w_ij σ(−z)/T
 * Ranks come from the scores, equal ones in the order given; the base of the logarithm cancels against the ideal DCG.
 * Weights jump where two scores cross, so the value is no smooth function of the scores; its gradient is the one above.
 * A list without a pair of different relevance has loss 0 and counts. A score of −∞ costs +∞ against a less relevant
 * item, 0 against a more relevant one, and NaN against another −∞ of different relevance.
 * Burges 2010, "From RankNet to LambdaRank to LambdaMART", section 4; Wang et al. 2018 for the loss it descends.
 */
export const lambdaRank = /*#__PURE__*/ defineListLoss<LambdaRankOptions>({
  name: "lambdaRank",
  documentation: {
    summary: "Pairwise logistic loss inside a list, each pair weighed by what swapping it changes in NDCG.",
    formula:
      "Σ_{y_i > y_j} |ΔNDCG_ij|·log(1 + exp(−(s_i − s_j)/T)),  |ΔNDCG_ij| = |2^y_i − 2^y_j|·|1/log(1 + rank_i) − 1/log(1 + rank_j)| / ideal DCG",
    gradient: "d/ds_i = −|ΔNDCG_ij|·σ(−(s_i − s_j)/T)/T, and the opposite for s_j; none through |ΔNDCG|",
    likelihood: { target: "graded relevance in a list", distribution: "none: a bound on NDCG, pair by pair" },
    pitfalls: [
      "The weights are detached: finite differences across a change of order do not agree with the gradient.",
      "Gains are exponential in relevance: grades of 10 and 0 leave no weight for those between.",
      "The value is not 1 − NDCG and does not compare between lists of different length.",
      "All pairs are visited: a list of N items costs N² logarithms.",
    ],
    metric: "ndcg",
    source: "Burges 2010, section 4; Wang et al. 2018",
  },
  options: { temperature: numberOption("divides the differences of scores", 1, { above: 0 }) },
  relevance: { meaning: "grade of each item, finite and at least 0; its gain is 2^grade − 1", domain: "nonNegative" },
  describe: ({ temperature }) =>
    `LambdaRank loss of each list, pairwise logistic losses at temperature ${temperature}, each weighed by |ΔNDCG| with gains 2^relevance − 1 and ranks from the scores, the weights detached`,
  open({ temperature }, length) {
    const gains = new Gains(length);
    const order = new Int32Array(length);
    /** The discount of the place where the scores put each item. */
    const discounts = new Float64Array(length);
    const weightOf = (i: number, j: number) =>
      (Math.abs(gains.of[i]! - gains.of[j]!) * Math.abs(discounts[i]! - discounts[j]!)) / gains.ideal;
    return {
      loss(items) {
        const { count, scores } = items;
        gains.update(items);
        gains.rank(scores, count, order);
        for (let place = 0; place < count; place++) discounts[order[place]!] = gains.discounts[place]!;
        let loss = 0;
        for (let place = 0; place < count; place++) {
          const better = gains.order[place]!;
          for (let next = firstBelow(items, gains.order, place); next < count; next++) {
            const worse = gains.order[next]!;
            const weight = weightOf(better, worse);
            if (weight > 0) loss += weight * log1pExp((scores[worse]! - scores[better]!) / temperature);
          }
        }
        return loss;
      },
      gradient(items) {
        const { count, scores, gradient } = items;
        gradient.fill(0);
        for (let place = 0; place < count; place++) {
          const better = gains.order[place]!;
          for (let next = firstBelow(items, gains.order, place); next < count; next++) {
            const worse = gains.order[next]!;
            const weight = weightOf(better, worse);
            if (!(weight > 0)) continue;
            const pull = (weight * sigmoid((scores[worse]! - scores[better]!) / temperature)) / temperature;
            gradient[better]! -= pull;
            gradient[worse]! += pull;
          }
        }
      },
    };
  },
});

/** The first place of the ideal order, after this one, whose item is less relevant. */
function firstBelow({ count, relevance }: Items, order: Int32Array, place: number): number {
  const grade = relevance[order[place]!]!;
  let next = place + 1;
  while (next < count && relevance[order[next]!] === grade) next++;
  return next;
}
