import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { absoluteError } from "./absolute-error.js";

const run = (predictions: number[], targets: number[]) =>
  absoluteError({ divideBy: { constant: 1 } }).valueAndGradients({
    predictions: tensor(Float64Array.from(predictions)),
    targets: tensor(Float64Array.from(targets)),
  });

describe("absoluteError", () => {
  it("is the magnitude of the residual, with a gradient of one size", () => {
    const { value, gradients } = run([1, -2, 1e-9], [3, -5, 0]);
    expect(value).toBe(5 + 1e-9);
    expect([...gradients.predictions.data]).toEqual([-1, 1, 1]);
  });

  it("has the gradient 0 at a residual of exactly 0", () => {
    expect(run([2], [2]).gradients.predictions.data[0]).toBeCloseTo(0, 300);
  });

  it.each([
    [Infinity, 1],
    [-Infinity, -1],
  ])("gives +∞ at a prediction of %d and keeps the gradient ±1", (prediction, slope) => {
    const { value, gradients, notes } = run([prediction], [0]);
    expect([value, gradients.predictions.data[0]]).toEqual([Infinity, slope]);
    expect(notes).toHaveLength(1);
  });

  it("gives NaN where prediction or target is NaN, with a note", () => {
    expect(run([NaN], [0])).toMatchObject({ value: NaN, notes: [{ code: "non-finite-input", field: "predictions" }] });
    expect(run([0], [NaN])).toMatchObject({ value: NaN, notes: [{ code: "non-finite-input", field: "targets" }] });
  });
});
