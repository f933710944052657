/** Metrics: what a model is judged by, beside the objective that it learns. */
export * from "./all.js";
export type { CommonFields, GivenFields, MetricField } from "./fields.js";
export { fieldByForeignName, metricByForeignName } from "./foreign-names.js";
export type {
  MetricDefinition,
  MetricFactory,
  MetricJson,
  MetricResult,
  UndefinedOption,
} from "./metric.js";
export { Metric } from "./metric.js";
export { metricDefinition, metricFrom, metricNames } from "./registry.js";
export {
  type Bootstrap,
  type BootstrapJson,
  type BootstrapOptions,
  bootstrap,
  bootstrapFrom,
  type Uncertain,
} from "./resampling/bootstrap.js";
export {
  type Compared,
  type PairedComparison,
  type PairedFields,
  pairedComparison,
} from "./resampling/paired-comparison.js";
export type { Identified, Identifiers } from "./resampling/tags.js";
