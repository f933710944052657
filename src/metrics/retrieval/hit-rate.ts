import { reach, relevantAmong } from "./ranking.js";
import { defineRetrievalMetric } from "./retrieval-metric.js";

/**
 * The share of queries with a relevant document among their k highest scores. NaN for no query.
 *
 * torchmetrics `RetrievalHitRate`.
 */
export const hitRate = /*#__PURE__*/ defineRetrievalMetric({
  name: "hitRate",
  summary: "The share of queries with a relevant document among their k highest scores.",
  formula: "mean over queries of [a relevant document is among the first k]",
  source: "torchmetrics RetrievalHitRate",
  value: (ranking, k) => (relevantAmong(ranking, reach(ranking, k)) > 0 ? 1 : 0),
});
