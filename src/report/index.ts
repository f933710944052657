/** Metrics as people read them: computed over fields, as a table for the terminal, as JSON, as a page with curves. */
export {
  type AskedMetric,
  chosenFields,
  fieldsOf,
  type Interval,
  type MeasuredMetric,
  measure,
  type WantedField,
} from "./measure.js";
export { type MetricsPageOptions, metricsPage } from "./page.js";
export { type Picture, pictureMetrics, pictureOf } from "./pictures.js";
export { measuredText, type ReportPaint } from "./text.js";
export { measuredToJson } from "./to-json.js";
