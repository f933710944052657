import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { uniformBin } from "./bins.js";
import { type BrierParts, brierScore } from "./brier-score.js";
import { expectedCalibrationError } from "./expected-calibration-error.js";
import { logLoss } from "./log-loss.js";
import { maximumCalibrationError } from "./maximum-calibration-error.js";
import { reliabilityCurve } from "./reliability-curve.js";

interface Forecast {
  readonly p: number;
  readonly y: 0 | 1;
  readonly weight: number;
}

/** Forecasts, some of which are equal and some at the edges of bins. */
const forecasts = fc.array(
  fc.record({
    p: fc.oneof(
      fc.integer({ min: 0, max: 10 }).map((k) => k / 10),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    y: fc.constantFrom(0 as const, 1 as const),
    weight: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 10, noNaN: true })),
  }),
  { minLength: 1, maxLength: 30 },
);

const fieldsOf = (list: readonly Forecast[]) => ({
  probabilities: tensor(Float64Array.from(list, ({ p }) => p)),
  labels: tensor(Int32Array.from(list, ({ y }) => y)),
  weights: tensor(Float64Array.from(list, ({ weight }) => weight)),
});

const total = (list: readonly Forecast[], of: (one: Forecast) => number) =>
  list.reduce((sum, one) => sum + one.weight * of(one), 0);

const numbers = (curve: object) =>
  Object.fromEntries(Object.entries(curve).map(([name, { data }]) => [name, Array.from(data as Float64Array)]));

describe("logLoss", () => {
  it("is the mean negative log probability of what happened, by weight", () => {
    fc.assert(
      fc.property(forecasts, (list) => {
        const clip = (p: number) => Math.min(Math.max(p, 2 ** -52), 1 - 2 ** -52);
        const of = ({ p, y }: Forecast) => -Math.log(y === 1 ? clip(p) : 1 - clip(p));
        const sum = total(list, of);
        const found = logLoss().update(fieldsOf(list)).compute();
        expect(found).toBeCloseTo(sum / total(list, () => 1), 10);
        expect(logLoss({ normalize: false }).update(fieldsOf(list)).compute()).toBeCloseTo(sum, 8);
      }),
    );
  });

  it("is −log 2⁻⁵² for what was said to be impossible", () => {
    const fields = { probabilities: tensor([0, 1]), labels: tensor([1, 0]) };
    expect(logLoss().update(fields).compute()).toBeCloseTo(52 * Math.LN2, 12);
  });
});

describe("brierScore", () => {
  it("is the mean squared error, and reliability − resolution + uncertainty", () => {
    fc.assert(
      fc.property(forecasts, (list) => {
        const found = brierScore().update(fieldsOf(list)).compute() as BrierParts;
        const weight = total(list, () => 1);
        expect(found.score).toBeCloseTo(total(list, ({ p, y }) => (p - y) ** 2) / weight, 12);
        expect(found.reliability - found.resolution + found.uncertainty).toBeCloseTo(found.score, 12);
        const base = total(list, ({ y }) => y) / weight;
        expect(found.uncertainty).toBeCloseTo(base * (1 - base), 12);
      }),
    );
  });

  it("is of two classes what it is of class 1 alone, halved or not", () => {
    const labels = tensor([1, 0, 1]);
    const alone = { probabilities: tensor([0.7, 0.4, 0.2]), labels };
    const both = {
      probabilities: tensor([
        [0.3, 0.7],
        [0.6, 0.4],
        [0.8, 0.2],
      ]),
      labels,
    };
    for (const scaleByHalf of [null, true, false]) {
      const [one, two] = [alone, both].map((fields) => brierScore({ scaleByHalf }).update(fields).compute());
      for (const [part, value] of Object.entries(one as BrierParts)) {
        expect((two as BrierParts)[part as keyof BrierParts], part).toBeCloseTo(value, 14);
      }
    }
  });

  it("is not halved for three classes unless told", () => {
    const fields = { probabilities: tensor([[0.5, 0.25, 0.25]]), labels: tensor([0]) };
    expect(brierScore({ part: "score" }).update(fields).compute()).toBe(0.375);
    expect(brierScore({ part: "score", scaleByHalf: true }).update(fields).compute()).toBe(0.1875);
  });
});

describe("bins of one width", () => {
  it("hold what lies between their edges, whichever side an edge belongs to", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.oneof(
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.nat(1000).map((k) => k / 1000),
        ),
        (bins, p) => {
          const lower = uniformBin(p, bins, "lower");
          expect(p).toBeGreaterThanOrEqual(lower / bins);
          if (p < 1) expect(p).toBeLessThan((lower + 1) / bins);
          else expect(lower).toBe(bins);
          const upper = uniformBin(p, bins, "upper");
          expect(p).toBeLessThanOrEqual((upper + 1) / bins);
          if (upper > 0) expect(p).toBeGreaterThan(upper / bins);
        },
      ),
    );
  });
});

describe("calibration errors", () => {
  it("are gaps of bins: their mean, the root of their mean square, the largest", () => {
    fc.assert(
      fc.property(forecasts, fc.integer({ min: 1, max: 12 }), (list, bins) => {
        const groups = Array.from({ length: bins + 1 }, (_, bin) =>
          list.filter(({ p }) => (bin === bins ? p === 1 : p >= bin / bins && p < (bin + 1) / bins)),
        ).filter((group) => group.length > 0);
        const weight = total(list, () => 1);
        const gaps = groups.map((group) => {
          const own = total(group, () => 1);
          return [Math.abs(total(group, ({ p, y }) => y - p)) / own, own / weight] as const;
        });
        const mean = gaps.reduce((sum, [gap, share]) => sum + gap * share, 0);
        const square = gaps.reduce((sum, [gap, share]) => sum + gap * gap * share, 0);
        const fields = fieldsOf(list);
        expect(expectedCalibrationError({ bins }).update(fields).compute()).toBeCloseTo(mean, 12);
        expect(expectedCalibrationError({ bins, norm: "l2" }).update(fields).compute()).toBeCloseTo(
          Math.sqrt(square),
          10,
        );
        expect(maximumCalibrationError({ bins }).update(fields).compute()).toBeCloseTo(
          Math.max(...gaps.map(([gap]) => gap)),
          12,
        );
      }),
    );
  });

  it("of classes are the mean over classes, each against the rest; the largest of all", () => {
    const rows = [
      [0.7, 0.2, 0.1],
      [0.1, 0.6, 0.3],
      [0.3, 0.3, 0.4],
    ];
    const labels = [0, 2, 1];
    const fields = { probabilities: tensor(rows), labels: tensor(labels) };
    const alone = [0, 1, 2].map((k) => ({
      probabilities: tensor(rows.map((row) => row[k]!)),
      labels: tensor(labels.map((label) => Number(label === k))),
    }));
    for (const strategy of ["uniform", "quantile"] as const) {
      const each = alone.map((one) => expectedCalibrationError({ bins: 4, strategy }).update(one).compute());
      expect(expectedCalibrationError({ bins: 4, strategy, of: "classes" }).update(fields).compute()).toBeCloseTo(
        (each[0]! + each[1]! + each[2]!) / 3,
        14,
      );
      const largest = alone.map((one) => maximumCalibrationError({ bins: 4, strategy }).update(one).compute());
      expect(maximumCalibrationError({ bins: 4, strategy, of: "classes" }).update(fields).compute()).toBe(
        Math.max(...largest),
      );
    }
  });

  it("take the first of equal highest probabilities for the prediction", () => {
    const fields = { probabilities: tensor([[0.5, 0.5]]), labels: tensor([0]) };
    expect(expectedCalibrationError().update(fields).compute()).toBe(0.5);
    expect(reliabilityCurve().update(fields).compute().observed.data[0]).toBe(1);
  });

  it("reach as many bins as there may be", () => {
    const count = 150_000;
    const probabilities = tensor(Float64Array.from({ length: count }, (_, i) => (i + 0.5) / count));
    const metric = maximumCalibrationError({ bins: 100_000, of: "classes" });
    const rows = Float64Array.from({ length: 2 * count }, (_, i) =>
      i % 2 === 0 ? Number(probabilities.data[i >> 1]) : 1 - Number(probabilities.data[i >> 1]),
    );
    metric.update({ probabilities: tensor(rows, [count, 2]), labels: tensor(new Int32Array(count)) });
    expect(metric.compute()).toBeCloseTo(1, 4);
  });
});

describe("reliabilityCurve", () => {
  it("has bins of one number of samples, equal probabilities together", () => {
    const fields = { probabilities: tensor([0.1, 0.2, 0.2, 0.2, 0.8, 0.9]), labels: tensor([0, 0, 1, 1, 1, 1]) };
    expect(numbers(reliabilityCurve({ bins: 3, strategy: "quantile" }).update(fields).compute())).toEqual({
      observed: [0.5, 1],
      predicted: [expect.closeTo(0.175, 15), expect.closeTo(0.85, 15)],
      counts: [4, 2],
    });
  });

  it("weighs samples, and names the class of each bin of several classes", () => {
    const fields = {
      probabilities: tensor([
        [0.25, 0.75],
        [0.75, 0.25],
      ]),
      labels: tensor([1, 1]),
      weights: tensor([3, 1]),
    };
    expect(numbers(reliabilityCurve({ bins: 2, of: "classes" }).update(fields).compute())).toEqual({
      observed: [0, 0, 1, 1],
      predicted: [0.25, 0.75, 0.25, 0.75],
      counts: [3, 1, 1, 3],
      classes: [0, 0, 1, 1],
    });
  });
});

describe("metrics of probabilities", () => {
  const labels = tensor([0]);
  refuses([
    ["a logit", () => logLoss().update({ probabilities: tensor([1.5]), labels }), "value", "probabilities", /sigmoid/],
    [
      "a row of logits",
      () => brierScore().update({ probabilities: tensor([[0.9, 0.8]]), labels }),
      "value",
      "probabilities",
      /softmax/,
    ],
    [
      "a tensor of logits",
      () => logLoss().update(wrong({ probabilities: tensor([0.5], [1], "logits"), labels })),
      "role",
      "probabilities",
      /softmax or sigmoid/,
    ],
    [
      "a label of 2 beside class 1 alone",
      () => brierScore().update({ probabilities: tensor([0.5]), labels: tensor([2]) }),
      "value",
      "labels",
      /0 or 1/,
    ],
    [
      "a class out of range",
      () => logLoss().update({ probabilities: tensor([[0.5, 0.5]]), labels: tensor([2]) }),
      "value",
      "labels",
      /0\.\.1/,
    ],
    ["no bin", () => expectedCalibrationError({ bins: 0 }), "option", "bins", /1/],
    ["a part that is none", () => brierScore({ part: wrong("bias") }), "option", "part", /reliability/],
    [
      "updates of one and of three classes",
      () =>
        brierScore()
          .update({ probabilities: tensor([0.5]), labels })
          .update({ probabilities: tensor([[0.5, 0.25, 0.25]]), labels })
          .compute(),
      "argument",
      "probabilities",
      /one number of classes/,
    ],
  ]);
});
