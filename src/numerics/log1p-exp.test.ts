import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { log1pExp } from "./log1p-exp.js";
import { exactly, neighbor, oracleLog1pExp } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("log1pExp", () => {
  test.each([
    [0, Math.LN2],
    [-0, Math.LN2],
    [Infinity, Infinity],
    [-Infinity, 0],
    [NaN, NaN],
    [41.5, 41.5],
    [Number.MAX_VALUE, Number.MAX_VALUE],
    [-1000, 0],
    [-745.1332191019411, 5e-324],
  ])("log1pExp(%d) is %d", (x, expected) => {
    expect(log1pExp(x)).toBe(expected);
  });

  test("is within 0.55 ulp", () => {
    const points = [
      ...evenly(-5, 5, 2000),
      ...evenly(-41, 41, 2000),
      ...evenly(-745.1, -18, 1000),
      ...evenly(35, 1000, 300),
      ...bothSigns(byMagnitude(1e-20, 1, 300)),
      ...bothSigns(withNeighbors([20, 36.0437, 36.7368, 40])),
    ];
    expect(worst(log1pExp, (x) => oracleLog1pExp(exactly(x)), points)).toSatisfy(below(0.55));
  });

  test("rises", () => {
    const x = fc.double({ min: -750, max: 1e6, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(log1pExp, a, b) && rises(log1pExp, a, neighbor(a, 1))));
  });

  test("lies above both of its asymptotes", () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => log1pExp(x) >= Math.max(x, 0)));
  });
});
