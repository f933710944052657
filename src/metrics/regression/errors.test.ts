import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { type Tensor, tensor, view } from "../../tensor/index.js";
import {
  explainedVariance,
  maxError,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  medianAbsoluteError,
  pinball,
  r2,
  rootMeanSquaredError,
} from "../index.js";

const of = (values: readonly number[], shape?: readonly number[]) => tensor(Float64Array.from(values), shape);
const pairs = fc.array(
  fc.tuple(
    fc.double({ min: -50, max: 50, noNaN: true }),
    fc.double({ min: -50, max: 50, noNaN: true }),
    fc.integer({ min: 1, max: 3 }),
  ),
  { minLength: 1, maxLength: 20 },
);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("mean errors", () => {
  it("are means of their terms, an integer weight being so many samples", () => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const repeated = drawn.flatMap(([p, t, count]) => Array.from({ length: count }, () => [p, t] as const));
        const fields = {
          predictions: of(drawn.map(([p]) => p)),
          targets: of(drawn.map(([, t]) => t)),
          weights: of(drawn.map(([, , count]) => count)),
        };
        const errors = repeated.map(([p, t]) => p - t);
        const near = (found: unknown, expected: number) =>
          expect(Math.abs((found as number) - expected)).toBeLessThanOrEqual(1e-12 * (1 + Math.abs(expected)));
        near(meanSquaredError().update(fields).compute(), mean(errors.map((e) => e * e)));
        near(rootMeanSquaredError().update(fields).compute(), Math.sqrt(mean(errors.map((e) => e * e))));
        near(meanAbsoluteError().update(fields).compute(), mean(errors.map(Math.abs)));
        near(
          pinball({ quantile: 0.2 }).update(fields).compute(),
          mean(errors.map((e) => (e > 0 ? 0.8 * e : -0.2 * e))),
        );
        near(maxError().update(fields).compute(), Math.max(...errors.map(Math.abs)));
      }),
    );
  });

  it("take a target of 0 for float64's epsilon where a share of it is asked", () => {
    const share = (p: number, t: number) =>
      meanAbsolutePercentageError()
        .update({ predictions: of([p]), targets: of([t]) })
        .compute();
    expect(share(1.5, 2)).toBe(0.25);
    expect(share(1.5, -2)).toBe(1.75);
    expect(share(2, 0)).toBe(2 / 2 ** -52);
  });
});

describe("medianAbsoluteError", () => {
  const median = (errors: readonly number[], weights?: readonly number[]) =>
    medianAbsoluteError()
      .update({ predictions: of(errors), targets: of(errors.map(() => 0)), ...(weights && { weights: of(weights) }) })
      .compute();

  it("is the middle error, or the mean of the two in the middle", () => {
    expect(median([3, -1, 2])).toBe(2);
    expect(median([4, 3, -1, 2])).toBe(2.5);
    expect(median([5])).toBe(5);
  });

  it("has half the weight on each side, up to the rounding of fractions", () => {
    expect(median([1, 2, 3], [1, 1, 2])).toBe(2.5);
    expect(median([1, 2, 3], [1, 1, 3])).toBe(3);
    expect(median([1, 2, 3, 4], [0.1, 0.2, 0.15, 0.15])).toBe(2.5);
  });

  it("with integer weights is that of so many samples", () => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const repeated = drawn.flatMap(([p, , count]) => new Array<number>(count).fill(p));
        expect(
          median(
            drawn.map(([p]) => p),
            drawn.map(([, , count]) => count),
          ),
        ).toBe(median(repeated));
      }),
    );
  });
});

describe("explained variance", () => {
  it("keeps its digits on data of a large mean", () => {
    const targets = Array.from({ length: 50 }, (_, i) => 1e9 + Math.sin(i));
    const predictions = targets.map((t, i) => t + 0.1 * Math.cos(i * 7));
    const shifted = { predictions: of(predictions.map((p) => p - 1e9)), targets: of(targets.map((t) => t - 1e9)) };
    const large = { predictions: of(predictions), targets: of(targets) };
    expect(r2().update(large).compute()).toBe(r2().update(shifted).compute());
    expect(explainedVariance().update(large).compute()).toBe(explainedVariance().update(shifted).compute());
  });

  it("forgives an offset that r2 does not", () => {
    const fields = { predictions: of([2, 3, 4]), targets: of([1, 2, 3]) };
    expect(explainedVariance().update(fields).compute()).toBe(1);
    expect(r2().update(fields).compute()).toBe(-0.5);
  });

  it("of targets that do not vary is 1 for no error and 0 for any", () => {
    const constant = (predictions: readonly number[]) => ({ predictions: of(predictions), targets: of([2, 2]) });
    expect(
      r2()
        .update(constant([2, 2]))
        .compute(),
    ).toBe(1);
    expect(
      r2()
        .update(constant([2, 3]))
        .compute(),
    ).toBe(0);
    expect(
      r2()
        .update({ predictions: of([2]), targets: of([2]) })
        .compute(),
    ).toBeNaN();
  });

  it("weighs outputs by the variance of their targets where it is asked", () => {
    const fields = { predictions: of([0, 0, 1, 30, 2, 60], [3, 2]), targets: of([0, 0, 1, 20, 2, 40], [3, 2]) };
    const raw = r2({ outputs: "raw" }).update(fields).compute() as Tensor;
    // The targets' sums of squares around their means are 2 and 800.
    const weighted = (2 * Number(raw.data[0]) + 800 * Number(raw.data[1])) / 802;
    expect(r2({ outputs: "variance" }).update(fields).compute()).toBeCloseTo(weighted, 14);
  });
});

describe("bad predictions are refused:", () => {
  const three = { predictions: of([1, 2, 3], [1, 3]), targets: of([1, 2, 3], [1, 3]) };
  const two = { predictions: of([1, 2], [1, 2]), targets: of([1, 2], [1, 2]) };
  refuses([
    [
      "another number of outputs",
      () => meanSquaredError({ outputs: "raw" }).update(three).update(two).compute(),
      "argument",
      "predictions",
      /one number of outputs/,
    ],
    [
      "another number of outputs, explained",
      () => r2({ outputs: "raw" }).update(three).update(two).compute(),
      "argument",
      "predictions",
      /one number of outputs/,
    ],
    [
      "shapes that only broadcast",
      () => meanSquaredError().update({ predictions: of([1, 2], [2, 1]), targets: of([1, 2]) }),
      "shape",
      "targets",
      /\[2, 1\]/,
    ],
    [
      "NaN",
      () => meanAbsoluteError().update({ predictions: of([1, Number.NaN]), targets: of([1, 2]) }),
      "value",
      "predictions",
      /NaN at \[1\]/,
    ],
    [
      "an infinite target",
      () => r2().update({ predictions: of([1]), targets: of([Number.POSITIVE_INFINITY]) }),
      "value",
      "targets",
      /finite/,
    ],
    [
      "class indices",
      () =>
        meanSquaredError().update(
          wrong({ predictions: of([1]), targets: view(Int32Array.of(1), [1], "classIndices", "int32") }),
        ),
      "role",
      "targets",
      /classIndices/,
    ],
    ["a quantile above 1", () => pinball({ quantile: 1.5 }), "option", "quantile", /at most 1/],
    [
      "outputs of a word it does not know",
      () => r2({ outputs: wrong("uniform_average") }),
      "option",
      "outputs",
      /"mean"/,
    ],
  ]);
});
