import { reach, relevantAmong } from "./ranking.js";
import { defineRetrievalMetric } from "./retrieval-metric.js";

/**
 * Of a query's relevant documents, the share among its k highest scores; the mean over queries. Against the whole corpus,
 * not against the batch that a contrastive loss saw. NaN for no query.
 *
 * torchmetrics `RetrievalRecall` (which never counts a document whose score is not above 0; here it does).
 */
export const recallAtK = /*#__PURE__*/ defineRetrievalMetric({
  name: "recallAtK",
  summary: "Of a query's relevant documents, the share among its k highest scores.",
  formula: "mean over queries of (relevant among the first k) / relevant",
  source: "torchmetrics RetrievalRecall",
  value: (ranking, k) => relevantAmong(ranking, reach(ranking, k)) / relevantAmong(ranking, ranking.length),
});
