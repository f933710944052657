import { describe, expect, it } from "vitest";
import { unitDeviance, unitDevianceSlope } from "./deviance.js";
import { expectClose } from "./element.test-helper.js";

describe("unitDeviance", () => {
  // mpmath, 50 digits: target, mean, power.
  it.each([
    [3, 2, 1, 0.4327906486489863],
    [3, 2, 2, 0.18906978378367123],
    [3, 2, 3, 0.08333333333333333],
    [3, 2, 1.5, 0.28572916317993213],
    [0, 2, 1.5, 5.656854249492381],
    [-1.5, 2, -0.5, 10.182337649086284],
    [3, 2, -0.5, 1.525618776939755],
    [3, 2, 0, 1],
    // The terms of the definition cancel to nothing here,
    [2, 2 + 2 ** -30, 1.7, 2.6696188937750103e-19],
    // and its denominators nearly vanish here.
    [3, 2, 1 + 1e-13, 0.4327906486489503],
    [3, 2, 2 - 1e-13, 0.1890697837836868],
    [1e6, 1e-3, 1.2, 39022020.38470216],
  ])("of %d from %d at power %d is %d", (target, mean, power, truth) => {
    expectClose(unitDeviance(target, mean, power), truth, 10);
  });

  it("is 0 with the slope 0 at the mean, at every power", () => {
    for (const power of [-2, 0, 1, 1.3, 2, 3, 10]) {
      expect([unitDeviance(0.7, 0.7, power), unitDevianceSlope(0.7, 0.7, power)]).toEqual([0, 0]);
    }
  });

  it("goes on without a step where series and difference meet, at L = ±1 and at twice and half the mean", () => {
    for (const power of [1, 1.5, 2, 3]) {
      for (const ratio of [Math.E, 1 / Math.E, 2, 0.5]) {
        const [below, above] = [ratio * (1 - 1e-14), ratio * (1 + 1e-14)].map((y) => unitDeviance(y, 1, power));
        expect(Math.abs(above! - below!) / below!).toBeLessThan(2e-13);
      }
    }
  });
});
