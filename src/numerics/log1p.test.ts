import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { log1p } from "./log1p.js";
import { exactly, neighbor, oracleLog1p } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("log1p", () => {
  test.each([
    [0, 0],
    [-0, -0],
    [-1, -Infinity],
    [Infinity, Infinity],
    [-Infinity, NaN],
    [-1.5, NaN],
    [NaN, NaN],
    [1, Math.LN2],
    [5e-324, 5e-324],
    [-1e-310, -1e-310],
    [1e-20, 1e-20],
    [Number.MAX_VALUE, 709.782712893384],
  ])("log1p(%d) is %d", (x, expected) => {
    expect(log1p(x)).toBe(expected);
  });

  test("is within 0.52 ulp", () => {
    const points = [
      ...evenly(-0.5, 1, 2500),
      ...bothSigns(evenly(0, 0.01, 1000)),
      ...bothSigns(byMagnitude(1e-320, 0.01, 1000)),
      ...byMagnitude(1e-16, 0.5, 500).map((x) => x - 1),
      ...byMagnitude(1, Number.MAX_VALUE, 1000),
      ...withNeighbors([1, 1 / 128, -1 / 256, -0.296875, 0.40625, 2.3e-16, -1.1e-16, 9007199254740992]),
    ];
    expect(worst(log1p, (x) => oracleLog1p(exactly(x)), points)).toSatisfy(below(0.52));
  });

  test("rises", () => {
    const x = fc.double({ min: -1, max: 1e308, minExcluded: true, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(log1p, a, b) && rises(log1p, a, neighbor(a, 1))));
  });

  test("lies below its tangent at 0", () => {
    fc.assert(fc.property(fc.double({ min: -1, noNaN: true }), (x) => log1p(x) <= x));
  });
});
