import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { absoluteError } from "./absolute-error.js";
import { huber } from "./huber.js";
import { squaredError } from "./squared-error.js";

const batchOf = (residual: number) => ({
  predictions: tensor(Float64Array.of(0)),
  targets: tensor(Float64Array.of(residual)),
});
const residuals = fc.double({ min: -1e3, max: 1e3, noNaN: true });

describe("huber", () => {
  it("is half of the squared error where delta is beyond every residual", () => {
    fc.assert(
      fc.property(residuals, (r) => {
        const [loss, square] = [huber({ delta: 1e4 }), squaredError()].map((o) => o.valueAndGradients(batchOf(r)));
        expect(loss!.value).toBe(square!.value / 2);
        expect(loss!.gradients.predictions!.data[0]).toBe(Number(square!.gradients.predictions!.data[0]) / 2);
      }),
    );
  });

  it("is delta times the absolute error, up to delta²/2, where delta is small", () => {
    const delta = 1e-6;
    fc.assert(
      fc.property(
        residuals.filter((r) => Math.abs(r) > 1e-5),
        (r) => {
          const loss = huber({ delta }).valueAndGradients(batchOf(r));
          const absolute = absoluteError().valueAndGradients(batchOf(r));
          expect(Math.abs(loss.value / delta - absolute.value)).toBeLessThanOrEqual(delta);
          expect(loss.gradients.predictions.data[0]).toBe(delta * Number(absolute.gradients.predictions.data[0]));
        },
      ),
    );
  });

  it("is continuous with its slope at delta", () => {
    for (const r of [2, 2 * (1 + 2 ** -52)]) {
      const { value, gradients } = huber({ delta: 2 }).valueAndGradients(batchOf(r));
      expect(value).toBeCloseTo(2, 12);
      expect(gradients.predictions.data[0]).toBe(-2);
    }
  });

  it("keeps an outlier's pull at delta, also at ±∞", () => {
    for (const [r, slope] of [
      [1e300, -3],
      [Infinity, -3],
      [-Infinity, 3],
    ] as const) {
      const { value, gradients } = huber({ delta: 3 }).valueAndGradients(batchOf(r));
      expect(value).toBe(3 * (Math.abs(r) - 1.5));
      expect(gradients.predictions.data[0]).toBe(slope);
    }
  });

  it("does not overflow on the way to a finite loss", () => {
    expect(huber().evaluate(batchOf(1e200)).value).toBe(1e200);
  });

  it("gives NaN at NaN, with a note", () => {
    const { value, notes, gradients } = huber().valueAndGradients(batchOf(NaN));
    expect([value, gradients.predictions.data[0], notes.length]).toEqual([NaN, NaN, 1]);
  });

  it.each([0, -1, Infinity, NaN, "1", null])("refuses delta %s", (delta) => {
    expect(() => huber({ delta: delta as number })).toThrow(
      expect.objectContaining({ code: "option", field: "delta" }),
    );
  });
});
