import { canonicalText, type Json } from "../contract/index.js";
import type { StepAudit } from "./audit.js";
import { type AuditedStep, agrees } from "./audited-step.js";
import type { Finding } from "./finding.js";
import { short } from "./numbers.js";
import { comparison } from "./pull.js";
import { partWord, unitWord } from "./words.js";

/** How a terminal marks words; every function may give its argument back unchanged. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  green(text: string): string;
}

const width = 80;

/**
 * An audited step as text of 80 columns: what was declared, what was reported, part by part, and what is wrong.
 *
 * @param previous - the step printed before it: the same contract is not told twice
 */
export function report(audit: StepAudit, paint: Paint, previous?: StepAudit): string {
  const { step, findings } = audit;
  const loud = findings.filter(({ severity }) => severity !== "note");
  const lines = [...headline(step, paint, previous?.step)];
  if (loud.length && step.declared) lines.push("", ...(step.parts.length > 1 ? table(step) : []));
  if (lines.at(-1) !== "") lines.push("");
  if (!loud.length && agrees(step)) lines.pop();
  for (const finding of findings) lines.push(...findingLines(finding, paint));
  if (!loud.length && step.declared && agrees(step)) lines.push(...clean(step, paint));
  return lines.join("\n");
}

function headline(step: AuditedStep, paint: Paint, previous?: AuditedStep): string[] {
  const { record, objective, parts } = step;
  const same = previous && contractText(previous) === contractText(step) && previous.parts.length === parts.length;
  const counted = `${parts.length} ${partWord(step) === "rank" ? "ranks" : partWord(step) === "part" ? "parts" : "micro-batches"}`;
  const what = [record.context.task ?? record.context.phase, parts.length > 1 ? `one step in ${counted}` : undefined];
  const told = same ? "the same step and contract" : what.filter(Boolean).join("; ") || objective.name;
  const gap = " ".repeat(Math.max(2, 20 - record.name.length));
  const lines = hanging(`${record.name}${gap}`, told, 20).map((line, i) =>
    i === 0 ? line.replace(record.name, paint.bold(record.name)) : line,
  );
  return same ? lines : [...lines, ...hanging("  declared: ", objective.describe(), 12)];
}

/** One line a part: what it counts, what it reported, and how hard its gradient pulls. */
function table(step: AuditedStep): string[] {
  const { declared, parts, record } = step;
  const { factors } = comparison(step);
  const units = `${unitWord(step)}s`;
  const weighted = declared!.tallies.some(({ denominator }) => !Number.isInteger(denominator.value));
  const head = [
    partWord(step),
    weighted ? "weight" : units,
    "sum of losses",
    "mean",
    "reported",
    ...(factors ? ["gradient is"] : []),
  ];
  const rows = parts.map(({ reported }, i) => {
    const { numerator, denominator } = declared!.tallies[i]!;
    const factor = factors?.[i];
    return [
      String(i + 1),
      short(denominator.value),
      short(numerator),
      denominator.value === 0 ? "-" : short(numerator / denominator.value),
      reported.loss === null ? "-" : short(reported.loss),
      ...(factor === undefined ? [] : [Number.isNaN(factor) ? "-" : `${factor.toFixed(3)}x${size(factor)}`]),
    ];
  });
  const whole = [
    "whole step",
    short(declared!.denominator),
    short(declared!.numerator),
    short(declared!.value),
    record.reported.loss === null ? "-" : short(record.reported.loss),
    ...(factors ? [""] : []),
  ];
  const all = [head, ...rows, whole];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    `  ${row.map((cell, column) => (column === 5 ? cell : cell.padStart(widths[column]!))).join("   ")}`.trimEnd(),
  );
}

function size(factor: number): string {
  if (Math.abs(factor - 1) < 0.005) return "";
  return factor > 1 ? ", too large" : ", too small";
}

const marks = { error: "WRONG", warning: "DOUBT", note: "NOTE" };

function findingLines({ severity, check, message, why, harm, fix }: Finding, paint: Paint): string[] {
  const color = severity === "error" ? paint.red : severity === "warning" ? paint.yellow : paint.dim;
  const label = `  ${marks[severity].padEnd(6)} `;
  const [first, ...code] = fix.split("\n");
  const lines = [
    ...hanging(label, `${check}: ${message}`, 9),
    ...(why ? hanging("  Why    ", why, 9) : []),
    ...(harm ? hanging("  Harm   ", harm, 9) : []),
    ...hanging("  Fix    ", `${first!.charAt(0).toUpperCase()}${first!.slice(1)}`, 9),
    ...code.map((line) => `           ${line}`),
  ];
  return lines.map((line, i) => (i === 0 ? line.replace(marks[severity], color(marks[severity])) : line));
}

function clean(step: AuditedStep, paint: Paint): string[] {
  const { declared, record, lossError } = step;
  const { factors } = comparison(step);
  const { numerator, denominator, value } = declared!;
  const loss = record.reported.loss === null ? "no loss was reported" : `reported (${lossError.toExponential(0)})`;
  const mean = factors?.filter(Number.isFinite).reduce((sum, x, _, all) => sum + x / all.length, 0);
  const gradient =
    mean === undefined
      ? ""
      : `; gradient factor ${mean.toFixed(3)}${factors!.length > 1 ? ` x ${factors!.length}` : ""}`;
  const text = `${short(numerator)} / ${short(denominator)} = ${short(value)} = ${loss}${gradient}`;
  return hanging("  CLEAN  ", text, 9).map((line, i) => (i === 0 ? line.replace("CLEAN", paint.green("CLEAN")) : line));
}

function contractText({ objective }: AuditedStep): string {
  return canonicalText(objective.contract as unknown as Json);
}

/** A label and words beside it, wrapped to 80 columns under the words. */
function hanging(label: string, text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = label;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = " ".repeat(indent);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
