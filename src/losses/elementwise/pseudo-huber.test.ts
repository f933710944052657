import { describe, expect, it } from "vitest";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";
import { huber } from "./huber.js";
import { pseudoHuber } from "./pseudo-huber.js";

describe("pseudoHuber", () => {
  // mpmath, 50 digits; the plain form δ²(h − 1) gives 0 in the first row.
  it.each([
    [1e-9, 0.5, 5e-19],
    [3, 2, 3.2111025509279787],
  ])("at a residual of %d with delta %d is %d", (r, delta, truth) => {
    expectClose(atResidual(pseudoHuber({ delta }), r).loss, truth, 2);
  });

  it("has the slope 1/√2 of its largest at delta", () => {
    expectClose(atResidual(pseudoHuber({ delta: 3 }), -3).slope, 3 / Math.SQRT2, 2);
  });

  it("has a slope that is never steeper than huber's", () => {
    for (const r of [-1e20, -7, -0.3, 0, 1e-5, 1, 3, 1e9]) {
      const [smooth, kinked] = [atResidual(pseudoHuber({ delta: 2 }), r), atResidual(huber({ delta: 2 }), r)];
      expect(Math.abs(smooth.slope)).toBeLessThanOrEqual(Math.abs(kinked.slope));
      expect(smooth.loss).toBeLessThanOrEqual(kinked.loss);
    }
  });

  it("goes on without a step where the square alone remains", () => {
    const [before, after] = [1e8, 1e8 * (1 + 2 ** -52)].map((r) => atResidual(pseudoHuber(), r));
    expectClose(after!.loss, before!.loss, 4);
    expectClose(after!.slope, before!.slope, 1);
  });

  it("does not overflow on the way to a finite loss, and is exact at ±∞", () => {
    expect(atResidual(pseudoHuber({ delta: 3 }), 1e200)).toMatchObject({ loss: 3e200, slope: -3 });
    expect(atResidual(pseudoHuber({ delta: 3 }), Infinity)).toMatchObject({ loss: Infinity, slope: -3 });
    expect(atResidual(pseudoHuber({ delta: 3 }), -Infinity)).toMatchObject({ loss: Infinity, slope: 3 });
    expect(atResidual(pseudoHuber(), NaN)).toMatchObject({ loss: NaN, slope: NaN, notes: ["non-finite-input"] });
  });

  it("refuses a delta that is not above 0", () => refuses(pseudoHuber, "delta", [0, -1, Infinity, NaN, "1", null]));
});
