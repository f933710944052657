import { describe, expect, it } from "vitest";
import { expRemainder } from "./exp-remainder.js";

describe("expRemainder", () => {
  // e^x − 1 − x in 60-digit arithmetic (mpmath), rounded once.
  it.each([
    [1e-200, 0],
    [1e-9, 5.000000001666667e-19],
    [-1e-9, 4.999999998333334e-19],
    [0.1, 0.005170918075647625],
    [-0.1, 0.0048374180359595734],
    [0.2499, 0.033997020565985796],
    [0.2501, 0.034053825649751346],
    [-0.2501, 0.028822906886971845],
    [1, 0.7182818284590452],
    [-30, 29.000000000000092],
  ])("at %d is %d", (x, wanted) => {
    expect(Math.abs(expRemainder(x) - wanted)).toBeLessThanOrEqual(1e-15 * wanted);
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
