/** Metrics: what a model is judged by, beside the objective that it learns. */
export * from "./all.js";
export type { CommonFields, GivenFields, MetricField } from "./fields.js";
export type {
  Metric,
  MetricDefinition,
  MetricFactory,
  MetricJson,
  MetricResult,
  UndefinedOption,
} from "./metric.js";
export { metricDefinition, metricFrom, metricNames } from "./registry.js";
