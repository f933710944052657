import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exactly, neighbor, oracleSigmoid } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";
import { sigmoid } from "./sigmoid.js";

describe("sigmoid", () => {
  test.each([
    [0, 0.5],
    [-0, 0.5],
    [Infinity, 1],
    [-Infinity, 0],
    [NaN, NaN],
    [40.5, 1],
    [1000, 1],
    [-1000, 0],
    [-745.1332191019411, 5e-324],
    [5e-324, 0.5],
  ])("sigmoid(%d) is %d", (x, expected) => {
    expect(sigmoid(x)).toBe(expected);
  });

  test("is within 0.55 ulp", () => {
    const points = [
      ...evenly(-5, 5, 2000),
      ...evenly(-41, 41, 2000),
      ...evenly(-745.1, -35, 1000),
      ...bothSigns(byMagnitude(1e-20, 1, 500)),
      ...bothSigns(withNeighbors([36.7368, 37.4299, 40])),
    ];
    expect(worst(sigmoid, (x) => oracleSigmoid(exactly(x)), points)).toSatisfy(below(0.55));
  });

  test("rises", () => {
    const x = fc.double({ min: -750, max: 50, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises(sigmoid, a, b) && rises(sigmoid, a, neighbor(a, 1))));
  });

  test("and its mirror image add to 1", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (x) => {
        expect(Math.abs(sigmoid(x) + sigmoid(-x) - 1)).toBeLessThanOrEqual(Number.EPSILON);
      }),
    );
  });
});
