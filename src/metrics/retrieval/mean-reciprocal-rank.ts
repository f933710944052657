import { reach } from "./ranking.js";
import { defineRetrievalMetric } from "./retrieval-metric.js";

/**
 * 1 over the place of a query's first relevant document, 0 where it is not among the first k; the mean over queries. NaN
 * for no query.
 *
 * torchmetrics `RetrievalMRR`.
 */
export const meanReciprocalRank = /*#__PURE__*/ defineRetrievalMetric({
  name: "meanReciprocalRank",
  summary: "One over the place of a query's first relevant document, on average.",
  formula: "mean over queries of 1 / (place of the first relevant document)",
  source: "torchmetrics RetrievalMRR",
  value: (ranking, k) => {
    const end = reach(ranking, k);
    for (let place = 0; place < end; place++) if (ranking.relevance[place]! > 0) return 1 / (place + 1);
    return 0;
  },
});
