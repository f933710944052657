export { audit, auditToJson, hasFindings, type StepAudit, type StepAuditJson } from "./audit.js";
export { type AuditedPart, type AuditedStep, type Declared, openStep } from "./audited-step.js";
export type { Explanation } from "./explain/explain.js";
export type { Check, Evidence, Finding, Severity } from "./finding.js";
export { hanging } from "./hanging.js";
export { notesOf } from "./notes.js";
export { type Paint, report } from "./report.js";
