import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { absoluteError } from "./absolute-error.js";
import { at, atResidual, expectClose, refuses } from "./element.test-helper.js";
import { laplaceNll } from "./laplace-nll.js";

describe("laplaceNll", () => {
  it("is the absolute error at a scale of 1, with the gradient 0 at 0", () => {
    for (const r of [-3, 0, 1e-300, 7]) {
      const { loss, slopes } = at(laplaceNll(), { predictions: 0, targets: r, scale: 1 });
      expect({ loss, slope: slopes.predictions }).toEqual({
        loss: Math.abs(r),
        slope: atResidual(absoluteError(), r).slope,
      });
    }
  });

  it("integrates to 1 with full, and log 2 is what it adds", () => {
    const [bare, full] = [false, true].map((full) =>
      at(laplaceNll({ full }), { predictions: 1, targets: 3, scale: 0.5 }),
    );
    expectClose(full!.loss - bare!.loss, Math.LN2);
    expect(full!.slopes).toEqual(bare!.slopes);
    let mass = 0;
    for (let x = -20; x <= 20; x += 1 / 64)
      mass += Math.exp(-at(laplaceNll({ full: true }), { predictions: 0, targets: x, scale: 0.5 }).loss) / 64;
    expect(mass).toBeCloseTo(1, 3);
  });

  it("has no gradient for a scale that equals the residual, and 1/b at a residual of 0", () => {
    expect(at(laplaceNll(), { predictions: 1, targets: 4, scale: 3 }).slopes.scale).toBe(0);
    expect(at(laplaceNll(), { predictions: 4, targets: 4, scale: 0.5 }).slopes).toEqual({ predictions: 0, scale: 2 });
  });

  it("takes one scale for all, and sums its gradient", () => {
    const batch = { predictions: tensor(Float64Array.of(0, 0)), targets: tensor(Float64Array.of(1, -3)) };
    const { value, gradients } = laplaceNll().valueAndGradients({ ...batch, scale: tensor(Float64Array.of(2), []) });
    expectClose(value, Math.LN2 + 1);
    expect([gradients.scale.shape, Number(gradients.scale.data[0])]).toEqual([[], 0]);
  });

  it.each([
    [Infinity, 2, Infinity, -0.5, -Infinity],
    [-Infinity, 2, Infinity, 0.5, -Infinity],
    [NaN, 2, NaN, NaN, NaN],
    [1, NaN, NaN, NaN, NaN],
  ])("at a residual of %d with scale %d is %d with the slopes %d and %d", (r, scale, loss, slope, spread) => {
    const found = at(laplaceNll(), { predictions: 0, targets: r, scale });
    expect(found).toMatchObject({ loss, slopes: { predictions: slope, scale: spread } });
    expect(found.notes).toHaveLength(1);
  });

  it("refuses a scale that is not above 0, and options out of range", () => {
    for (const scale of [0, -1, Infinity]) {
      expect(() => at(laplaceNll(), { predictions: 0, targets: 1, scale })).toThrow(
        expect.objectContaining({ code: "value", field: "scale", index: [0] }),
      );
    }
    refuses(laplaceNll, "full", [1, "true", null]);
  });
});
