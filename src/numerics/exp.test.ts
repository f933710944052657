import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exp } from "./exp.js";
import { log } from "./log.js";
import { exactly, neighbor, oracleExp, ulpDistance } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

const OVERFLOW = 709.782712893384;
const UNDERFLOW = -745.1332191019411;
const NORMAL = -708.3964185322641;

describe("exp", () => {
  test.each([
    [0, 1],
    [-0, 1],
    [Infinity, Infinity],
    [-Infinity, 0],
    [NaN, NaN],
    [1000, Infinity],
    [-1000, 0],
    [Number.MAX_VALUE, Infinity],
    [-Number.MAX_VALUE, 0],
    [5e-324, 1],
    [1, Math.E],
    [neighbor(OVERFLOW, 1), Infinity],
    [UNDERFLOW, 5e-324],
    [neighbor(UNDERFLOW, -1), 0],
  ])("exp(%d) is %d", (x, expected) => {
    expect(exp(x)).toBe(expected);
  });

  test("is finite up to the threshold of overflow, normal down to that of underflow", () => {
    expect(exp(OVERFLOW)).toBeLessThan(Infinity);
    expect(exp(NORMAL)).toBeGreaterThanOrEqual(2.2250738585072014e-308);
    expect(exp(neighbor(NORMAL, -1))).toBeLessThan(2.2250738585072014e-308);
  });

  test("is within 0.52 ulp", () => {
    const points = [
      ...evenly(-2, 2, 2000),
      ...evenly(-708, 709.78, 2000),
      ...evenly(-745.1, -708, 1000), // subnormal results
      ...bothSigns(byMagnitude(1e-320, 1, 500)),
      ...withNeighbors([OVERFLOW - 1e-12, NORMAL, -708, 709, -0.0027, 0.0027]),
    ];
    expect(worst(exp, (x) => oracleExp(exactly(x)), points)).toSatisfy(below(0.52));
  });

  test("rises", () => {
    const x = fc.double({ min: -750, max: 710, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(exp, a, b) && rises(exp, a, neighbor(a, 1))));
  });

  test("is undone by log, as far as the steepness of exp allows", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (y) => {
        const x = log(y);
        expect(ulpDistance(exp(x), y)).toBeLessThanOrEqual(2 + Math.abs(x));
      }),
    );
  });
});
