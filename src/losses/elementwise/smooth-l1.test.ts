import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { absoluteError } from "./absolute-error.js";
import { huber } from "./huber.js";
import { smoothL1 } from "./smooth-l1.js";

const batchOf = (residual: number) => ({
  predictions: tensor(Float64Array.of(0)),
  targets: tensor(Float64Array.of(residual)),
});

describe("smoothL1", () => {
  it("is huber divided by its delta", () => {
    // Powers of two divide without rounding, subnormal squares aside, so that the bits must agree.
    const residuals = fc.double({ min: -100, max: 100, noNaN: true }).filter((r) => Math.abs(r) > 1e-150);
    fc.assert(
      fc.property(residuals, fc.constantFrom(0.25, 0.5, 1, 2, 4), (r, beta) => {
        const smooth = smoothL1({ beta }).valueAndGradients(batchOf(r));
        const scaled = huber({ delta: beta }).valueAndGradients(batchOf(r));
        expect(smooth.value).toBe(scaled.value / beta);
        expect(smooth.gradients.predictions.data[0]).toBe(Number(scaled.gradients.predictions.data[0]) / beta);
      }),
    );
  });

  it("is the absolute error for beta 0, with the gradient 0 at 0", () => {
    for (const r of [-2, -1e-300, 0, 1e-300, 5]) {
      const smooth = smoothL1({ beta: 0 }).valueAndGradients(batchOf(r));
      const absolute = absoluteError().valueAndGradients(batchOf(r));
      expect(smooth.value).toBe(absolute.value);
      expect(smooth.gradients.predictions.data).toEqual(absolute.gradients.predictions.data);
    }
  });

  it("has slope ±1 far out whatever beta is, and at ±∞", () => {
    for (const [r, slope] of [
      [50, -1],
      [-50, 1],
      [Infinity, -1],
      [-Infinity, 1],
    ] as const) {
      const { value, gradients } = smoothL1({ beta: 0.3 }).valueAndGradients(batchOf(r));
      expect(value).toBe(Math.abs(r) - 0.15);
      expect(gradients.predictions.data[0]).toBe(slope);
    }
  });

  it("gives NaN at NaN, with a note", () => {
    const { value, notes } = smoothL1().evaluate(batchOf(NaN));
    expect([value, notes.length]).toEqual([NaN, 1]);
  });

  it.each([-1, Infinity, NaN, "1", null])("refuses beta %s", (beta) => {
    expect(() => smoothL1({ beta: beta as number })).toThrow(
      expect.objectContaining({ code: "option", field: "beta" }),
    );
  });
});
