/** Files as values: bytes in, tensors and step records out. Nothing here touches a disk; `files.js` does. */
export type { Column, ColumnKind } from "./columns.js";
export { encodeNpy, parseNpy } from "./npy.js";
export { encodeNpz, parseNpz } from "./npz.js";
export { isRowSource, type RowSource } from "./row-source.js";
export { encodeSafetensors, parseSafetensors, safetensorsMetadata } from "./safetensors.js";
export { encodeStep, parseStep } from "./step.js";
export type {
  AlignmentContext,
  ComputationContext,
  DecisionContext,
  GatheredContext,
  LossTerm,
  MetricContext,
  Reported,
  SampledContext,
  ScoreContext,
  SequenceContext,
  StepContext,
  StepPart,
  StepRecord,
} from "./step-record.js";
export { parseTable, type Table, type TableFormat, type TableOptions } from "./table.js";
export {
  decodeRows,
  parseTensorFile,
  type RowsLayout,
  rowsHeadLength,
  rowsLayout,
  type TensorFileFormat,
  type TensorFileOptions,
  tensorFileFormat,
  tensorNames,
} from "./tensor-file.js";
