import { describe, expect, it } from "vitest";
import { atResidual, expectClose } from "./element.test-helper.js";
import { logCosh } from "./log-cosh.js";

describe("logCosh", () => {
  // mpmath, 50 digits. |r| + log1p(e^−2|r|) − log 2 alone gives 0 in the first row.
  it.each([
    [1e-9, 5e-19, 1e-9],
    [0.001, 4.999999166666889e-7, 0.0009999996666668],
    [0.5, 0.12011450695827752, 0.46211715726000974],
    [1, 0.4337808304830272, 0.7615941559557649],
    [3, 2.309328504577785, 0.9950547536867305],
    [40, 39.30685281944005, 1],
    [1e4, 9999.30685281944, 1],
    [Infinity, Infinity, 1],
  ])("at ±%d is %d with the slope ∓%d", (r, loss, slope) => {
    for (const sign of [1, -1]) {
      const found = atResidual(logCosh(), sign * r);
      expectClose(found.loss, loss, 3);
      expectClose(found.slope, -sign * slope, 2);
    }
  });

  it("goes on without a step where its two forms meet", () => {
    const [before, after] = [1 - 2 ** -53, 1].map((r) => atResidual(logCosh(), r).loss);
    expectClose(after!, before!, 4);
  });

  it("is 0 with the gradient 0 at 0, and NaN at NaN", () => {
    expect(atResidual(logCosh(), 0)).toEqual({ loss: 0, slope: 0, notes: [] });
    expect(atResidual(logCosh(), NaN)).toEqual({ loss: NaN, slope: NaN, notes: ["non-finite-input"] });
  });
});
