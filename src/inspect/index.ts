/** A batch as a person can see it: which positions an objective counts, with their labels, losses and weights. */
export { inspectionPage } from "./html/page.js";
export { type ArrayOptions, inspectArray } from "./inspect-array.js";
export { inspectStep } from "./inspect-step.js";
export type { InspectedBatch, Inspection } from "./inspection.js";
export { type Terminal, type TokenPaint, terminalText } from "./terminal.js";
export { type InspectionJson, inspectionToJson } from "./to-json.js";
export { readVocabulary } from "./vocabulary.js";
export type { RowRange, ViewOptions } from "./words.js";
