import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cos } from "./cos.js";
import { exactly, neighbor, oracleSin } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, withNeighbors, worst } from "./samples.test-helper.js";
import { sin } from "./sin.js";

describe("sin", () => {
  test.each([
    [0, 0],
    [-0, -0],
    [5e-324, 5e-324],
    [-1e-310, -1e-310],
    [Infinity, NaN],
    [-Infinity, NaN],
    [NaN, NaN],
    [1048576.5, NaN],
    [-1e300, NaN],
  ])("sin(%d) is %d", (x, expected) => {
    expect(sin(x)).toBe(expected);
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
    expect(worst(sin, (x) => oracleSin(exactly(x)), points)).toSatisfy(below(0.85));
  });

  test("and the cosine satisfy Pythagoras' identity", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e5, max: 1e5, noNaN: true }), (x) => {
        expect(Math.abs(sin(x) * sin(x) + cos(x) * cos(x) - 1)).toBeLessThanOrEqual(2 * Number.EPSILON);
      }),
    );
  });

  test("is odd", () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => Object.is(sin(-x), -sin(x))));
  });
});
