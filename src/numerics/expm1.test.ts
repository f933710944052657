import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expm1 } from "./expm1.js";
import { log1p } from "./log1p.js";
import { exactly, neighbor, oracleExpm1, ulpDistance } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("expm1", () => {
  test.each([
    [0, 0],
    [-0, -0],
    [Infinity, Infinity],
    [-Infinity, -1],
    [NaN, NaN],
    [-1000, -1],
    [1000, Infinity],
    [5e-324, 5e-324],
    [-1e-310, -1e-310],
    [1e-20, 1e-20],
    [neighbor(709.782712893384, 1), Infinity],
  ])("expm1(%d) is %d", (x, expected) => {
    expect(expm1(x)).toBe(expected);
  });

  test("is within 0.65 ulp", () => {
    const points = [
      ...bothSigns(evenly(0, 0.125, 1500)),
      ...bothSigns(evenly(0.125, 1, 1500)),
      ...evenly(-41, 709.78, 1500),
      ...bothSigns(byMagnitude(1e-320, 0.1, 500)),
      ...bothSigns(withNeighbors([0.125, 0.0027, 36.7, 37.4, 40])),
    ];
    expect(worst(expm1, (x) => oracleExpm1(exactly(x)), points)).toSatisfy(below(0.65));
  });

  test("rises", () => {
    const x = fc.double({ min: -50, max: 710, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(expm1, a, b) && rises(expm1, a, neighbor(a, 1))));
  });

  test("undoes log1p", () => {
    fc.assert(
      fc.property(fc.double({ min: -0.5, max: 1, noNaN: true }), (x) => {
        expect(ulpDistance(expm1(log1p(x)), x)).toBeLessThanOrEqual(3);
      }),
    );
  });
});
