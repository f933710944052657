import { numberOption } from "../../contract/index.js";
import { log1p, sigmoid } from "../../numerics/index.js";
import { Gains } from "./gains.js";
import { defineListLoss } from "./list.js";

/** Options of {@link approxNdcg}. */
export interface ApproxNdcgOptions {
  /** T > 0: how far apart two scores must be before their order counts as decided. Default 1. */
  readonly temperature: number;
}

/**
 * ApproxNDCG loss of a list with scores s and relevance y: one minus NDCG at smooth ranks.
 *   rank_i   = 1 + Σ_{j≠i} σ((s_j − s_i)/T)
 *   loss     = 1 − Σ_i (2^y_i − 1) / log(1 + rank_i) / ideal DCG
 *   a_i      = d loss/d rank_i = (2^y_i − 1) / ((1 + rank_i) log²(1 + rank_i)) / ideal DCG
 *   d/ds_j   = Σ_i (a_i − a_j) σ'((s_j − s_i)/T) / T
 * Computed against the ideal order: with e_i = rank_i − (ideal rank k), a sum of σ over the pairs out of order, the
 * loss is Σ_i gain_i log(1 + e_i/(1 + k)) / (log(1 + k) log(1 + rank_i)) / ideal DCG, so that a nearly perfect list
 * keeps its small loss where 1 − NDCG would cancel to 0. The base of the logarithm cancels against the ideal DCG.
 * T → 0 is 1 − NDCG itself, with no gradient. Equal scores share their places: each is half before the other.
 * A list without relevance has nothing to order: loss and gradient 0, and it counts. A score of −∞ ranks last; two of
 * them give NaN where either item is relevant.
 * Qin et al. 2010, "A general approximation framework for direct optimization of information retrieval measures".
 */
export const approxNdcg = /*#__PURE__*/ defineListLoss<ApproxNdcgOptions>({
  name: "approxNdcg",
  documentation: {
    summary: "One minus NDCG, with ranks made smooth by sigmoids of score differences.",
    formula: "1 − Σ_i (2^y_i − 1)/log(1 + rank_i) / ideal DCG,  rank_i = 1 + Σ_{j≠i} σ((s_j − s_i)/T)",
    gradient: "d/ds_j = Σ_i (a_i − a_j)·σ'((s_j − s_i)/T)/T,  a_i = d loss/d rank_i",
    likelihood: { target: "graded relevance in a list", distribution: "none: a smooth stand-in for a metric" },
    pitfalls: [
      "The temperature is in the unit of the scores: too small and the gradient vanishes between scores, too large and the ranks are all the same.",
      "It is not convex: a list that is badly wrong has a small gradient. Warm up with rankingSoftmax.",
      "Gains are exponential in relevance: grades of 10 and 0 leave no weight for those between.",
      "It is close to 1 − NDCG only where scores lie several temperatures apart: report ndcg itself.",
    ],
    metric: "ndcg",
    source: "Qin et al. 2010",
  },
  options: { temperature: numberOption("how far apart two scores must be before their order counts", 1, { above: 0 }) },
  relevance: { meaning: "grade of each item, finite and at least 0; its gain is 2^grade − 1", domain: "nonNegative" },
  describe: ({ temperature }) =>
    `1 − NDCG of each list with gains 2^relevance − 1 and ranks made smooth at temperature ${temperature}`,
  open({ temperature }, length) {
    const gains = new Gains(length);
    /** e_i, then a_i, by place of the ideal order. */
    const excess = new Float64Array(length);
    const slopes = new Float64Array(length);
    const between = (scores: Float64Array, place: number, next: number) =>
      (scores[gains.order[next]!]! - scores[gains.order[place]!]!) / temperature;
    return {
      loss(items) {
        const { count, scores } = items;
        gains.update(items);
        if (gains.ideal === 0) return 0;
        excess.fill(0);
        for (let place = 0; place < count && gains.of[gains.order[place]!]! > 0; place++) {
          for (let next = place + 1; next < count; next++) {
            const swapped = sigmoid(between(scores, place, next));
            excess[place]! += swapped;
            excess[next]! -= swapped;
          }
        }
        let loss = 0;
        for (let place = 0; place < count; place++) {
          const gain = gains.of[gains.order[place]!]! / gains.ideal;
          const ideal = 1 / gains.discounts[place]!;
          const later = log1p(excess[place]! / (place + 2));
          slopes[place] = gain / ((place + 2 + excess[place]!) * (ideal + later) * (ideal + later));
          if (gain > 0) loss += (gain * later) / (ideal * (ideal + later));
        }
        return loss;
      },
      gradient({ count, scores, gradient }) {
        gradient.fill(0);
        if (gains.ideal === 0) return;
        for (let place = 0; place < count && gains.of[gains.order[place]!]! > 0; place++) {
          for (let next = place + 1; next < count; next++) {
            const x = between(scores, place, next);
            const pull = ((slopes[place]! - slopes[next]!) * sigmoid(x) * sigmoid(-x)) / temperature;
            gradient[gains.order[next]!]! += pull;
            gradient[gains.order[place]!]! -= pull;
          }
        }
      },
    };
  },
});
