import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { squaredError } from "./squared-error.js";

const predictions = tensor(Float64Array.of(1, -2, 3, 0.5, 0, 4), [2, 3]);
const targets = tensor(Float64Array.of(0, -2, 1, 1, 2, 1), [2, 3]);
const squares = [1, 0, 4, 0.25, 4, 9];

describe("squaredError", () => {
  it("is the square of the residual, with the gradient −2 r, over all elements", () => {
    const { value, numerator, denominator, gradients } = squaredError().valueAndGradients({ predictions, targets });
    expect([value, numerator, denominator]).toEqual([18.25 / 6, 18.25, 6]);
    expect([...squaredError().perUnit({ predictions, targets }).data]).toEqual(squares);
    const slopes = [2, 0, 4, -1, -4, 6].map((slope) => slope * (1 / 6) + 0);
    expect([...gradients.predictions.data].map((slope) => Number(slope) + 0)).toEqual(slopes);
  });

  it("is the squared norm of each sample's residual under per: sample, and weights stay out of the denominator", () => {
    const perSample = squaredError({ per: "sample" });
    expect(perSample.evaluate({ predictions, targets })).toMatchObject({ numerator: 18.25, denominator: 2 });
    const weights = tensor(Float64Array.of(2, 2, 2, 0.5, 0.5, 0.5), [2, 3]);
    expect(perSample.evaluate({ predictions, targets, weights })).toMatchObject({ numerator: 16.625, denominator: 2 });
  });

  it("is a plain sum under divideBy: { constant: 1 }", () => {
    const { value, denominator } = squaredError({ divideBy: { constant: 1 } }).evaluate({ predictions, targets });
    expect([value, denominator]).toEqual([18.25, 1]);
  });

  it("divides by a weight sum below 1 as it is, never by 1", () => {
    const weights = tensor(Float64Array.of(0.25, 0, 0.25, 0, 0, 0), [2, 3]);
    expect(squaredError().evaluate({ predictions, targets, weights })).toMatchObject({ value: 2.5, denominator: 0.5 });
  });

  it("looks at what was counted, also when a constant divides: nothing is nothing", () => {
    const mask = tensor(new Uint8Array(6), [2, 3]);
    const batch = { predictions, targets, mask };
    const objective = (onEmpty: "zero" | "nan") => squaredError({ divideBy: { constant: 7 }, onEmpty });
    expect(objective("zero").evaluate(batch)).toMatchObject({ value: 0, denominator: 0 });
    expect(objective("nan").evaluate(batch).value).toBeNaN();
  });

  it("forms each gradient as g · f with f = w/D, or w/(D_s·S) inside sequences, and rounds once", () => {
    const weights = tensor(Float64Array.of(0.1, 0.7, 0.3, 1.1, 0.9, 0.2), [2, 3]);
    const w = [...weights.data].map(Number);
    const g = [...predictions.data].map((prediction, i) => 2 * (Number(prediction) - Number(targets.data[i])));
    const D = squaredError().denominator({ predictions, targets, weights }).value;
    const flat = squaredError().valueAndGradients({ predictions, targets, weights }).gradients.predictions;
    expect([...flat.data].map((slope) => Number(slope) + 0)).toEqual(g.map((slope, i) => slope * (w[i]! / D)));
    const inner = [0, 3].map((start) => {
      const row = { predictions: tensor(new Float64Array(3)), targets: tensor(new Float64Array(3)) };
      return squaredError().denominator({ ...row, weights: tensor(Float64Array.from(w.slice(start, start + 3))) })
        .value;
    });
    const nested = squaredError({ per: "sequence" }).valueAndGradients({ predictions, targets, weights });
    expect([...nested.gradients.predictions.data].map((slope) => Number(slope) + 0)).toEqual(
      g.map((slope, i) => slope * (w[i]! / (inner[Math.floor(i / 3)]! * 2))),
    );
  });

  it("gives targets no gradient", () => {
    expect(Object.keys(squaredError().valueAndGradients({ predictions, targets }).gradients)).toEqual(["predictions"]);
  });

  it.each([
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ])("gives +∞ at a prediction of %d, with a gradient of its sign", (prediction, slope) => {
    const batch = { predictions: tensor(Float64Array.of(prediction)), targets: tensor(Float64Array.of(0)) };
    const { value, gradients, notes } = squaredError().valueAndGradients(batch);
    expect([value, gradients.predictions.data[0]]).toEqual([Number.POSITIVE_INFINITY, slope]);
    expect(notes).toHaveLength(1);
  });

  it("gives NaN with a note that names field and place, once for all units", () => {
    const batch = { predictions: tensor(Float64Array.of(1, NaN, NaN)), targets: tensor(Float64Array.of(0, 0, 0)) };
    const { value, gradients, notes } = squaredError().valueAndGradients(batch);
    expect(value).toBeNaN();
    expect([...gradients.predictions.data]).toEqual([2 / 3, NaN, NaN]);
    expect(notes).toEqual([
      expect.objectContaining({ code: "non-finite-input", field: "predictions", count: 2, unit: [1] }),
    ]);
  });

  it("treats each element of a flat batch as a sequence and a sample of its own, without segment ids", () => {
    const batch = { predictions: tensor(Float64Array.of(1, 3)), targets: tensor(Float64Array.of(0, 0)) };
    const weights = tensor(Float64Array.of(1, 3));
    expect(squaredError({ per: "sequence" }).evaluate({ ...batch, weights })).toMatchObject({
      value: 5,
      denominator: 2,
    });
    expect(squaredError({ per: "sample" }).evaluate({ ...batch, weights })).toMatchObject({ value: 7, denominator: 4 });
  });

  it("says in words when weights divide and when they do not", () => {
    expect(squaredError().describe()).toMatch(/weights enter the denominator/);
    expect(squaredError({ divideBy: "count" }).describe()).toMatch(/divided by their count/);
    expect(squaredError({ divideBy: { constant: 5 } }).describe()).toMatch(/divided by 5/);
    expect(squaredError({ per: "sequence" }).describe()).toMatch(/weighted mean .* inside each sequence/);
    expect(squaredError({ onEmpty: "throw" }).describe()).toMatch(/an error/);
  });

  it("says in words that samples are counted, not weighed", () => {
    expect(squaredError({ per: "sample" }).describe()).toMatch(/sum .* inside each sample/);
    expect(squaredError({ per: "sample" }).describe()).toMatch(/weight/);
  });
});
