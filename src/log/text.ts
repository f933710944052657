import asciichart from "asciichart";
import { shortNumber } from "../charts/index.js";
import type { DiagnosisOptions, MetricDiagnosis } from "./diagnose.js";
import type { LogEntry } from "./entry.js";
import { type NamedLog, verdictWords } from "./page.js";

/** What a terminal does with words that matter; the identity where it has no colors. */
export interface LogPaint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
}

export interface LogTextOptions extends DiagnosisOptions {
  /** Evaluations in the table (10). */
  readonly rows?: number;
  /** Columns of a plot (60). */
  readonly columns?: number;
  /** Breaks a text into lines that fit, after a label. */
  readonly wrap: (label: string, text: string, indent: number) => readonly string[];
  readonly paint: LogPaint;
}

/** Lines of a plot. */
const plotHeight = 8;

/** A log for the terminal: the last evaluations as a table, plots of objective and metrics, the diagnosis. */
export function logText({ name, log, notes = [] }: NamedLog, options: LogTextOptions): string {
  const { rows = 10, columns = 60, wrap, paint, ...diagnosis } = options;
  const { contract, metrics } = log.header;
  const names = Object.keys(metrics);
  const training = log.entries.filter(({ kind }) => kind === "train");
  const { evaluations } = log;
  const lines = [
    `${paint.bold(plain(name))}  ${contract.objective}; ${counted(training.length, "training step")}, ${counted(evaluations.length, "evaluation")}`,
    ...notes.flatMap((note) => wrap("  note: ", note, 8)),
    "",
    ...tableLines(evaluations.slice(-rows), names, paint),
    ...plot("objective, training", training, ({ objective }) => objective.value, columns, paint),
    ...plot("objective, evaluation", evaluations, ({ objective }) => objective.value, columns, paint),
    ...names.flatMap((metric) =>
      plot(
        `${metric} (${metrics[metric]!.goal === "maximize" ? "more is better" : "less is better"})`,
        evaluations,
        (entry) => entry.metrics[metric] ?? Number.NaN,
        columns,
        paint,
      ),
    ),
    ...log.diagnose(diagnosis).metrics.flatMap((each) => diagnosisLines(each, wrap, paint)),
    ...(names.length === 0
      ? wrap("  ", "This log holds an objective and no metric: nothing says what the loss is worth.", 2)
      : []),
  ];
  return lines.join("\n");
}

/** Names out of a log may hold what moves a terminal's cursor. */
const plain = (text: string) => text.replace(/\p{C}+/gu, " ");

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

function tableLines(entries: readonly LogEntry[], names: readonly string[], paint: LogPaint): string[] {
  if (entries.length === 0) return ["  no evaluation is logged yet", ""];
  const head = ["step", "objective", ...names.map(plain)];
  const rows = entries.map(({ step, objective, metrics }) => [
    String(step),
    shortNumber(objective.value, 5),
    ...names.map((name) => shortNumber(metrics[name] ?? Number.NaN, 5)),
  ]);
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => `  ${row.map((cell, column) => cell.padStart(widths[column]!)).join("   ")}`;
  return [paint.dim(line(head)), ...rows.map(line), ""];
}

/** A plot over equal ranges of steps: the mean of what falls into a column, as it is where columns are enough. */
function plot(
  title: string,
  entries: readonly LogEntry[],
  read: (entry: LogEntry) => number,
  columns: number,
  paint: LogPaint,
): string[] {
  const seen = entries.filter((entry) => Number.isFinite(read(entry)));
  if (seen.length < 2) return [];
  const [from, to] = [seen[0]!.step, seen.at(-1)!.step];
  const sums = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const entry of seen) {
    const cell = sums[Math.min(columns - 1, Math.floor(((entry.step - from) / (to - from)) * columns))]!;
    cell.sum += read(entry);
    cell.count++;
  }
  // A column without a step has the value before it: a line between evaluations.
  let held = read(seen[0]!);
  const values = sums.map(({ sum, count }) => {
    if (count > 0) held = sum / count;
    return held;
  });
  const isFlat = values.every((value) => value === values[0]);
  const drawn = isFlat
    ? `  ${shortNumber(values[0]!)} ┤${"─".repeat(columns)}`
    : asciichart.plot(values, { height: plotHeight, format: (value) => shortNumber(value, 4).padStart(10) });
  const missing = entries.length - seen.length;
  const label = missing > 0 ? `${title}; ${missing} not finite, left out` : title;
  return [
    `  ${paint.bold(plain(label))}`,
    ...drawn.split("\n"),
    paint.dim(`${" ".repeat(12)}step ${from} to ${to}`),
    "",
  ];
}

function diagnosisLines(
  { metric, message, isAlarm, verdict, mismatch, advice }: MetricDiagnosis,
  wrap: LogTextOptions["wrap"],
  paint: LogPaint,
): string[] {
  const [word, color] = isAlarm
    ? (["ALARM", paint.red] as const)
    : verdict === "together"
      ? (["clean", paint.green] as const)
      : (["note ", paint.dim] as const);
  // Broken as plain text, colored afterwards: what colors a terminal has no width.
  const label = `  ${word}  `;
  const words = isAlarm ? `${verdict}, ${verdictWords[verdict]}` : verdictWords[verdict];
  const [first = "", ...rest] = wrap(label, `${metric}: ${words}. ${message}`, 9);
  return [
    `  ${color(word)}${first.slice(label.trimEnd().length)}`,
    ...rest,
    ...(mismatch ? wrap("  Why    ", `${mismatch.title}. ${mismatch.consequence} ${mismatch.why}`, 9) : []),
    ...advice.flatMap((each, i) => wrap(i === 0 ? "  Try    " : "         ", `${i + 1}. ${each}`, 12)),
  ];
}
