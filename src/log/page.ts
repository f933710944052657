import { chartPage, lineChart, type Mark, type PageSection, type Series, shortNumber } from "../charts/index.js";
import type { DiagnosisOptions, MetricDiagnosis } from "./diagnose.js";
import type { LogEntry } from "./entry.js";
import type { ObjectiveLog } from "./objective-log.js";

/** A log with the name of its run, and what has to be said of how it was read. */
export interface NamedLog {
  readonly name: string;
  readonly log: ObjectiveLog;
  readonly notes?: readonly string[];
}

/** Evaluations of a table on a page. */
const tableRows = 50;

/**
 * Logs as one HTML page that needs no other file and runs no script: the diagnosis of each run, the objective's curve with
 * its evaluations, each metric's curve, and the last evaluations as a table. Runs lie over each other.
 */
export function logPage(runs: readonly NamedLog[], options: DiagnosisOptions = {}): string {
  const names = runs.map(({ name }) => name).join(", ");
  const diagnoses = runs.map(({ log }) => log.diagnose(options));
  const alarms = diagnoses.flatMap(({ metrics }, i) =>
    metrics.filter(({ isAlarm }) => isAlarm).map((alarm) => ({ ...alarm, run: runs[i]!.name })),
  );
  return chartPage({
    title: names,
    source: "losswright log",
    lead: isOfOne(runs)
      ? [`objective: ${objectiveName(runs[0]!)}`]
      : runs.map((run) => `objective of ${run.name}: ${objectiveName(run)}`),
    sections: [
      ...runs.flatMap(({ name }, i) =>
        diagnoses[i]!.metrics.map((each) => verdictSection(each, runs.length > 1 ? name : "")),
      ),
      {
        charts: [objectiveChart(runs, alarms), ...metricCharts(runs, alarms)],
      },
      ...runs.map(tableSection),
    ],
  });
}

function verdictSection(
  { metric, message, isAlarm, verdict, mismatch, advice }: MetricDiagnosis,
  run: string,
): PageSection {
  const head = isAlarm
    ? `The objective falls, ${metric} does not follow`
    : `Objective and ${metric}: ${verdictWords[verdict]}`;
  return {
    title: run === "" ? head : `${run}: ${head}`,
    ...(isAlarm ? { tone: "alarm" } : verdict === "together" || verdict === "at-best" ? { tone: "calm" } : {}),
    paragraphs: [
      message,
      ...(mismatch ? [`${mismatch.title}. ${mismatch.consequence} ${mismatch.why}`] : []),
      ...(isAlarm ? ["What to try:"] : []),
    ],
    ...(isAlarm && { items: advice }),
  };
}

/** Verdicts in a few words. */
export const verdictWords = {
  "too-few": "too few evaluations",
  "no-fall": "the objective does not fall",
  together: "together",
  unclear: "unclear",
  stalled: "the metric does not get better",
  apart: "the metric gets worse",
  "at-best": "the metric is at its best",
} as const;

/** An alarm with the name of the run that it is about. */
type Alarm = MetricDiagnosis & { readonly run: string };

const objectiveName = ({ log }: NamedLog) => log.header.contract.objective;

/** Whether all runs have one objective. */
const isOfOne = (runs: readonly NamedLog[]) => new Set(runs.map(objectiveName)).size === 1;

const column = (entries: readonly LogEntry[], read: (entry: LogEntry) => number) => ({
  x: entries.map(({ step }) => step),
  y: entries.map(read),
});

function objectiveChart(runs: readonly NamedLog[], alarms: readonly Alarm[]) {
  const several = runs.length > 1;
  const series = runs.flatMap(({ name, log }, run): Series[] => {
    const of = (kind: string) => (several ? `${name}, ${kind}` : kind);
    const training = log.entries.filter(({ kind }) => kind === "train");
    const value = ({ objective }: LogEntry) => objective.value;
    // One color a run where there are several; alone, training and evaluation differ in color too.
    const [first, second] = several ? [run, run] : [0, 1];
    return [
      ...(training.length > 0 ? [{ name: of("training"), ...column(training, value), colorOf: first }] : []),
      { name: of("evaluation"), ...column(log.evaluations, value), colorOf: second, points: true, dashed: several },
    ];
  });
  return lineChart({
    title: "Objective",
    x: { label: "step" },
    y: { label: isOfOne(runs) ? objectiveName(runs[0]!) : "objective" },
    series,
    marks: alarmMarks(alarms, several),
  });
}

function metricCharts(runs: readonly NamedLog[], alarms: readonly Alarm[]) {
  const names = [...new Set(runs.flatMap(({ log }) => Object.keys(log.header.metrics)))];
  return names.map((metric) => {
    const goal = runs.find(({ log }) => metric in log.header.metrics)!.log.header.metrics[metric]!.goal;
    const series = runs.flatMap(({ name, log }, run): Series[] => {
      if (!(metric in log.header.metrics)) return [];
      const training = log.entries.filter((entry) => entry.kind === "train" && metric in entry.metrics);
      const value = ({ metrics }: LogEntry) => metrics[metric] ?? Number.NaN;
      const of = (kind: string) => (runs.length > 1 ? `${name}, ${kind}` : kind);
      const color = runs.length > 1 ? run : 1;
      return [
        ...(training.length > 0
          ? [{ name: of("training"), ...column(training, value), colorOf: runs.length > 1 ? run : 0 }]
          : []),
        {
          name: of("evaluation"),
          ...column(log.evaluations, value),
          colorOf: color,
          points: true,
          dashed: runs.length > 1,
        },
      ];
    });
    return lineChart({
      title: metric,
      x: { label: "step" },
      y: { label: `${metric} (${goal === "maximize" ? "more is better" : "less is better"})` },
      series,
      marks: alarmMarks(
        alarms.filter((each) => each.metric === metric),
        runs.length > 1,
      ),
    });
  });
}

/** The steps that alarms are about, each range once, with the names of all that it is about: metrics, or of several runs these. */
function alarmMarks(alarms: readonly Alarm[], several: boolean): Mark[] {
  const ranges = new Map<string, { from: number; to: number; names: Set<string> }>();
  for (const { from, to, run, metric, verdict } of alarms) {
    const key = `${from} ${to}`;
    const range = ranges.get(key) ?? { from, to, names: new Set() };
    ranges.set(key, range);
    range.names.add(several ? run : `${metric} ${verdict}`);
  }
  return [...ranges.values()].map(({ from, to, names }) => ({
    axis: "x",
    at: from,
    to,
    label: `alarm${several ? " in" : ":"} ${[...names].join(", ")}`,
  }));
}

function tableSection({ name, log, notes = [] }: NamedLog): PageSection {
  const metrics = Object.keys(log.header.metrics);
  const shown = log.evaluations.slice(-tableRows);
  const left = log.evaluations.length - shown.length;
  return {
    title: `${name}: evaluations`,
    ...(shown.length === 0 ? { paragraphs: ["No evaluation is logged yet."] } : {}),
    ...(shown.length > 0 && {
      table: {
        head: ["step", "objective", ...metrics],
        rows: shown.map((entry) => [
          String(entry.step),
          shortNumber(entry.objective.value, 5),
          ...metrics.map((metric) => shortNumber(entry.metrics[metric] ?? Number.NaN, 5)),
        ]),
      },
    }),
    notes: [...(left > 0 ? [`${left} earlier evaluations are not in this table`] : []), ...notes],
  };
}
