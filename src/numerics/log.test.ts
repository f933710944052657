import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exp } from "./exp.js";
import { log } from "./log.js";
import { exactly, neighbor, oracleLog } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("log", () => {
  test.each([
    [1, 0],
    [0, -Infinity],
    [-0, -Infinity],
    [Infinity, Infinity],
    [-Infinity, NaN],
    [-1, NaN],
    [-5e-324, NaN],
    [NaN, NaN],
    [2, Math.LN2],
    [10, Math.LN10],
    [5e-324, -744.4400719213812],
    [Number.MAX_VALUE, 709.782712893384],
  ])("log(%d) is %d", (x, expected) => {
    expect(log(x)).toBe(expected);
  });

  test("is within 0.52 ulp", () => {
    const points = [
      ...evenly(0.5, 2, 2500),
      ...evenly(0.99, 1.01, 1500),
      ...bothSigns(byMagnitude(2e-16, 0.01, 500)).map((x) => 1 + x),
      ...byMagnitude(5e-324, Number.MAX_VALUE, 1500),
      ...byMagnitude(5e-324, 2.3e-308, 500), // subnormal arguments
      // The edges of the table about 1, of its mantissas, and of the range.
      ...withNeighbors([1, 1 - 1 / 256, 1 + 1 / 128, 0.703125, 1.40625, 2.2250738585072014e-308, Math.E]),
      neighbor(Number.MAX_VALUE, -1),
    ];
    expect(worst(log, (x) => oracleLog(exactly(x)), points)).toSatisfy(below(0.52));
  });

  test("rises", () => {
    const x = fc.double({ min: 5e-324, max: 1e308, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(log, a, b) && rises(log, a, neighbor(a, 1))));
  });

  test("undoes exp", () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
        expect(Math.abs(log(exp(x)) - x)).toBeLessThanOrEqual(2 * Number.EPSILON * Math.max(1, Math.abs(x)));
      }),
    );
  });
});
