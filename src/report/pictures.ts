import { barChart, heatMap, lineChart, shortNumber } from "../charts/index.js";
import { isTensor } from "../tensor/index.js";
import type { MeasuredMetric } from "./measure.js";
import { entriesOf } from "./words.js";

/** A drawing of a result, with a sentence that says how to read it. */
export interface Picture {
  readonly chart: ReturnType<typeof lineChart>;
  readonly caption: string;
}

/** The metrics that a page draws wherever their fields are there, asked for or not. */
export const pictureMetrics: readonly string[] = [
  "rocCurve",
  "precisionRecallCurve",
  "reliabilityCurve",
  "confusionMatrix",
];

/** A matrix of more classes is no picture that a page could hold. */
const mostClasses = 100;

/** Curves of more classes hide each other. */
const mostCurves = 12;

/** Bars up to this many: a class each. */
const mostBars = 60;

const size = { width: 480, height: 400 };
const unit = [0, 1] as const;

/** The picture of a result; undefined where it has none, or where there is nothing to draw. */
export function pictureOf(measured: MeasuredMetric, beside: readonly MeasuredMetric[] = []): Picture | undefined {
  const draw = Object.hasOwn(pictures, measured.metric) ? pictures[measured.metric]! : bars;
  return draw(measured, beside);
}

type Draw = (measured: MeasuredMetric, beside: readonly MeasuredMetric[]) => Picture | undefined;

const pictures: Readonly<Record<string, Draw>> = {
  rocCurve: (measured, beside) => {
    const curves = curvesOf(measured, "falsePositiveRate", "truePositiveRate");
    if (curves.length === 0) return undefined;
    return {
      chart: lineChart({
        ...size,
        title: `ROC curve${numberOf("auroc", "AUROC", beside)}`,
        x: { label: "false positive rate", domain: unit },
        y: { label: "true positive rate", domain: unit },
        series: seriesOf(curves, "true positive rate"),
        reference: "diagonal",
      }),
      caption: `ROC curve: how many of the positives are found, against false alarms; the diagonal is chance.${besides(curves)}`,
    };
  },
  precisionRecallCurve: (measured, beside) => {
    const curves = curvesOf(measured, "recall", "precision");
    const [first] = curves;
    if (!first) return undefined;
    // As far as the curve goes everything is called positive: precision is the share of positives there.
    const furthest = first.x.reduce((best, value, i) => (value > first.x[best]! ? i : best), 0);
    return {
      chart: lineChart({
        ...size,
        title: `Precision and recall${numberOf("averagePrecision", "average precision", beside)}`,
        x: { label: "recall", domain: unit },
        y: { label: "precision", domain: unit },
        series: seriesOf(curves, "precision"),
        marks: curves.length === 1 ? [{ axis: "y", at: first.y[furthest]!, label: "chance" }] : [],
      }),
      caption: `Precision and recall: how much of what is called positive is, against how many of the positives are found.${besides(curves)}`,
    };
  },
  reliabilityCurve: (measured, beside) => {
    const [x, y, counts] = listsOf(measured, "predicted", "observed", "counts");
    if (!x || !y) return undefined;
    const samples = counts?.filter((count) => count > 0) ?? [];
    const total = samples.reduce((sum, count) => sum + count, 0);
    const range =
      samples.length > 0
        ? ` ${samples.length} bins of ${shortNumber(Math.min(...samples))} to ${shortNumber(Math.max(...samples))} samples.`
        : "";
    return {
      chart: lineChart({
        ...size,
        title: `Reliability${numberOf("expectedCalibrationError", "expected calibration error", beside)}`,
        x: { label: "predicted probability", domain: unit },
        y: { label: "observed share", domain: unit },
        series: [
          { name: "observed share", x, y, points: true },
          ...(counts
            ? [{ name: "share of all samples", x, y: counts.map((count) => count / total), dashed: true }]
            : []),
        ],
        reference: "diagonal",
      }),
      caption: `Reliability: how often it is so where that probability is said. Below the diagonal more is said than is so.${range}`,
    };
  },
  confusionMatrix: ({ value }, beside) => {
    if (!isTensor(value) || value.shape.length !== 2 || value.data.length === 0) return undefined;
    const [rows, columns] = value.shape as [number, number];
    if (Math.max(rows, columns) > mostClasses) return undefined;
    const names = (count: number) => Array.from({ length: count }, (_, i) => String(i));
    return {
      chart: heatMap({
        width: size.width,
        title: `Confusion matrix${numberOf("accuracy", "accuracy", beside)}`,
        rows: names(rows),
        columns: names(columns),
        values: Array.from(value.data as Float64Array, Number),
        rowLabel: "label",
        columnLabel: "prediction",
        shade: "row",
      }),
      caption: "Confusion matrix: what each label is predicted as; a cell is as strong as its share of its row.",
    };
  },
};

/** A result that has a number for each class, with its intervals. */
function bars({ metric, value, interval }: MeasuredMetric): Picture | undefined {
  const [entry, ...others] = entriesOf(value);
  if (!entry || others.length > 0 || entry.shape.length !== 1) return undefined;
  const { numbers } = entry;
  if (numbers.length < 2 || numbers.length > mostBars) return undefined;
  const [low, high] = [interval && entriesOf(interval.lower)[0], interval && entriesOf(interval.upper)[0]];
  return {
    chart: barChart({
      width: size.width,
      title: metric,
      value: { label: metric },
      bars: Array.from(numbers, (number, i) => ({
        label: String(i),
        value: number,
        ...(low && high && { low: low.numbers[i]!, high: high.numbers[i]! }),
      })),
    }),
    caption: `${metric}: a bar for each class${interval ? ", a whisker for its interval" : ""}.`,
  };
}

/** ", AUROC 0.9132" where the number was measured too. */
function numberOf(metric: string, words: string, measured: readonly MeasuredMetric[]): string {
  const value = measured.find((each) => each.metric === metric)?.value;
  return typeof value === "number" ? `, ${words} ${shortNumber(value)}` : "";
}

interface ClassCurve {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** The curves of a result: one, or one for each class where they follow each other. */
function curvesOf(measured: MeasuredMetric, across: string, up: string): ClassCurve[] {
  const [x, y, classes] = listsOf(measured, across, up, "classes");
  if (!x || !y) return [];
  if (!classes) return [{ x, y }];
  const curves: { x: number[]; y: number[] }[] = [];
  for (const [i, each] of classes.entries()) {
    curves[each] ??= { x: [], y: [] };
    curves[each].x.push(x[i]!);
    curves[each].y.push(y[i]!);
  }
  return curves;
}

function seriesOf(curves: readonly ClassCurve[], name: string) {
  if (curves.length === 1) return [{ name, ...curves[0]! }];
  return curves.slice(0, mostCurves).map((curve, i) => ({ name: `class ${i}`, ...curve }));
}

function besides(curves: readonly ClassCurve[]): string {
  return curves.length > mostCurves ? ` Classes 0 to ${mostCurves - 1} of ${curves.length}.` : "";
}

/** Lists of a result by their names; undefined for one that it has not, or that is empty. */
function listsOf({ value }: MeasuredMetric, ...names: readonly string[]): (number[] | undefined)[] {
  return names.map((name) => {
    const entry = typeof value === "number" || isTensor(value) ? undefined : value[name];
    if (entry === undefined || !isTensor(entry) || entry.shape.length !== 1 || entry.data.length === 0)
      return undefined;
    return Array.from(entry.data as Float64Array, Number);
  });
}
