import { defineListLoss } from "./list.js";
import { crossEntropyOfList } from "./softmax-list.js";

/**
 * Softmax loss of a list with scores s and relevance y.
 *   p       = softmax(s) over the items of the list
 *   loss    = −Σ_k y_k log p_k
 *   d/ds_k  = (Σ_j y_j) p_k − y_k
 * Relevance is a weight and is not normalized: a list with twice the relevance pulls twice as hard, one without any has
 * loss 0 and still counts. With one relevant item it is the cross entropy of which item was taken.
 * A score of −∞ forbids its item: loss and gradient 0 there, +∞ where it has relevance, NaN where all are −∞.
 * optax `ranking_softmax_loss`.
 */
export const rankingSoftmax = /*#__PURE__*/ defineListLoss<object>({
  name: "rankingSoftmax",
  documentation: {
    summary: "Cross entropy of which item of a list is relevant, each weighed by its relevance.",
    formula: "−Σ_k y_k·log p_k,  p = softmax(scores) over the items of the list",
    gradient: "d/dscores_k = (Σ_j y_j)·p_k − y_k",
    likelihood: {
      target: "item taken from a list, or how often each was",
      distribution: "categorical over the items; for counts multinomial, up to a constant",
    },
    pitfalls: [
      "Relevance is not normalized: lists with more of it weigh more. listNet makes each list's relevance a distribution.",
      "A list without relevance has loss 0 and counts in the mean: mask it where it should not dilute the others.",
      "Padding must be masked: a padded score of 0 is an item like any other.",
    ],
    metric: "ndcg, meanReciprocalRank",
    source: "optax ranking_softmax_loss",
  },
  options: {},
  relevance: { meaning: "weight of each item, finite and at least 0", domain: "nonNegative" },
  describe: () =>
    "softmax loss of each list, −Σ relevance · log softmax(scores) over its items, relevance not normalized",
  open: (_, length) => crossEntropyOfList(length, ({ relevance }, weights) => weights.set(relevance)),
});
