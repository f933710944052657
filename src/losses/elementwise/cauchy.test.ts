import { describe, expect, it } from "vitest";
import { barron } from "./barron.js";
import { cauchy } from "./cauchy.js";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";

describe("cauchy", () => {
  // mpmath, 50 digits.
  it.each([
    [1e-9, 1, 5e-19, 1e-9],
    [0.5, 0.3, 0.0783745522017658, 0.20930232558139533],
    [1e200, 2, 3675.8183826237537, 8e-200],
  ])("at a residual of %d with scale %d is %d with the slope −%d", (r, scale, loss, slope) => {
    const found = atResidual(cauchy({ scale }), r);
    expectClose(found.loss, loss, 3);
    expectClose(found.slope, -slope, 3);
  });

  it("is scale² times barron with alpha 0", () => {
    for (const r of [-40, -1, 0, 1e-6, 3, 1e10]) {
      const [own, general] = [atResidual(cauchy({ scale: 1.7 }), r), atResidual(barron({ alpha: 0, scale: 1.7 }), r)];
      expectClose(own.loss, 1.7 * 1.7 * general.loss);
      expectClose(own.slope, 1.7 * 1.7 * general.slope);
    }
  });

  it("pulls hardest at √2 scales", () => {
    const pull = (r: number) => -atResidual(cauchy({ scale: 3 }), r).slope;
    const peak = 3 * Math.SQRT2;
    expectClose(pull(peak), 3 / Math.SQRT2);
    expect(pull(peak * 1.01)).toBeLessThan(pull(peak));
    expect(pull(peak * 0.99)).toBeLessThan(pull(peak));
  });

  it("is exact at ±∞ and NaN", () => {
    expect(atResidual(cauchy(), Infinity)).toMatchObject({ loss: Infinity, slope: 0 });
    expect(atResidual(cauchy(), -Infinity)).toMatchObject({ loss: Infinity, slope: 0 });
    expect(atResidual(cauchy(), NaN)).toMatchObject({ loss: NaN, slope: NaN });
  });

  it("refuses a scale that is not above 0", () => refuses(cauchy, "scale", [0, -1, Infinity, NaN, "1", null]));
});
