/** The training log that holds objective and metric together. Nothing here touches a disk; `files.js` does. */
export type { Diagnosis, DiagnosisOptions, MetricDiagnosis, Verdict } from "./diagnose.js";
export type { EntryKind, LogEntry, LoggedContract, LoggedObjective } from "./entry.js";
export { encodeEvents, eventFile, eventOf, firstEvents, type Scalar, type TensorBoardEvent } from "./event-file.js";
export type { MetricGoal, MetricGoals } from "./goal.js";
export { type MergedLogs, mergeLogs } from "./merge.js";
export { type Mismatch, mismatches, mismatchOf } from "./mismatches.js";
export {
  type GivenEvaluation,
  type GivenMetrics,
  type GivenObjective,
  type GivenStep,
  type LogHeader,
  type LogListener,
  ObjectiveLog,
  type ObjectiveLogOptions,
} from "./objective-log.js";
export { logPage, type NamedLog } from "./page.js";
export { type LogPaint, logText } from "./text.js";
export { logToJson } from "./to-json.js";
