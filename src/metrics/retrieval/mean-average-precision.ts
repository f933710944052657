import { reach } from "./ranking.js";
import { defineRetrievalMetric } from "./retrieval-metric.js";

/**
 * The mean precision at the places of a query's relevant documents; the mean over queries. With k it is over the relevant
 * documents among the first k. NaN for no query.
 *
 * torchmetrics `RetrievalMAP`.
 */
export const meanAveragePrecision = /*#__PURE__*/ defineRetrievalMetric({
  name: "meanAveragePrecision",
  summary: "The mean precision at the places of a query's relevant documents, on average.",
  formula: "mean over queries of Σ_i (i / place of the i-th relevant document) / relevant",
  source: "torchmetrics RetrievalMAP",
  value: (ranking, k) => {
    const end = reach(ranking, k);
    let [found, sum] = [0, 0];
    for (let place = 0; place < end; place++) if (ranking.relevance[place]! > 0) sum += ++found / (place + 1);
    return found === 0 ? 0 : sum / found;
  },
});
