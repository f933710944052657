import { reach, relevantAmong } from "./ranking.js";
import { defineRetrievalMetric } from "./retrieval-metric.js";

/**
 * The share of relevant documents among a query's k highest scores; the mean over queries. It divides by k even where
 * there are fewer documents. NaN for no query.
 *
 * torchmetrics `RetrievalPrecision`.
 */
export const precisionAtK = /*#__PURE__*/ defineRetrievalMetric({
  name: "precisionAtK",
  summary: "The share of relevant documents among a query's k highest scores.",
  formula: "mean over queries of (relevant among the first k) / k",
  source: "torchmetrics RetrievalPrecision",
  value: (ranking, k) => relevantAmong(ranking, reach(ranking, k)) / (k ?? ranking.length),
});
