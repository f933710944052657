import { isTensor } from "../tensor/index.js";
import type { AuditedStep } from "./audited-step.js";

/** What one unit of a step is called: tokens where labels lie along time. */
export function unitWord({ objective, parts }: AuditedStep): string {
  const { unit } = objective.definition;
  if (unit !== "position") return unit;
  const labels = parts[0]!.batch.labels;
  return isTensor(labels) && labels.shape.length === 2 ? "token" : "position";
}

/** Whether the parts of a record are batches of an evaluation, which no gradient is accumulated over. */
export function isEvaluation({ record }: Pick<AuditedStep, "record">): boolean {
  const { phase, batches, microBatches, ranks } = record.context;
  if (microBatches !== undefined || ranks !== undefined) return false;
  return batches !== undefined || /valid|eval|test/i.test(phase ?? "");
}

/** What one part of a step is called. */
export function partWord({ record, parts }: AuditedStep): string {
  if (isEvaluation({ record })) return "batch";
  const ranks = new Set(parts.map(({ rank }) => rank)).size;
  if (ranks === parts.length && ranks > 1) return "rank";
  return ranks > 1 || record.context.splitAxis === "sequence" ? "part" : "micro-batch";
}
