/** A batch as a person can see it: which positions an objective counts, with their labels, losses and weights. */
export type { AlignmentBatch } from "./alignment-batch.js";
export { alignmentLegend, alignmentView } from "./html/alignment-view.js";
export { inspectionPage } from "./html/page.js";
export { batchStyle } from "./html/style.js";
export { legend as tokenLegend, rowView } from "./html/token-view.js";
export { type ArrayOptions, inspectArray } from "./inspect-array.js";
export { inspectStep } from "./inspect-step.js";
export type { InspectedBatch, Inspection } from "./inspection.js";
export type { PositionRange } from "./row-items.js";
export { type Terminal, type TokenPaint, terminalText } from "./terminal.js";
export { type InspectionJson, inspectionToJson } from "./to-json.js";
export { gridOf, kindOf, roleCode, roleNames, type TokenBatch, type Vocabulary } from "./token-batch.js";
export { readVocabulary } from "./vocabulary.js";
export { countsInWords, numbered, oddityInWords, type RowRange, sumInWords, type ViewOptions } from "./words.js";
