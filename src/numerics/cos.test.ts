import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cos } from "./cos.js";
import { exactly, neighbor, oracleCos } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, withNeighbors, worst } from "./samples.test-helper.js";

describe("cos", () => {
  test.each([
    [0, 1],
    [-0, 1],
    [5e-324, 1],
    [-1e-310, 1],
    [Infinity, NaN],
    [-Infinity, NaN],
    [NaN, NaN],
    [1048576.5, NaN],
    [-1e300, NaN],
  ])("cos(%d) is %d", (x, expected) => {
    expect(cos(x)).toBe(expected);
  });

  test("is within 0.85 ulp", () => {
    // The doubles nearest to multiples of π/2, where the argument reduction cancels most.
    const nearQuarters = evenly(0, 660_000, 500).map((k) => Math.floor(k) * (Math.PI / 2));
    const points = [
      ...bothSigns(evenly(0, Math.PI, 1500)),
      ...bothSigns(evenly(0, 1e5, 1500)),
      ...bothSigns(evenly(1e5, 1048576, 500)),
      ...bothSigns(byMagnitude(1e-320, 1, 500)),
      ...bothSigns(withNeighbors(nearQuarters)),
      // Multiples within 2^−60 and 2^−54 of a double: the nearest below 2²⁰.
      ...withNeighbors([45.553093477052, 91.106186954104, 321307.9594422229]),
      ...bothSigns([neighbor(1048576, -1), 1048576]),
    ];
    expect(worst(cos, (x) => oracleCos(exactly(x)), points)).toSatisfy(below(0.85));
  });

  test("is even and stays in [−1, 1]", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e5, max: 1e5, noNaN: true }), (x) => {
        expect(cos(-x)).toBe(cos(x));
        expect(Math.abs(cos(x))).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("doubles its angle as 2cos² − 1", () => {
    fc.assert(
      fc.property(fc.double({ min: -5e4, max: 5e4, noNaN: true }), (x) => {
        expect(Math.abs(cos(2 * x) - (2 * cos(x) * cos(x) - 1))).toBeLessThanOrEqual(4 * Number.EPSILON);
      }),
    );
  });
});
