import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { atan } from "./atan.js";
import { exactly, oracleAtan } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("atan", () => {
  test.each([
    [0, 0],
    [-0, -0],
    [Infinity, Math.PI / 2],
    [-Infinity, -Math.PI / 2],
    [NaN, NaN],
    [1, Math.PI / 4],
    [5e-324, 5e-324],
    [-1e-310, -1e-310],
    [1e300, Math.PI / 2],
  ])("atan(%d) is %d", (x, expected) => {
    expect(atan(x)).toBe(expected);
  });

  test("is within 0.6 ulp", () => {
    const points = [
      ...bothSigns(evenly(0, 2, 2000)),
      ...bothSigns(byMagnitude(0.05, 40, 1500)),
      ...bothSigns(byMagnitude(1e-320, 1e300, 1000)),
      ...bothSigns(withNeighbors([0.0625, 0.06640625, 0.5, 1, 2, 31, 32])),
    ];
    expect(worst(atan, (x) => oracleAtan(exactly(x)), points)).toSatisfy(below(0.6));
  });

  test("rises and is odd", () => {
    const x = fc.double({ noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(atan, a, b) && Object.is(atan(-a), -atan(a))));
  });

  test("of x and of 1/x make a right angle", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
        expect(Math.abs(atan(x) + atan(1 / x) - Math.PI / 2)).toBeLessThanOrEqual(2 * Number.EPSILON);
      }),
    );
  });
});
