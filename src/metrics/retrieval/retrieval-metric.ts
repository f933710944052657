import { defineMetric, type MetricFactory, onlySums } from "../metric.js";
import {
  openQueries,
  type Ranking,
  type RetrievalFields,
  type RetrievalOptions,
  retrievalFields,
  retrievalForms,
  retrievalOptions,
} from "./ranking.js";

/** A metric of retrieval that is the mean over queries of a value of relevant and other documents. */
export function defineRetrievalMetric(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  value(ranking: Ranking, k: number | null): number;
}): MetricFactory<RetrievalFields, RetrievalOptions, number> {
  const { name, summary, formula, source, value } = given;
  return defineMetric<RetrievalFields, RetrievalOptions, ReturnType<typeof onlySums>, number>({
    name,
    documentation: { summary, formula, source, goal: "maximize" },
    options: retrievalOptions,
    fields: () => retrievalFields(false),
    forms: retrievalForms,
    state: onlySums,
    open: (fields, { sums }, options) =>
      openQueries(fields, sums, options, false, (ranking) => value(ranking, options.k)),
    compute: ({ sums }) => sums.value("value") / sums.value("weight"),
  });
}
