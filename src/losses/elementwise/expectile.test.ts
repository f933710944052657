import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";
import { expectile } from "./expectile.js";
import { squaredError } from "./squared-error.js";

describe("expectile", () => {
  it("weighs the sides of the squared residual by τ and 1 − τ, without a factor 1/2", () => {
    expect(atResidual(expectile({ expectile: 0.75 }), 2)).toMatchObject({ loss: 3, slope: -3 });
    expect(atResidual(expectile({ expectile: 0.75 }), -2)).toMatchObject({ loss: 1, slope: 1 });
    expect(atResidual(expectile(), 0)).toEqual({ loss: 0, slope: 0, notes: [] });
  });

  it("is half of the squared error by default", () => {
    for (const r of [-3, -1e-9, 0, 7]) {
      const [half, whole] = [atResidual(expectile(), r), atResidual(squaredError(), r)];
      expect([2 * half.loss, 2 * half.slope]).toEqual([whole.loss, whole.slope]);
    }
  });

  it("has no gradient at the expectile of its targets", () => {
    // Of 0 and 1 with τ = 0.8: 0.8 (1 − e) = 0.2 e.
    const batch = { predictions: tensor(Float64Array.of(0.8, 0.8)), targets: tensor(Float64Array.of(0, 1)) };
    const { data } = expectile({ expectile: 0.8 }).valueAndGradients(batch).gradients.predictions;
    expect(Math.abs(Number(data[0]) + Number(data[1]))).toBeLessThan(1e-15);
  });

  it("is exact at ±∞ and NaN", () => {
    expect(atResidual(expectile({ expectile: 0.1 }), Infinity)).toMatchObject({ loss: Infinity, slope: -Infinity });
    expect(atResidual(expectile({ expectile: 0.1 }), -Infinity)).toMatchObject({ loss: Infinity, slope: Infinity });
    expect(atResidual(expectile(), NaN)).toMatchObject({ loss: NaN, slope: NaN });
    expectClose(atResidual(expectile({ expectile: 0.1 }), -1e-100).loss, 0.9e-200);
  });

  it("refuses what lies outside (0, 1)", () => refuses(expectile, "expectile", [0, 1, -0.1, 1.1, NaN, "0.5", null]));
});
