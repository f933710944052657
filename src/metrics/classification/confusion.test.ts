/** What counts labels against predictions, against naive loops over the samples. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ints, refuses } from "../../../test/instruments/refusals.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { balancedAccuracy } from "./balanced-accuracy.js";
import type { ClassFields } from "./class-fields.js";
import { cohenKappa } from "./cohen-kappa.js";
import { confusionMatrix } from "./confusion-matrix.js";
import { fBeta } from "./f-beta.js";
import { hammingLoss } from "./hamming-loss.js";
import { jaccard } from "./jaccard.js";
import { matthewsCorrelation } from "./matthews-correlation.js";
import { precision } from "./precision.js";
import { recall } from "./recall.js";
import { zeroOneLoss } from "./zero-one-loss.js";

const numbers = (result: unknown) => Array.from((result as Tensor).data as Float64Array);
const of = (labels: number[], predictions: number[]): ClassFields => ({
  labels: ints([labels.length], ...labels),
  predictions: ints([predictions.length], ...predictions),
});

/** Samples as label, prediction and weight; classes far apart reach beyond the list of cells. */
const samples = (classes: number) =>
  fc.array(fc.tuple(fc.nat(classes - 1), fc.nat(classes - 1), fc.integer({ min: 1, max: 9 })), {
    minLength: 1,
    maxLength: 30,
  });
type Sample = readonly [label: number, prediction: number, weight: number];
const fieldsOf = (list: readonly Sample[]): ClassFields => ({
  labels: tensor(
    Int32Array.from(list, ([label]) => label),
    [list.length],
  ),
  predictions: tensor(
    Int32Array.from(list, ([, prediction]) => prediction),
    [list.length],
  ),
  weights: tensor(
    Float64Array.from(list, ([, , weight]) => weight),
    [list.length],
  ),
});
const weightOf = (list: readonly Sample[], holds: (label: number, prediction: number) => boolean) =>
  list.reduce((sum, [label, prediction, weight]) => sum + (holds(label, prediction) ? weight : 0), 0);

describe("confusionMatrix", () => {
  it("counts what a loop over the samples counts, for few and for many classes", () => {
    fc.assert(
      fc.property(fc.constantFrom(3, 600), (classes) => {
        fc.assert(
          fc.property(samples(classes), (list) => {
            const naive = new Map<number, number>();
            for (const [i, j, w] of list) naive.set(i * classes + j, (naive.get(i * classes + j) ?? 0) + w);
            const matrix = numbers(confusionMatrix({ classes }).update(fieldsOf(list)).compute());
            const found = matrix.flatMap((value, at) => (value === 0 ? [] : [[at, value] as const]));
            expect(found).toEqual([...naive].sort(([a], [b]) => a - b));
          }),
          { numRuns: 10 },
        );
      }),
      { numRuns: 4 },
    );
  });

  it("has rows of labels, is as large as the highest class, and divides by rows, columns or all", () => {
    const fields = of([0, 0, 2], [0, 2, 2]);
    const matrix = (normalize: "labels" | "predictions" | "all" | null) =>
      numbers(confusionMatrix({ normalize }).update(fields).compute());
    expect(matrix(null)).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1]);
    expect(matrix("labels")).toEqual([0.5, 0, 0.5, 0, 0, 0, 0, 0, 1]);
    expect(matrix("predictions")).toEqual([1, 0, 0.5, 0, 0, 0, 0, 0, 0.5]);
    expect(matrix("all")).toEqual([1 / 3, 0, 1 / 3, 0, 0, 0, 0, 0, 1 / 3]);
    expect(confusionMatrix().compute().shape).toEqual([0, 0]);
  });

  it("predicts the highest score, of equal ones the first", () => {
    const scores = tensor([
      [3, 1],
      [2, 2],
    ]);
    expect(
      numbers(
        confusionMatrix()
          .update({ scores, labels: ints([2], 0, 0) })
          .compute(),
      ),
    ).toEqual([2, 0, 0, 0]);
  });
});

describe("precision, recall, fBeta, jaccard", () => {
  it("are the quotients of each class's counts", () => {
    fc.assert(
      fc.property(samples(4), (list) => {
        const per = { average: "none", classes: 4 } as const;
        const fields = fieldsOf(list);
        const results = [precision(per), recall(per), fBeta({ ...per, beta: 2 }), jaccard(per)].map((metric) =>
          numbers(metric.update(fields).compute()),
        );
        for (let k = 0; k < 4; k++) {
          const right = weightOf(list, (i, j) => i === k && j === k);
          const [onlyLabel, onlyPredicted] = [
            weightOf(list, (i, j) => i === k && j !== k),
            weightOf(list, (i, j) => i !== k && j === k),
          ];
          const ratio = (above: number, below: number) => (below === 0 ? 0 : above / below);
          expect(results.map((values) => values[k])).toEqual([
            ratio(right, right + onlyPredicted),
            ratio(right, right + onlyLabel),
            ratio(5 * right, 5 * right + 4 * onlyLabel + onlyPredicted),
            ratio(right, right + onlyLabel + onlyPredicted),
          ]);
        }
      }),
    );
  });

  it("average over classes that occur, by support, over counts together, or take class 1", () => {
    const fields = of([0, 0, 0, 1], [0, 0, 1, 1]);
    const value = (average: "macro" | "weighted" | "micro" | "binary") => recall({ average }).update(fields).compute();
    expect([value("macro"), value("weighted"), value("micro"), value("binary")]).toEqual([
      (2 / 3 + 1) / 2,
      0.75,
      0.75,
      1,
    ]);
    const many = (absent: "skip" | "zero") => recall({ classes: 4, absent }).update(fields).compute();
    expect([many("skip"), many("zero")]).toEqual([(2 / 3 + 1) / 2, (2 / 3 + 1) / 4]);
  });

  it("give 0/0 the worth that zeroDivision says, and leave NaN out of a mean", () => {
    const fields = of([0, 1], [0, 0]);
    const value = (zeroDivision: number | "nan") => precision({ zeroDivision }).update(fields).compute();
    expect([value(0), value(1), value("nan")]).toEqual([0.25, 0.75, 0.5]);
  });

  it("take the k highest scores as predicted together", () => {
    const fields = { scores: tensor([[3, 2, 1]]), labels: ints([1], 1) };
    const value = (topK: number) => numbers(precision({ average: "none", topK }).update(fields).compute());
    expect([value(1), value(2), value(3)]).toEqual([
      [0, 0, 0],
      [0, 1, 0],
      [0, 1, 0],
    ]);
    expect(recall({ average: "micro", topK: 2 }).update(fields).compute()).toBe(1);
    expect(precision({ average: "micro", topK: 2 }).update(fields).compute()).toBe(0.5);
  });

  it("score the flags of each sample, and of each column", () => {
    const flags = { predictions: ints([2, 3], 1, 1, 0, 0, 0, 0), labels: ints([2, 3], 1, 0, 0, 0, 0, 1) };
    const value = (average: "samples" | "macro" | "weighted") =>
      precision({ multilabel: true, average }).update(flags).compute();
    expect([value("samples"), value("macro"), value("weighted")]).toEqual([0.25, 1 / 3, 0.5]);
    const weights = tensor([3, 1]);
    expect(
      jaccard({ multilabel: true, average: "samples" })
        .update({ ...flags, weights })
        .compute(),
    ).toBe(0.375);
  });

  it("weigh columns alike where no label is set", () => {
    const flags = { predictions: ints([1, 2], 1, 0), labels: ints([1, 2], 0, 0) };
    expect(precision({ multilabel: true, average: "weighted", zeroDivision: 1 }).update(flags).compute()).toBe(0.5);
  });

  it("do not exist without a sample, whatever the average, and reading them changes nothing", () => {
    for (const average of ["macro", "micro", "weighted", "binary"] as const) {
      const metric = fBeta({ average });
      expect(metric.update(of([], [])).compute()).toBeNaN();
    }
    const metric = recall({ classes: 5 }).update(of([0, 1], [0, 0]));
    const before = JSON.stringify(metric);
    metric.compute();
    expect(JSON.stringify(metric)).toBe(before);
  });
});

describe("balancedAccuracy, matthewsCorrelation, cohenKappa", () => {
  it("are 1 where everything is right, and by chance 0", () => {
    const [right, chance] = [of([0, 1, 2], [0, 1, 2]), of([0, 0, 1, 1], [0, 1, 0, 1])];
    for (const make of [() => balancedAccuracy({ adjusted: true }), () => matthewsCorrelation(), () => cohenKappa()]) {
      expect(make().update(right).compute()).toBe(1);
      expect(make().update(chance).compute()).toBe(0);
    }
    expect(
      matthewsCorrelation()
        .update(of([0, 1], [1, 0]))
        .compute(),
    ).toBe(-1);
    expect(
      balancedAccuracy()
        .update(of([0, 0, 0, 1], [0, 0, 1, 1]))
        .compute(),
    ).toBeCloseTo(5 / 6, 15);
  });

  it("agree with their sums over pairs of samples", () => {
    fc.assert(
      fc.property(samples(3), (list) => {
        const all = weightOf(list, () => true);
        // Correlation of indicator vectors, each pair of classes apart from its frequency.
        const share = (holds: (label: number, prediction: number) => boolean) => weightOf(list, holds) / all;
        let [both, ofLabels, ofPredictions] = [0, 0, 0];
        for (let k = 0; k < 3; k++) {
          const [t, p] = [share((i) => i === k), share((_, j) => j === k)];
          both += share((i, j) => i === k && j === k) - t * p;
          ofLabels += t - t * t;
          ofPredictions += p - p * p;
        }
        const correlation = matthewsCorrelation().update(fieldsOf(list)).compute();
        const size = Math.sqrt(ofLabels * ofPredictions);
        expect(correlation).toBeCloseTo(size < 1e-12 ? 0 : both / size, 10);
        for (const [disagreement, distance] of [
          [null, (i: number, j: number) => (i === j ? 0 : 1)],
          ["linear", (i: number, j: number) => Math.abs(i - j)],
          ["quadratic", (i: number, j: number) => (i - j) * (i - j)],
        ] as const) {
          let [observed, expected] = [0, 0];
          for (const [i, j, w] of list) {
            observed += w * distance(i, j) * all;
            for (const [, other, v] of list) expected += w * v * distance(i, other);
          }
          const kappa = cohenKappa({ disagreement }).update(fieldsOf(list)).compute();
          if (expected === 0) expect(kappa).toBeNaN();
          else expect(kappa).toBeCloseTo(1 - observed / expected, 10);
        }
      }),
    );
  });
});

describe("hammingLoss, zeroOneLoss", () => {
  const flags = { predictions: ints([2, 2], 1, 0, 1, 1), labels: ints([2, 2], 1, 0, 0, 1), weights: tensor([1, 3]) };
  const classes = { ...of([0, 1, 2], [0, 2, 2]), weights: tensor([1, 2, 1]) };

  it("are the share of flags, and of samples, that are wrong", () => {
    expect(hammingLoss({ multilabel: true }).update(flags).compute()).toBe(3 / 8);
    expect(zeroOneLoss({ multilabel: true }).update(flags).compute()).toBe(3 / 4);
    expect([hammingLoss().update(classes).compute(), zeroOneLoss().update(classes).compute()]).toEqual([0.5, 0.5]);
    expect(zeroOneLoss({ normalize: false }).update(classes).compute()).toBe(2);
    expect([hammingLoss().compute(), zeroOneLoss().compute()]).toEqual([Number.NaN, Number.NaN]);
  });
});

describe("metrics of classes refuse", () => {
  const three = { scores: tensor([[1, 2, 3]]), labels: ints([1], 0) };
  const flags = { predictions: ints([1, 2], 1, 0), labels: ints([1, 2], 1, 0) };
  refuses([
    [
      "a label at classes",
      () => confusionMatrix({ classes: 2 }).update(of([0, 2], [0, 0])),
      "value",
      "labels",
      /at \[1\]/,
    ],
    [
      "a prediction at classes",
      () => recall({ classes: 2 }).update(of([0, 0], [0, 2])),
      "value",
      "predictions",
      /at \[1\]/,
    ],
    [
      "a class that nothing has room for",
      () => cohenKappa().update(of([0], [1048576])),
      "value",
      "predictions",
      /0\.\.1048575/,
    ],
    [
      "scores of more classes than classes",
      () => confusionMatrix({ classes: 2 }).update(three),
      "shape",
      "scores",
      /classes: 3/,
    ],
    ["three scores as binary", () => precision({ average: "binary" }).update(three), "shape", "scores", /2, as/],
    [
      "flags of another number of columns",
      () => jaccard({ classes: 3, multilabel: true }).update(flags),
      "shape",
      "predictions",
      /3, as/,
    ],
    [
      "samples of classes",
      () => fBeta({ average: "samples" }).update(of([0], [0])),
      "option",
      "average",
      /multilabel: true/,
    ],
    [
      "binary of three classes",
      () => fBeta({ average: "binary", classes: 3 }).update(of([0], [0])),
      "option",
      "average",
      /macro/,
    ],
    ["binary of a class 2", () => recall({ average: "binary" }).update(of([2], [0])), "value", "labels", /0\.\.1/],
    ["topK of flags", () => recall({ multilabel: true, topK: 1 }).update(flags), "option", "topK", /leave topK out/],
    ["a negative beta", () => fBeta({ beta: -1 }), "option", "beta", /at least 0/],
    ["a zeroDivision above 1", () => jaccard({ zeroDivision: 2 }), "option", "zeroDivision", /what 0\/0 is|1/],
  ]);
});
