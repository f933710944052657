import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exactly, oracleTanh } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";
import { tanh } from "./tanh.js";

describe("tanh", () => {
  test.each([
    [0, 0],
    [-0, -0],
    [Infinity, 1],
    [-Infinity, -1],
    [NaN, NaN],
    [20.5, 1],
    [-400, -1],
    [5e-324, 5e-324],
    [-1e-310, -1e-310],
    [1e-9, 1e-9],
  ])("tanh(%d) is %d", (x, expected) => {
    expect(tanh(x)).toBe(expected);
  });

  test("is within 0.55 ulp", () => {
    const points = [
      ...bothSigns(evenly(0, 0.125, 1500)),
      ...bothSigns(evenly(0.125, 2, 1500)),
      ...bothSigns(evenly(2, 21, 1000)),
      ...bothSigns(byMagnitude(1e-320, 0.1, 500)),
      ...bothSigns(withNeighbors([0.125, 18.3689, 18.7149, 19.0615, 20])),
    ];
    expect(worst(tanh, (x) => oracleTanh(exactly(x)), points)).toSatisfy(below(0.55));
  });

  test("rises, is odd and never leaves [−1, 1]", () => {
    const x = fc.double({ noNaN: true });
    fc.assert(
      fc.property(x, x, (a, b) => {
        expect(rises(tanh, a, b)).toBe(true);
        expect(tanh(-a)).toBe(-tanh(a));
        expect(Math.abs(tanh(a))).toBeLessThanOrEqual(1);
      }),
    );
  });
});
