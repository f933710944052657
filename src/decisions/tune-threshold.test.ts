import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { sigmoid, type Tensor, tensor } from "../tensor/index.js";
import { decide } from "./decide.js";
import { type ThresholdGoal, tuneThreshold } from "./tune-threshold.js";

const numbers = (held: Tensor) => Array.from(held.data as ArrayLike<number>, Number);

interface Drawn {
  readonly scores: number[];
  readonly labels: number[];
  readonly weights: number[];
  readonly order: number[];
}

const drawn: fc.Arbitrary<Drawn> = fc.integer({ min: 3, max: 30 }).chain((count) => {
  const list = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { minLength: count, maxLength: count });
  return fc.record({
    // Tenths tie.
    scores: list(
      fc.oneof(
        fc.integer({ min: 0, max: 10 }).map((n) => n / 10),
        fc.double({ min: 0, max: 1, noNaN: true }),
      ),
    ),
    labels: list(fc.integer({ min: 0, max: 1 })).map((labels) => [0, 1, ...labels.slice(2)]),
    weights: list(fc.integer({ min: 1, max: 5 })),
    order: fc.shuffledSubarray(
      Array.from({ length: count }, (_, i) => i),
      { minLength: count, maxLength: count },
    ),
  });
});

/** Every threshold tried on every sample. */
function tried({ scores, labels, weights }: Drawn, goal: ThresholdGoal) {
  const candidates = [...new Set(scores)].sort((a, b) => a - b).concat(Infinity);
  return candidates.map((threshold) => {
    const sum = (isAbove: boolean, label: number) =>
      scores.reduce((all, s, i) => all + (s >= threshold === isAbove && labels[i] === label ? weights[i]! : 0), 0);
    const [tp, fp, fn, tn] = [sum(true, 1), sum(true, 0), sum(false, 1), sum(false, 0)];
    const total = tp + fp + fn + tn;
    const value =
      goal === "f1"
        ? (2 * tp) / (2 * tp + fp + fn)
        : goal === "youden"
          ? tp / (tp + fn) - fp / (fp + tn)
          : goal === "accuracy"
            ? (tp + tn) / total
            : (goal.cost.falsePositive * fp + goal.cost.falseNegative * fn) / total;
    return { threshold, value, precision: tp / (tp + fp), recall: tp / (tp + fn) };
  });
}

const cost = { cost: { falsePositive: 1, falseNegative: 5 } };
const goals: readonly ThresholdGoal[] = ["f1", "youden", "accuracy", cost];

describe("tuneThreshold", () => {
  it.each(goals)("finds the best of all thresholds, and of equal ones the lowest: %j", (maximize) => {
    fc.assert(
      fc.property(drawn, (samples) => {
        const all = tried(samples, maximize);
        const sign = typeof maximize === "object" ? -1 : 1;
        const most = Math.max(...all.map(({ value }) => sign * value));
        const found = tuneThreshold({
          scores: samples.scores,
          labels: samples.labels,
          weights: samples.weights,
          maximize,
        });
        expect(sign * found.value).toBeCloseTo(most, 12);
        // Equal up to rounding here; the lowest of those.
        expect(found.threshold).toBe(all.find(({ value }) => sign * value > most - 1e-12)!.threshold);
        expect(numbers(found.curve.threshold)).toEqual(all.map(({ threshold }) => threshold));
        numbers(found.curve.value).forEach((value, i) => {
          expect(value).toBeCloseTo(all[i]!.value, 12);
        });
        expect(numbers(found.curve.precision)).toEqual(all.map(({ precision }) => precision));
        expect(numbers(found.curve.recall)).toEqual(all.map(({ recall }) => recall));
      }),
    );
  });

  it("gives the same bits for every order of weighted samples", () => {
    const weight = fc.double({ min: 1e-3, max: 10, noNaN: true });
    fc.assert(
      fc.property(drawn, fc.array(weight, { minLength: 30, maxLength: 30 }), ({ scores, labels, order }, all) => {
        const of = (places: number[]) => {
          const [s, y, w] = [scores, labels, all].map((list) => places.map((i) => list[i]!));
          return tuneThreshold({ scores: s!, labels: y!, weights: w!, maximize: "f1" });
        };
        expect(of(order)).toEqual(of([...order].sort((a, b) => a - b)));
      }),
    );
  });

  const scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
  const labels = [0, 1, 0, 0, 1, 1];

  it("keeps to a floor of precision or recall", () => {
    expect(tuneThreshold({ scores, labels, maximize: "accuracy" }).threshold).toBe(0.5);
    const sure = tuneThreshold({ scores, labels, maximize: "accuracy", atLeast: { recall: 1 } });
    expect(sure).toMatchObject({ threshold: 0.2, recall: 1, precision: 0.6, truePositives: 3, falsePositives: 2 });
    const cheap = { cost: { falsePositive: 1, falseNegative: 10 } };
    expect(tuneThreshold({ scores, labels, maximize: cheap }).threshold).toBe(0.2);
    expect(tuneThreshold({ scores, labels, maximize: cheap, atLeast: { precision: 0.9 } }).threshold).toBe(0.5);
    // To predict nothing has no precision: it reaches no floor, however little a false negative costs.
    const free = { cost: { falsePositive: 1, falseNegative: 0 } };
    expect(tuneThreshold({ scores, labels, maximize: free, atLeast: { precision: 0 } }).threshold).toBe(0.5);
  });

  it("predicts nothing where nothing helps", () => {
    const found = tuneThreshold({ scores, labels: [1, 1, 0, 0, 0, 0], maximize: "accuracy" });
    expect(found).toMatchObject({
      threshold: Infinity,
      precision: NaN,
      recall: 0,
      falseNegatives: 2,
      trueNegatives: 4,
    });
  });

  it("agrees with decide on probabilities that are right", () => {
    // Ten levels of probability, each with its share of positives as weights.
    const levels = Array.from({ length: 9 }, (_, i) => (i + 1) / 10);
    const found = tuneThreshold({
      scores: tensor([...levels, ...levels], undefined, "probabilities"),
      labels: [...levels.map(() => 1), ...levels.map(() => 0)],
      weights: [...levels, ...levels.map((p) => 1 - p)],
      maximize: { cost: { falsePositive: 1, falseNegative: 3 } },
    });
    const decided = decide({
      probabilities: levels.map((p) => [1 - p, p]),
      costs: [
        [0, 1],
        [3, 0],
      ],
    });
    expect(levels.map((p) => (p >= found.threshold ? 1 : 0))).toEqual(numbers(decided));
  });

  it("counts what right decisions cost", () => {
    const paid = { falsePositive: 2, falseNegative: 2, truePositive: 1, trueNegative: 1 };
    const { value, threshold } = tuneThreshold({ scores, labels, maximize: { cost: paid } });
    expect(threshold).toBe(0.5);
    expect(value).toBe((5 + 2) / 6);
  });

  it("does not read what is masked, and one threshold serves both zeros", () => {
    const masked = { scores: [...scores, NaN], labels: [...labels, 9], mask: [1, 1, 1, 1, 1, 1, 0] };
    const plain = tuneThreshold({ scores, labels, maximize: "f1" });
    expect(tuneThreshold({ ...masked, maximize: "f1" })).toEqual(plain);
    const zeros = tuneThreshold({ scores: [-0, 0, -1], labels: [1, 1, 0], maximize: "f1" });
    expect(Object.is(zeros.threshold, 0)).toBe(true);
    expect(numbers(zeros.curve.threshold)).toEqual([-1, 0, Infinity]);
  });

  it("keeps a curve of bounded length, with its ends and what was chosen", () => {
    const count = 5000;
    const many = Float64Array.from({ length: count }, (_, i) => i);
    const ones = Int32Array.from({ length: count }, (_, i) => (i > 1233 && i % 7 > 0 ? 1 : 0));
    const input = { scores: tensor(many), labels: tensor(ones), maximize: "accuracy" } as const;
    const { curve, threshold } = tuneThreshold(input);
    expect(curve.threshold.shape[0]).toBeGreaterThanOrEqual(1000);
    expect(curve.threshold.shape[0]).toBeLessThanOrEqual(1001);
    const kept = numbers(curve.threshold);
    expect([kept[0], kept.at(-1), threshold]).toEqual([0, Infinity, 1234]);
    expect(kept).toContain(threshold);
    expect(numbers(tuneThreshold({ ...input, curvePoints: 2 }).curve.threshold)).toEqual([0, 1234, Infinity]);
    expect(tuneThreshold({ ...input, curvePoints: Infinity }).curve.value.shape).toEqual([count + 1]);
  });

  it("takes scores of any shape and sign", () => {
    const logits = tensor(Float32Array.of(-3, 1, -2, 4), [2, 2], "logits");
    const held = tensor([
      [0, 1],
      [0, 1],
    ]);
    expect(tuneThreshold({ scores: logits, labels: held, maximize: "youden" })).toMatchObject({
      threshold: 1,
      value: 1,
    });
    const likely = tuneThreshold({ scores: sigmoid(logits), labels: held, maximize: "youden" });
    expect(likely.threshold).toBeCloseTo(1 / (1 + Math.exp(-1)), 7);
  });

  const good = { scores, labels, maximize: "f1" } as const;
  refuses([
    [
      "a goal that does not exist",
      () => tuneThreshold(wrong({ ...good, maximize: "F1" })),
      "option",
      "maximize",
      /write "f1"/,
    ],
    ["no goal", () => tuneThreshold(wrong({ scores, labels })), "option", "maximize", /cost/],
    [
      "half a cost",
      () => tuneThreshold(wrong({ ...good, maximize: { cost: { falsePositive: 1 } } })),
      "option",
      "falseNegative",
      /finite cost/,
    ],
    [
      "an infinite cost",
      () => tuneThreshold({ ...good, maximize: { cost: { falsePositive: 1, falseNegative: Infinity } } }),
      "option",
      "falseNegative",
      /finite/,
    ],
    [
      "a misspelt cost",
      () => tuneThreshold(wrong({ ...good, maximize: { cost: { falsePositives: 1, falseNegative: 1 } } })),
      "unknown",
      "falsePositives",
      /"falsePositive"/,
    ],
    [
      "a matrix of costs",
      () =>
        tuneThreshold(
          wrong({
            ...good,
            maximize: {
              cost: [
                [0, 1],
                [5, 0],
              ],
            },
          }),
        ),
      "argument",
      "cost",
      /an object/,
    ],
    [
      "a floor out of reach",
      () => tuneThreshold({ scores: [1, 2, 3], labels: [0, 1, 0], maximize: "f1", atLeast: { precision: 0.9 } }),
      "undefined",
      "atLeast",
      /precision of at most 0\.5, at threshold 2.*precision ≥ 0\.9/,
    ],
    [
      "two floors out of reach together",
      () => tuneThreshold({ ...good, atLeast: { precision: 0.9, recall: 1 } }),
      "undefined",
      "atLeast",
      /precision of at most 0\.6 with recall ≥ 1, at threshold 0\.2/,
    ],
    [
      "a floor in percent",
      () => tuneThreshold({ ...good, atLeast: { precision: 90 } }),
      "option",
      "precision",
      /\[0, 1\]/,
    ],
    ["an empty floor", () => tuneThreshold({ ...good, atLeast: {} }), "option", "atLeast", /leave it out/],
    [
      "a misspelt floor",
      () => tuneThreshold(wrong({ ...good, atLeast: { precison: 0.9 } })),
      "unknown",
      "precison",
      /"precision"/,
    ],
    [
      "f1 without positives",
      () => tuneThreshold({ ...good, labels: [0, 0, 0, 0, 0, 0] }),
      "value",
      "labels",
      /no positive.*accuracy or cost/,
    ],
    [
      "Youden without negatives",
      () => tuneThreshold({ ...good, labels: [1, 1, 1, 1, 1, 1], maximize: "youden" }),
      "value",
      "labels",
      /both classes/,
    ],
    [
      "a floor without positives",
      () => tuneThreshold({ ...good, labels: [0, 0, 0, 0, 0, 0], maximize: "accuracy", atLeast: { recall: 0.5 } }),
      "value",
      "labels",
      /no positive/,
    ],
    ["a curve of one point", () => tuneThreshold({ ...good, curvePoints: 1 }), "option", "curvePoints", /at least 2/],
    [
      "a NaN",
      () => tuneThreshold({ ...good, scores: [0.1, NaN, 0.3, 0.4, 0.5, 0.6] }),
      "value",
      "scores",
      /NaN at \[1\]/,
    ],
    ["a label of 2", () => tuneThreshold({ ...good, labels: [0, 1, 0, 2, 1, 1] }), "value", "labels", /2 at \[3\]/],
    ["other shapes", () => tuneThreshold({ ...good, labels: [0, 1] }), "shape", "labels", /\[6\]/],
    ["nothing", () => tuneThreshold({ ...good, scores: [], labels: [] }), "empty", "labels", /held-out/],
    [
      "class indices for scores",
      () => tuneThreshold({ ...good, scores: wrong(tensor([1, 0, 1, 1, 1, 1], undefined, "classIndices")) }),
      "role",
      "scores",
      /scores/,
    ],
    [
      "a misspelt argument",
      () => tuneThreshold(wrong({ ...good, maximise: "f1" })),
      "unknown",
      "maximise",
      /"maximize"/,
    ],
  ]);
});
