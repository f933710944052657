import { describe, expect, it } from "vitest";
import { expRemainder } from "./exp-remainder.js";

describe("expRemainder", () => {
  // e^x − 1 − x to 17 digits, by 40-digit arithmetic (mpmath).
  it.each([
    [1e-200, 0],
    [1e-9, 5.0000000016666667e-19],
    [-1e-9, 4.9999999983333333e-19],
    [0.1, 5.1709180756476248e-3],
    [-0.1, 4.8374180359595732e-3],
    [0.2499, 0.033997020565985798],
    [0.2501, 0.034053825649751348],
    [-0.2501, 0.028822906886971844],
    [1, 0.71828182845904524],
    [-30, 29.000000000000094],
  ])("at %d is %d", (x, wanted) => {
    expect(Math.abs(expRemainder(x) - wanted)).toBeLessThanOrEqual(2e-15 * wanted);
  });

  it("has its limits", () => {
    expect([expRemainder(0), expRemainder(Infinity), expRemainder(-Infinity), expRemainder(NaN)]).toEqual([
      0,
      Infinity,
      Infinity,
      NaN,
    ]);
  });
});
