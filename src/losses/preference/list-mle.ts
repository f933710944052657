import { exp, log1p, log1pExp, sigmoid } from "../../numerics/index.js";
import { defineListLoss } from "./list.js";
import { placeSorter } from "./sort.js";

/**
 * ListMLE loss of a list: the negative log-likelihood of its items in the order of their relevance.
 *   loss      = Σ_i [log Σ_{j ≥ i} exp s_j − s_i]                 items by descending relevance, ties as they are given
 *   d/ds_i    = Σ_{h ≤ i} exp s_i / (Σ_{j ≥ h} exp s_j) − 1
 * The first item is drawn from a softmax over all, the next from one over those that remain, and so on (Plackett and
 * Luce). With x_i = log Σ_{j>i} exp s_j − s_i each stage costs log(1 + e^x_i), chooses right with probability σ(−x_i),
 * and the gradient is U_i σ(−x_i) − σ(x_i) with U_{i+1} = (U_i + 1) σ(x_i), U_0 = 0: one pass each way, nothing cancels
 * that the answer does not.
 * The last stage has one item and costs nothing. A score of −∞ costs +∞ unless only such items remain: then NaN, but for
 * the very last.
 * Xia et al. 2008, "Listwise approach to learning to rank".
 */
export const listMle = /*#__PURE__*/ defineListLoss<object>({
  name: "listMle",
  documentation: {
    summary: "The negative log-likelihood of a list's items in the order of their relevance.",
    formula: "Σ_i [log Σ_{j≥i} exp(s_j) − s_i],  items by descending relevance, ties in the order given",
    gradient: "d/ds_i = Σ_{h≤i} exp(s_i) / Σ_{j≥h} exp(s_j) − 1",
    likelihood: { target: "full ranking of a list", distribution: "Plackett–Luce" },
    pitfalls: [
      "Ties keep the order given, so that order is learned too: shuffle tied items between epochs.",
      "Only the order of relevance is used: how much better an item is does not enter.",
      "The sum grows with the length of the list: long lists pull harder than short ones.",
      "Every place counts alike: for the top of the list take lambdaRank or approxNdcg.",
    ],
    metric: "ndcg, kendallTau",
    source: "Xia et al. 2008",
  },
  options: {},
  relevance: { meaning: "grade of each item, finite; only its order counts", domain: "finite" },
  describe: () =>
    "ListMLE loss of each list, the negative log-likelihood of its items by descending relevance, ties in the order given",
  open(_, length) {
    const keys = new Float64Array(length);
    const order = new Int32Array(length);
    const sort = placeSorter(keys);
    /** x_i, stage by stage. */
    const odds = new Float64Array(length);
    return {
      loss({ count, scores, relevance }) {
        for (let k = 0; k < length; k++) {
          keys[k] = k < count ? -relevance[k]! : Number.POSITIVE_INFINITY;
          order[k] = k;
        }
        sort(order);
        const last = count - 1;
        odds[last] = Number.NEGATIVE_INFINITY;
        // Of the items that remain: the largest score, and the mass of the others relative to it.
        let top = scores[order[last]!]!;
        let others = 0;
        let loss = 0;
        for (let i = last - 1; i >= 0; i--) {
          const score = scores[order[i]!]!;
          odds[i] = top - score + log1p(others);
          loss += log1pExp(odds[i]!);
          if (score > top) {
            others = (1 + others) * exp(top - score);
            top = score;
          } else {
            others += exp(score - top);
          }
        }
        return loss;
      },
      gradient({ count, gradient }) {
        let earlier = 0;
        for (let i = 0; i < count; i++) {
          const wrong = sigmoid(odds[i]!);
          gradient[order[i]!] = earlier * sigmoid(-odds[i]!) - wrong;
          earlier = (earlier + 1) * wrong;
        }
      },
    };
  },
});
