import { canonicalText, type Json } from "../contract/index.js";
import type { StepAudit } from "./audit.js";
import { type AuditedStep, agrees } from "./audited-step.js";
import { contradicts, nothingReported } from "./checks/unexplained.js";
import type { Finding } from "./finding.js";
import { hanging, plain, width } from "./hanging.js";
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
  for (const finding of findings) lines.push(...findingLines(finding, contradicts(step), paint));
  if (!loud.length && step.declared && agrees(step) && !nothingReported(step)) lines.push(...clean(step, paint));
  return lines.join("\n");
}

function headline(step: AuditedStep, paint: Paint, previous?: AuditedStep): string[] {
  const { record, objective, parts } = step;
  const same = previous && contractText(previous) === contractText(step) && previous.parts.length === parts.length;
  const name = plain(record.name);
  const counted = `${parts.length} ${partWord(step).replace(/batch$/, "batche")}s`;
  const what = [record.context.task ?? record.context.phase, parts.length > 1 ? `one step in ${counted}` : undefined];
  const own = what.filter(Boolean).join("; ") || objective.name;
  const told = !same ? own : isSameStep(step, previous) ? "the same step and contract" : `${own}; the same contract`;
  const gap = " ".repeat(Math.max(2, 20 - name.length));
  const lines = hanging(`${name}${gap}`, told, 20).map((line, i) =>
    i === 0 ? `${paint.bold(name)}${line.slice(name.length)}` : line,
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
      ...(factor === undefined ? [] : [pull(factor)]),
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
  const room = width - 2 - widths.reduce((sum, each) => sum + each, 0);
  const gap = " ".repeat(Math.max(1, Math.min(3, Math.floor(room / (head.length - 1)))));
  return all.map((row) =>
    `  ${row.map((cell, column) => (column === 5 ? cell : cell.padStart(widths[column]!))).join(gap)}`.trimEnd(),
  );
}

/** "3.650x, too large". */
function pull(factor: number): string {
  if (!Number.isFinite(factor)) return "-";
  const times = `${Math.abs(factor) < 1e4 ? factor.toFixed(3) : factor.toExponential(1)}x`;
  if (Math.abs(factor - 1) < 0.005) return times;
  return `${times}, too ${factor > 1 ? "large" : "small"}`;
}

const marks = { error: "WRONG", warning: "DOUBT", note: "NOTE" };

function findingLines(
  { severity: own, check, message, why, harm, fix }: Finding,
  open: boolean,
  paint: Paint,
): string[] {
  // Numbers that contradict the contract are in doubt, also where no check can name the cause.
  const severity = open && check === "unexplained" ? "warning" : own;
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
  const own = `${short(numerator)} / ${short(denominator)} = ${short(value)}`;
  const loss = record.reported.loss === null ? ", no loss was reported" : ` = reported (${howClose(lossError)})`;
  // A part whose declared gradient is 0 has no factor.
  const known = factors?.filter(Number.isFinite) ?? [];
  const mean = known.reduce((sum, x) => sum + x / known.length, 0);
  const gradient = known.length
    ? `; gradient factor ${mean.toFixed(3)}${known.length > 1 ? ` x ${known.length}` : ""}`
    : "";
  const text = `${own}${loss}${gradient}`;
  return hanging("  CLEAN  ", text, 9).map((line, i) => (i === 0 ? line.replace("CLEAN", paint.green("CLEAN")) : line));
}

function howClose(error: number): string {
  return error === 0 ? "exactly" : error.toExponential(0);
}

/** Whether two records hold the same step, perhaps with other reports: their parts count and weigh the same. */
function isSameStep({ declared }: AuditedStep, { declared: other }: AuditedStep): boolean {
  if (!declared || !other) return false;
  return declared.tallies.every(({ numerator, denominator }, i) => {
    const there = other.tallies[i]!;
    return Object.is(numerator, there.numerator) && denominator.value === there.denominator.value;
  });
}

function contractText({ objective }: AuditedStep): string {
  return canonicalText(objective.contract as unknown as Json);
}
