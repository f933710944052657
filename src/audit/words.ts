import { isTensor } from "../tensor/index.js";
import type { AuditedStep } from "./audited-step.js";

/** What one unit of a step is called: tokens where labels lie along time. */
export function unitWord({ objective, parts }: AuditedStep): string {
  const { unit } = objective.definition;
  if (unit !== "position") return unit;
  const labels = parts[0]!.batch.labels;
  return isTensor(labels) && labels.shape.length === 2 ? "token" : "position";
}

/** What one part of a step is called. */
export function partWord({ record, parts }: AuditedStep): string {
  const ranks = new Set(parts.map(({ rank }) => rank)).size;
  if (ranks === parts.length && ranks > 1) return "rank";
  return ranks > 1 || record.context.splitAxis === "sequence" ? "part" : "micro-batch";
}
