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
  return chartPage({
    title: names,
    source: "losswright log",
    lead: [...new Set(runs.map(({ log }) => `objective: ${log.header.contract.objective}`))],
    sections: [
      ...runs.flatMap(({ name }, i) =>
        diagnoses[i]!.metrics.map((each) => verdictSection(each, runs.length > 1 ? name : "")),
      ),
      {
        charts: [
          objectiveChart(
            runs,
            diagnoses.flatMap(({ metrics }) => metrics),
          ),
          ...metricCharts(
            runs,
            diagnoses.map(({ metrics }) => metrics),
          ),
        ],
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

const column = (entries: readonly LogEntry[], read: (entry: LogEntry) => number) => ({
  x: entries.map(({ step }) => step),
  y: entries.map(read),
});

function objectiveChart(runs: readonly NamedLog[], found: readonly MetricDiagnosis[]) {
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
    y: { label: runs[0]?.log.header.contract.objective ?? "objective" },
    series,
    marks: alarmMarks(found),
  });
}

function metricCharts(runs: readonly NamedLog[], found: readonly (readonly MetricDiagnosis[])[]) {
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
      marks: alarmMarks(found.flat().filter((each) => each.metric === metric)),
    });
  });
}

/** The steps that an alarm is about, each range once. */
function alarmMarks(found: readonly MetricDiagnosis[]): Mark[] {
  const alarms = found.filter(({ isAlarm }) => isAlarm);
  const ranges = new Map(alarms.map((each) => [`${each.from} ${each.to}`, each]));
  return [...ranges.values()].map(({ from, to, metric, verdict }) => ({
    axis: "x",
    at: from,
    to,
    label: `${metric} ${verdict === "apart" ? "gets worse" : "does not get better"}`,
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
