import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { cosineDistance } from "./cosine-distance.js";
import { expectClose, refuses } from "./element.test-helper.js";

const run = (x: number[], y: number[], eps = 1e-8) => {
  const { value, gradients, notes } = cosineDistance({ eps }).valueAndGradients({
    predictions: tensor(Float64Array.from(x), [x.length]),
    targets: tensor(Float64Array.from(y), [y.length]),
  });
  return { loss: value, slopes: [...gradients.predictions.data].map((slope) => Number(slope) + 0), notes };
};

describe("cosineDistance", () => {
  it("is 0, 1 and 2 for the same, right and opposite directions, whatever the lengths", () => {
    expect(run([3, 4], [0.3, 0.4]).loss).toBeLessThan(1e-31);
    expectClose(run([1, 2], [-2e150, 1e150]).loss, 1, 2);
    expectClose(run([3, 4], [-6e-6, -8e-6]).loss, 2, 2);
    expectClose(run([1e200, 1e200], [1e-5, 0]).loss, 1 - Math.SQRT1_2, 4);
  });

  it("keeps the digits of small angles, in loss and gradient", () => {
    const { loss, slopes } = run([1, 1e-9], [1, 0]);
    expectClose(loss, 5e-19, 4);
    // sin θ at right angles to x, in the direction away from the target.
    expectClose(slopes[1]!, 1e-9, 4);
    expect(Math.abs(slopes[0]!)).toBeLessThan(2e-18);
  });

  it("has a gradient at right angles to the prediction, that shrinks with its length", () => {
    const [x, y] = [
      [1, -2, 0.5],
      [0.3, 1, 2],
    ];
    const one = run(x, y);
    const ten = run(
      x.map((entry) => 10 * entry),
      y,
    );
    expect(one.slopes.reduce((sum, slope, d) => sum + slope * x[d]!, 0)).toBeCloseTo(0, 15);
    for (const [d, slope] of one.slopes.entries()) expectClose(ten.slopes[d]!, slope / 10, 20);
  });

  it("clamps norms in the value and lets the gradient pass", () => {
    // ‖x‖ = 0.5 counts as 1: cos = 0.5 · 0.6, x/‖x‖ = [1, 0].
    const { loss, slopes } = run([0.5, 0], [0.6, 0.8], 1);
    expectClose(loss, 0.7);
    expectClose(slopes[0]!, 0.3 - 0.6);
    expectClose(slopes[1]!, -0.8);
  });

  it("is 1 for a vector of 0, with the gradient of a step towards the target over eps", () => {
    expect(run([0, 0], [3, 4])).toEqual({
      loss: 1,
      slopes: [expect.closeTo(-6e7, 3), expect.closeTo(-8e7, 3)],
      notes: [],
    });
    expect(run([3, 4], [0, 0])).toEqual({ loss: 1, slopes: [0, 0], notes: [] });
  });

  it("has vectors as units: the leading axes, of which mask and weights are", () => {
    const predictions = tensor(Float64Array.of(1, 0, NaN, 0, 0, 1), [3, 2]);
    const targets = tensor(Float64Array.of(0, 1, 1, 0, 0, 1), [3, 2]);
    const mask = tensor(Uint8Array.of(1, 0, 1));
    const weights = tensor(Float64Array.of(3, 1, 1));
    const objective = cosineDistance();
    const { value, denominator } = objective.evaluate({ predictions, targets, mask, weights });
    expect([value, denominator]).toEqual([0.75, 4]);
    expect(objective.perUnit({ predictions, targets, mask, weights })).toMatchObject({ shape: [3] });
    expect(() => objective.evaluate({ predictions, targets, mask: tensor(new Uint8Array(6), [3, 2]) })).toThrow(
      expect.objectContaining({ code: "shape", field: "mask" }),
    );
    expect(objective.describe()).toContain("a unit is a vector");
  });

  it("gives NaN for what is not finite, with a note", () => {
    for (const bad of [NaN, Infinity]) {
      const { loss, slopes, notes } = run([bad, 1], [1, 0]);
      expect([loss, slopes[0], notes[0]?.code]).toEqual([NaN, NaN, "non-finite-input"]);
    }
  });

  it("refuses vectors of different length, and an eps below 0", () => {
    expect(() => run([1, 2], [1, 2, 3])).toThrow(expect.objectContaining({ code: "shape", field: "targets" }));
    refuses(cosineDistance, "eps", [-1, Infinity, NaN, "1", null]);
  });
});
