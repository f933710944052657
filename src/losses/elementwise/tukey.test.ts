import { describe, expect, it } from "vitest";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";
import { tukey } from "./tukey.js";

describe("tukey", () => {
  // mpmath, 50 digits.
  it.each([
    [1e-9, 1, 5e-19, 1e-9],
    [0.9999, 1, 0.16666666666533353, 3.9992000499981193e-8],
    [3, 4.685, 2.907028173520918, 1.0441681163639882],
  ])("at a residual of %d with cutoff %d is %d with the slope −%d", (r, cutoff, loss, slope) => {
    const found = atResidual(tukey({ cutoff }), r);
    expectClose(found.loss, loss, 2);
    expectClose(found.slope, -slope, 3);
  });

  it("has no step, in loss or slope, at the cutoff", () => {
    for (const r of [3 * (1 - 2 ** -53), 3, 3 * (1 + 2 ** -52)]) {
      const { loss, slope } = atResidual(tukey({ cutoff: 3 }), r);
      expectClose(loss, 1.5, 1);
      expect(slope).toBeCloseTo(0, 29);
    }
  });

  it("costs a constant and pulls nowhere beyond, also at ±∞", () => {
    for (const r of [4, -1e300, Infinity, -Infinity]) {
      expect(atResidual(tukey({ cutoff: 3 }), r)).toEqual({ loss: 1.5, slope: 0, notes: [] });
    }
  });

  it("gives NaN at NaN, not the constant", () => {
    expect(atResidual(tukey(), NaN)).toEqual({ loss: NaN, slope: NaN, notes: ["non-finite-input"] });
  });

  it("refuses a cutoff that is not above 0", () => refuses(tukey, "cutoff", [0, -1, Infinity, NaN, "1", null]));
});
