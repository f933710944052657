import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lgamma } from "./lgamma.js";
import { log } from "./log.js";
import { exactly, neighbor, oracleLgamma } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, withNeighbors, worst } from "./samples.test-helper.js";

describe("lgamma", () => {
  test.each([
    [1, 0],
    [2, 0],
    [0, Infinity],
    [-0, Infinity],
    [Infinity, Infinity],
    [-Infinity, NaN],
    [-0.5, NaN],
    [NaN, NaN],
    [3, Math.LN2],
    [2.5599833278516383e305, Number.MAX_VALUE],
    [neighbor(2.5599833278516383e305, 1), Infinity],
    [5e-324, 744.4400719213812],
  ])("lgamma(%d) is %d", (x, expected) => {
    expect(lgamma(x)).toBe(expected);
  });

  test("is within 3 ulp", () => {
    const points = [
      ...evenly(0, 3, 1200),
      ...evenly(3, 12, 600),
      ...byMagnitude(1e-320, 0.5, 200),
      ...byMagnitude(10, 2.55e305, 400),
      ...withNeighbors([0.5, 1.4616321449683622, 1.5, 2.5, 3.5, 9.5, 10, 4503599627370496]),
    ];
    expect(worst(lgamma, (x) => oracleLgamma(exactly(x)), points)).toSatisfy(below(3));
  });

  test("keeps its relative error next to the zeros at 1 and 2", () => {
    const steps = [...bothSigns(byMagnitude(3e-16, 0.1, 200)), neighbor(1, 1) - 1];
    const points = steps.flatMap((step) => [1 + step, 2 + step]);
    expect(worst(lgamma, (x) => oracleLgamma(exactly(x)), points)).toSatisfy(below(3));
  });

  test("is within 1 ulp from 10 on", () => {
    const points = [...evenly(10, 200, 300), ...byMagnitude(200, 2.55e305, 300)];
    expect(worst(lgamma, (x) => oracleLgamma(exactly(x)), points)).toSatisfy(below(1));
  });

  test("satisfies log Γ(x + 1) = log Γ(x) + log x", () => {
    // From 1/2 on, where x + 1 is x + 1 but for a rounding that log Γ barely feels.
    fc.assert(
      fc.property(fc.double({ min: 0.5, max: 1e6, noNaN: true }), (x) => {
        const left = lgamma(x + 1);
        const right = lgamma(x) + log(x);
        expect(Math.abs(left - right)).toBeLessThanOrEqual(8 * Number.EPSILON * Math.max(1, x, left));
      }),
    );
  });
});
