import type { ContractInput } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { objectiveFrom } from "../losses/index.js";
import { ExactSum, type MergeOptions, Tally } from "../tally/index.js";
import type { EntryKind, LogEntry, LoggedContract, LoggedObjective, PartTallies } from "./entry.js";
import { ObjectiveLog, quotient } from "./objective-log.js";

/** A log of all ranks, and what had to be left out of it. */
export interface MergedLogs {
  readonly log: ObjectiveLog;
  /** Steps that some rank has and another has not (yet), of a kind that both log. */
  readonly incomplete: readonly { readonly kind: EntryKind; readonly step: number; readonly ranks: number }[];
}

/**
 * The log of a run from the logs of its ranks. Tallies are merged exactly, then divided once; numerators and denominators
 * are summed exactly, then divided once: any order and grouping of the ranks gives the same bits. A value alone, and a
 * metric, must be the same number in every rank.
 *
 * A rank that logs no entry of a kind has no part in it (evaluations on rank 0 alone). A step that only some of the others
 * have is left out and named: its sum would be of a part of the batch.
 *
 * @throws `argument` for no log, `contract` for logs of another contract or other metrics, `merge` for numbers of ranks
 * that cannot be merged
 */
export function mergeLogs(logs: readonly ObjectiveLog[], options: MergeOptions = {}): MergedLogs {
  const odd = Array.isArray(logs) ? logs.findIndex((log) => !(log instanceof ObjectiveLog)) : 0;
  const first = odd < 0 ? logs[0] : undefined;
  if (!first) {
    throw new LosswrightError({
      code: "argument",
      where: "mergeLogs",
      found: odd < 0 ? "no log" : Array.isArray(logs) ? `something else at place ${odd}` : "no list",
      expected: "a list of logs, at least one",
      fix: "of what openObjectiveLog gives pass .log; of a text ObjectiveLog.parse(text).",
    });
  }
  for (const log of logs) first.checkSame(log.header, "mergeLogs");
  const incomplete: { kind: EntryKind; step: number; ranks: number }[] = [];
  const merged = (["train", "evaluation"] as const).flatMap((kind) => {
    const ranks = logs
      .map(({ entries }) => entries.filter((entry) => entry.kind === kind))
      .filter(({ length }) => length);
    const steps = new Map<number, LogEntry[]>();
    for (const entry of ranks.flat()) {
      const others = steps.get(entry.step);
      if (others) others.push(entry);
      else steps.set(entry.step, [entry]);
    }
    return [...steps].flatMap(([step, entries]) => {
      if (entries.length === ranks.length) return [mergeEntries(entries, first.header.contract, options)];
      incomplete.push({ kind, step, ranks: entries.length });
      return [];
    });
  });
  // At one step the training comes first, as it does in a run.
  merged.sort((a, b) => a.step - b.step || (a.kind === b.kind ? 0 : a.kind === "train" ? -1 : 1));
  incomplete.sort((a, b) => a.step - b.step);
  return { log: ObjectiveLog.of(first.header, merged), incomplete };
}

function mergeEntries(entries: readonly LogEntry[], contract: LoggedContract, options: MergeOptions): LogEntry {
  const [first] = entries as readonly [LogEntry];
  if (entries.length === 1) return first;
  const { kind, step } = first;
  const where = `mergeLogs, ${kind} step ${step}`;
  return {
    kind,
    step,
    time: Math.max(...entries.map(({ time }) => time)),
    objective: mergeObjectives(
      entries.map(({ objective }) => objective),
      contract,
      options,
      where,
    ),
    metrics: mergeMetrics(entries, where),
  };
}

function mergeObjectives(
  parts: readonly LoggedObjective[],
  contract: LoggedContract,
  options: MergeOptions,
  where: string,
): LoggedObjective {
  const tallies = parts.flatMap(({ tally }) => (tally ? [tally] : []));
  if (tallies.length === parts.length) {
    const tally = tallies.reduce((sum, next) => mergeTallies(sum, next, options));
    const objective = objectiveFrom(contract as ContractInput) as { value(tally: never): number };
    const value = objective.value(tally as never);
    if (!(tally instanceof Tally)) return { value, tally };
    return { value, numerator: tally.numerator, denominator: tally.denominator.value, tally };
  }
  if (tallies.length === 0 && parts.every(({ numerator }) => numerator !== undefined)) {
    const sums = { numerator: sumOf(parts, "numerator"), denominator: sumOf(parts, "denominator") };
    const [numerator, denominator] = [sums.numerator.value, sums.denominator.value];
    return { value: quotient(contract, numerator, denominator, where), numerator, denominator, sums };
  }
  const [{ value }] = parts as readonly [LoggedObjective];
  if (parts.every((part) => part.numerator === undefined && !part.tally && Object.is(part.value, value)))
    return { value };
  throw new LosswrightError({
    code: "merge",
    where,
    field: "objective",
    found: `values of the ranks without what they were divided by: ${parts
      .map((part) => part.value)
      .slice(0, 4)
      .join(", ")}`,
    expected: "a tally, or numerator and denominator, from every rank",
    fix: "log { tally }: a mean of means is another objective.",
  });
}

/** The exact sum over parts of what was given as one number, or merged before. */
function sumOf(parts: readonly LoggedObjective[], name: "numerator" | "denominator"): ExactSum {
  const sum = new ExactSum();
  for (const part of parts) {
    if (part.sums) sum.merge(part.sums[name]);
    else sum.add(part[name]!);
  }
  return sum;
}

function mergeTallies(
  left: Tally | PartTallies,
  right: Tally | PartTallies,
  options: MergeOptions,
): Tally | PartTallies {
  if (left instanceof Tally || right instanceof Tally) return (left as Tally).merge(right as Tally, options);
  // Both were checked against the names of the contract when they were logged.
  const parts = Object.entries(left.parts).map(([name, part]) => [name, part.merge(right.parts[name]!, options)]);
  return { parts: Object.fromEntries(parts) };
}

function mergeMetrics(entries: readonly LogEntry[], where: string): Record<string, number> {
  const [first] = entries as readonly [LogEntry];
  for (const { metrics } of entries) {
    for (const name of new Set([...Object.keys(first.metrics), ...Object.keys(metrics)])) {
      if (Object.is(first.metrics[name], metrics[name])) continue;
      throw new LosswrightError({
        code: "merge",
        where,
        field: `metrics.${name}`,
        found: `${first.metrics[name]} in one rank and ${metrics[name]} in another`,
        expected: "one number for the whole",
        fix: "merge the metrics of the ranks first (metric.merge), or evaluate on one rank alone.",
      });
    }
  }
  return { ...first.metrics };
}
