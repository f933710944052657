import { SoftmaxRow } from "../softmax-row.js";
import { defineListLoss } from "./list.js";
import { crossEntropyOfList } from "./softmax-list.js";

/**
 * ListNet loss of a list with scores s and relevance y: cross entropy between two top-one distributions.
 *   q       = softmax(y),  p = softmax(s)   over the items of the list
 *   loss    = −Σ_k q_k log p_k
 *   d/ds_k  = p_k − q_k
 * q_k is the chance that item k comes first when relevance itself is the score, so differences of relevance count, not
 * ratios: 3 and 2 say the same as 1 and 0. The least loss is the entropy of q, not 0.
 * A score of −∞ forbids its item: +∞ unless q_k rounds to 0; NaN where all are −∞.
 * Cao et al. 2007, "Learning to rank: from pairwise approach to listwise approach": top-one probabilities.
 */
export const listNet = /*#__PURE__*/ defineListLoss<object>({
  name: "listNet",
  documentation: {
    summary: "Cross entropy between the softmax of relevance and the softmax of scores.",
    formula: "−Σ_k q_k·log p_k,  q = softmax(relevance),  p = softmax(scores)",
    gradient: "d/dscores_k = p_k − q_k",
    likelihood: {
      target: "which item comes first, as a distribution",
      distribution: "categorical over the items, in expectation under softmax(relevance)",
    },
    pitfalls: [
      "Relevance goes through a softmax: grades 0..4 make a peaked target, clicks of 0 and 1 a nearly flat one. Rescale them to choose.",
      "The least loss is the entropy of the target, not 0: compare runs, not values with 0.",
      "Padding must be masked: a padded relevance of 0 takes its share of the target.",
    ],
    metric: "ndcg",
    source: "Cao et al. 2007, top-one probabilities",
  },
  options: {},
  relevance: { meaning: "grade of each item, finite; a softmax turns it into the target", domain: "finite" },
  describe: () =>
    "ListNet loss of each list, the cross entropy of softmax(scores) against softmax(relevance) over its items",
  open(_, length) {
    const grades = new Float64Array(length);
    const target = new SoftmaxRow(length);
    return crossEntropyOfList(length, ({ count, relevance }, weights) => {
      grades.set(relevance);
      grades.fill(Number.NEGATIVE_INFINITY, count);
      target.update(grades);
      for (let k = 0; k < length; k++) weights[k] = target.probability(k);
    });
  },
});
