import { isTensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import { relative } from "../audited-step.js";

/** What a factor on loss or gradient stands for. */
export interface NamedFactor {
  readonly words: string;
  readonly about: "reduction" | "parts" | "ranks" | "none";
}

/** The counts of a step that code multiplies or divides by, the likelier first. */
function countsOf({ record, parts, objective }: Omit<AuditedStep, "explanations">) {
  const { context } = record;
  const counts: { value: number; words: string; about: NamedFactor["about"] }[] = [];
  const add = (value: number | undefined, words: string, about: NamedFactor["about"]) => {
    if (value !== undefined && value > 1) counts.push({ value, words, about });
  };
  const ranks = context.ranks ?? new Set(parts.map(({ rank }) => rank)).size;
  add(ranks, "the number of ranks", "ranks");
  add(context.microBatches, "the number of micro-batches", "parts");
  add(parts.length, "the number of parts", "parts");
  for (const [name, spec] of Object.entries(objective.definition.fields)) {
    const field = parts[0]!.batch[name];
    if (!isTensor(field) || spec.gradient === "none") continue;
    const { shape } = field;
    add(shape.at(-1), `the length of the last axis of ${name}`, "reduction");
    add(shape[0], `the length of the first axis of ${name}`, "reduction");
    if (shape.length > 2) add(shape[1], `the length of the second axis of ${name}`, "reduction");
  }
  const { temperature } = objective.contract.options as { temperature?: unknown };
  if (typeof temperature === "number" && temperature !== 1) {
    counts.push({ value: temperature, words: "the temperature", about: "reduction" });
    counts.push({ value: temperature * temperature, words: "the squared temperature", about: "reduction" });
  }
  counts.push({ value: 2, words: "2", about: "reduction" });
  counts.push({ value: Math.LN2, words: "log 2 (bits for nats)", about: "reduction" });
  counts.push({ value: Math.LN10, words: "log 10", about: "reduction" });
  return counts;
}

/** What a factor is: a count of the step, or one over it; undefined for one that nothing explains. */
export function nameOfFactor(
  step: Omit<AuditedStep, "explanations">,
  factor: number,
  tolerance: number,
): NamedFactor | undefined {
  if (isLossScale(factor)) return { words: `multiplied by ${factor}, as a loss scale multiplies it`, about: "none" };
  for (const { value, words, about } of countsOf(step)) {
    if (relative(factor, value) <= tolerance) return { words: `multiplied by ${words}`, about };
    if (relative(factor, 1 / value) <= tolerance) return { words: `divided by ${words}`, about };
  }
  return undefined;
}

/** Loss scales of mixed precision are powers of two, large ones. */
function isLossScale(factor: number): boolean {
  let scale = 128;
  while (scale * 1.5 < factor) scale *= 2;
  return relative(factor, scale) < 1e-4;
}
