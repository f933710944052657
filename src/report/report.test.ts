import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type MetricResult, metricNames } from "../metrics/index.js";
import { tensor, view } from "../tensor/index.js";
import {
  chosenFields,
  fieldsOf,
  type MeasuredMetric,
  measure,
  measuredText,
  measuredToJson,
  metricsPage,
  pictureOf,
} from "./index.js";
import { figure } from "./words.js";

const accuracy = { metric: "accuracy", options: {} };
const fields = { predictions: tensor([0, 1, 1, 0]), labels: tensor([0, 1, 0, 0]) };
const plain = { bold: (text: string) => text, dim: (text: string) => text };
const list = (...numbers: number[]) => tensor(Float64Array.from(numbers));

/** A metric as if it were measured. */
const made = (metric: string, value: MetricResult, more: Partial<MeasuredMetric> = {}): MeasuredMetric => ({
  metric,
  summary: `What ${metric} is.`,
  options: {},
  fields: ["scores", "labels"],
  samples: 12,
  value,
  ...more,
});

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("the fields of a metric", () => {
  it("are those of the first form that is there, with what is optional, and with nothing else", () => {
    const names = (available: string[]) => chosenFields(accuracy, available).map(({ name }) => name);
    expect(names(["labels", "predictions"])).toEqual(["predictions", "labels"]);
    expect(names(["labels", "scores", "other"])).toEqual(["scores", "labels"]);
    expect(names(["labels", "scores", "predictions", "mask", "weights"])).toEqual([
      "predictions",
      "labels",
      "weights",
      "mask",
    ]);
  });

  it("are those that were named, where several forms are there", () => {
    const available = ["predictions", "scores", "labels"];
    const names = (named: string[]) => chosenFields(accuracy, available, named).map(({ name }) => name);
    expect(names(["labels"])).toEqual(["predictions", "labels"]);
    expect(names(["scores"])).toEqual(["scores", "labels"]);
    expect(names(["scores", "predictions"])).toEqual(["predictions", "labels"]);
  });

  it("hold what the form that is taken says", () => {
    const holds = (available: string[]) =>
      Object.fromEntries(
        chosenFields({ metric: "exactMatch", options: {} }, available).map(({ name, holds }) => [name, holds]),
      );
    expect(holds(["predictions", "references"])).toEqual({ predictions: "texts", references: "texts" });
    expect(holds(["predictions", "labels"])).toEqual({ predictions: "indices", labels: "indices" });
  });

  it("that are missing are named, those of the nearest form", () => {
    const error = errorOf(() => chosenFields(accuracy, ["scores"]));
    expect(error).toMatchObject({ code: "missing-field", where: "accuracy", field: "labels", found: "only scores" });
    expect(error.expected).toBe("{ predictions, labels } or { scores, labels }");
    expect(error.fix).toBe("give labels.");
  });

  it("are known for every metric under its defaults, every form among them", () => {
    for (const metric of metricNames()) {
      const { wanted, forms } = fieldsOf({ metric, options: {} });
      const names = wanted.map(({ name }) => name);
      expect(forms.length, metric).toBeGreaterThan(0);
      for (const form of forms) expect(names, metric).toEqual(expect.arrayContaining([...form]));
    }
  });
});

describe("measure", () => {
  it("gives value, options in full, fields and samples", () => {
    expect(measure(accuracy, fields)).toMatchObject({
      metric: "accuracy",
      goal: "maximize",
      options: { topK: null, undefined: "nan" },
      fields: ["predictions", "labels"],
      samples: 4,
      value: 0.75,
    });
  });

  it("says how classes became one number, where they did", () => {
    const labels = tensor(Int32Array.of(0, 1, 2, 1));
    const classes = { predictions: tensor(Int32Array.of(0, 1, 1, 1)), labels };
    const averageOf = (metric: string, options: object, given: Parameters<typeof measure>[1] = classes) =>
      measure({ metric, options: { ...options } }, given).average;
    expect(averageOf("fBeta", {})).toBe("macro");
    expect(averageOf("fBeta", { average: "micro" })).toBe("micro");
    expect(averageOf("fBeta", { average: "binary" }, fields)).toBe("binary");
    expect(averageOf("fBeta", { average: "none" })).toBeUndefined();
    expect(averageOf("accuracy", {})).toBeUndefined();
    const wide = tensor(
      Float64Array.from({ length: 12 }, (_, i) => (i * 5) % 7),
      [4, 3],
    );
    const flags = tensor(Int32Array.of(0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1), [4, 3]);
    expect(averageOf("auroc", {}, { scores: wide, labels })).toBe("macro");
    expect(averageOf("auroc", { multilabel: true }, { scores: wide, labels: flags })).toBe("macro");
    // One score a sample ranks positives against negatives.
    expect(averageOf("auroc", {}, { scores: list(0.1, 0.9, 0.4, 0.3), labels: fields.labels })).toBeUndefined();
  });

  it("says what gives lists and matrices of classes an interval, and says it of no curve", () => {
    const labels = tensor(Int32Array.of(0, 1, 2, 1));
    const given = { predictions: tensor(Int32Array.of(0, 1, 1, 1)), labels };
    const ids = { sampleIds: tensor(Int32Array.of(0, 1, 2, 3)) };
    const measured = (metric: string, options: Record<string, unknown>, of: Parameters<typeof measure>[1] = given) =>
      measure({ metric, options }, of, ids, { replicates: 50 });
    for (const [metric, options] of [
      ["recall", { average: "none" }],
      ["confusionMatrix", {}],
    ] as const) {
      const told = `no interval: results of different lengths; give --option ${metric}:classes=3`;
      expect(measured(metric, options).note).toBe(told);
      expect(measured(metric, { ...options, classes: 3 }).interval).toBeDefined();
    }
    const curve = measured("rocCurve", {}, { scores: list(0.1, 0.9, 0.4, 0.3), labels: fields.labels });
    expect(curve.note).toBe("no interval: results of different lengths");
  });

  it("gives an interval around the value where draws are asked for", () => {
    const ids = { sampleIds: tensor(Int32Array.of(0, 1, 2, 3)) };
    const { interval, value } = measure(accuracy, fields, ids, { replicates: 100, seed: 1 });
    expect(interval).toMatchObject({ confidence: 0.95 });
    expect(interval!.lower as number).toBeLessThanOrEqual(value as number);
    expect(interval!.upper as number).toBeGreaterThanOrEqual(value as number);
  });

  it("throws what the metric throws", () => {
    expect(errorOf(() => measure(accuracy, { ...fields, labels: tensor([0, 1]) })).code).toBe("shape");
    expect(errorOf(() => measure({ metric: "acuracy", options: {} }, fields)).fix).toBe('write "accuracy".');
  });
});

describe("measured metrics as text", () => {
  it("have a line for a number, a line for each class, and a grid for a matrix", () => {
    const matrix = view(Float64Array.of(10, 2, 0, 30), [2, 2], "unlabeled", "float64");
    const text = measuredText(
      [made("auroc", 0.912347), made("precision", list(1, 0.25)), made("confusionMatrix", matrix)],
      plain,
    );
    expect(text).toBe(
      [
        "metric             value  of",
        "auroc            0.91235  12 samples: scores, labels",
        "precision                 12 samples: scores, labels",
        "  0                    1",
        "  1                 0.25",
        "confusionMatrix           12 samples: scores, labels",
        "        0   1",
        "    0  10   2",
        "    1   0  30",
      ].join("\n"),
    );
  });

  it("name what made one number of classes", () => {
    const measured = [made("fBeta", 0.5, { average: "macro" }), made("recall", list(1, 0.25))];
    expect(measuredText(measured, plain).split("\n").slice(0, 3)).toEqual([
      "metric         value  of",
      "fBeta (macro)    0.5  12 samples: scores, labels",
      "recall                12 samples: scores, labels",
    ]);
    const page = metricsPage(measured);
    expect(page).toContain("<title>fBeta (macro), recall");
    expect(page.match(/fBeta \(macro\)/g)!.length).toBeGreaterThan(3);
  });

  it("have intervals in a column of their own, and say how long a curve is", () => {
    const interval = { lower: 0.8, upper: 0.95, standardError: 0.02, replicates: 100, confidence: 0.9 };
    const curve = { x: list(...Array.from({ length: 50 }, (_, i) => i)), area: 0.5 };
    const text = measuredText(
      [made("auroc", 0.9, { interval }), made("curve", curve, { note: "no interval: x" })],
      plain,
    );
    expect(text.split("\n")).toEqual([
      "metric  value  90 % interval  of",
      "auroc     0.9  0.8 to 0.95    12 samples: scores, labels",
      "curve                         12 samples: scores, labels; no interval: x",
      "  x                           50 numbers, for --json and --html",
      "  area    0.5",
    ]);
  });

  it("spell what is no number, and keep five digits", () => {
    expect([0.5, 1 / 3, 12, -0.25, 1e-7, 123456789.5, NaN, Infinity, -Infinity].map(figure)).toEqual([
      "0.5",
      "0.33333",
      "12",
      "-0.25",
      "1.000e-7",
      "1.235e+8",
      "nan",
      "inf",
      "-inf",
    ]);
  });
});

describe("measured metrics as JSON", () => {
  it("nest lists as their shapes say, and spell what JSON has no number for", () => {
    const matrix = view(Float64Array.of(1, NaN, Infinity, 4, 5, 6), [2, 3], "unlabeled", "float64");
    const json = measuredToJson([made("m", { matrix, empty: list() }), made("n", -Infinity)]);
    expect(JSON.parse(JSON.stringify(json)).metrics.map(({ value }: { value: unknown }) => value)).toEqual([
      {
        matrix: [
          [1, "nan", "inf"],
          [4, 5, 6],
        ],
        empty: [],
      },
      "-inf",
    ]);
  });
});

describe("the page", () => {
  const roc = made("rocCurve", {
    falsePositiveRate: list(0, 0, 0.5, 1),
    truePositiveRate: list(0, 0.5, 1, 1),
    thresholds: list(Infinity, 0.9, 0.4, 0.1),
  });
  const precisionRecall = made("precisionRecallCurve", {
    precision: list(0.5, 0.66, 1, 1),
    recall: list(1, 1, 0.5, 0),
    thresholds: list(0.1, 0.4, 0.9),
  });
  const reliability = made("reliabilityCurve", {
    predicted: list(0.1, 0.6, 0.9),
    observed: list(0.2, 0.5, 1),
    counts: list(40, 10, 50),
  });
  const confusion = made("confusionMatrix", view(Float64Array.of(10, 2, 0, 30), [2, 2], "unlabeled", "float64"));

  it("has the numbers large, a picture of each curve with its number, and all as a table", () => {
    const interval = { lower: 0.8, upper: 0.95, standardError: 0.02, replicates: 100, confidence: 0.95 };
    const page = metricsPage(
      [made("auroc", 0.9, { interval, goal: "maximize" })],
      [roc, precisionRecall, reliability, confusion],
    );
    for (const part of [
      "ROC curve, AUROC 0.9",
      "Precision and recall",
      "Reliability",
      "3 bins of 10 to 50 samples",
      "Confusion matrix",
      "0.8 to 0.95",
      "95 % interval",
      "What auroc is. More is better.",
      "label 0, prediction 1: 2",
    ]) {
      expect(page).toContain(part);
    }
    expect(page.match(/<svg[^>]*class="chart"/g)).toHaveLength(4);
  });

  it("draws a curve for each class where there are several, as many as can be told apart", () => {
    const curves = (classes: number) =>
      made("rocCurve", {
        falsePositiveRate: list(...Array.from({ length: classes }, () => [0, 0.2, 1]).flat()),
        truePositiveRate: list(...Array.from({ length: classes }, () => [0, 0.7, 1]).flat()),
        classes: list(...Array.from({ length: classes }, (_, i) => [i, i, i]).flat()),
      });
    const page = metricsPage([curves(3)]);
    for (const name of ["class 0", "class 1", "class 2"]) expect(page).toContain(name);
    const many = metricsPage([curves(40)]);
    expect(many).toContain("class 11");
    expect(many).not.toContain("class 12");
    expect(many).toContain("Classes 0 to 11 of 40.");
  });

  it("escapes what a name brings, and takes a heading", () => {
    const page = metricsPage([made("<b>auroc</b>", 0.9)], [], { title: "A & B" });
    expect(page).not.toContain("<b>");
    expect(page).toContain("A &amp; B");
  });

  it("stays small for long curves and many classes", () => {
    const count = 200_000;
    const rising = Float64Array.from({ length: count }, (_, i) => i / (count - 1));
    const long = made("rocCurve", {
      falsePositiveRate: tensor(rising),
      truePositiveRate: tensor(rising.map(Math.sqrt)),
      thresholds: tensor(rising),
    });
    const classes = made("recall", tensor(rising));
    const wide = made("confusionMatrix", view(new Float64Array(300 * 300), [300, 300], "unlabeled", "float64"));
    expect(metricsPage([long, classes, wide]).length).toBeLessThan(100_000);
  });

  it("draws no picture of what has none", () => {
    expect(pictureOf(made("auroc", 0.9))).toBeUndefined();
    expect(pictureOf(made("rocCurve", { falsePositiveRate: list(), truePositiveRate: list() }))).toBeUndefined();
    expect(pictureOf(made("precision", list(0.5, 0.25)))!.caption).toContain("a bar for each class");
    expect(metricsPage([made("auroc", Number.NaN)])).toContain("NaN");
  });
});
