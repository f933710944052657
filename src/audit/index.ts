export { audit, auditToJson, hasFindings, type StepAudit, type StepAuditJson } from "./audit.js";
export type { AuditedPart, AuditedStep, Counted, Declared } from "./audited-step.js";
export type { Explanation } from "./explain/explain.js";
export type { Check, Evidence, Finding, Severity } from "./finding.js";
export { hanging } from "./hanging.js";
export { type AuditAtPath, type AuditPageOptions, auditPage } from "./html/page.js";
export { sampledByRows } from "./large.js";
export { notesOf } from "./notes.js";
export { openStep } from "./open-step.js";
export { type Paint, report } from "./report.js";
export {
  checksNamed,
  type FailOn,
  fails,
  PageSteps,
  RunAudit,
  type RunAuditJson,
  type RunFinding,
  sift,
  withoutTensors,
} from "./run.js";
