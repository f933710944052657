import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acos } from "./acos.js";
import { cos } from "./cos.js";
import { exactly, neighbor, oracleAcos } from "./oracle.test-helper.js";
import { below, bothSigns, byMagnitude, evenly, rises, withNeighbors, worst } from "./samples.test-helper.js";

describe("acos", () => {
  test.each([
    [1, 0],
    [-1, Math.PI],
    [0, Math.PI / 2],
    [-0, Math.PI / 2],
    [1.0000000000000002, NaN],
    [-1.5, NaN],
    [Infinity, NaN],
    [NaN, NaN],
    [5e-324, Math.PI / 2],
  ])("acos(%d) is %d", (x, expected) => {
    expect(acos(x)).toBe(expected);
  });

  test("is within 0.6 ulp", () => {
    const points = [
      ...evenly(-1, 1, 2500),
      ...bothSigns(byMagnitude(1.2e-16, 0.1, 800).map((x) => 1 - x)),
      ...bothSigns(byMagnitude(1e-320, 0.1, 500)),
      ...bothSigns([1, 2, 3, 4].map((n) => neighbor(1, -n))),
      ...bothSigns(withNeighbors([0.5, 0.9922027, 1e-17])),
    ];
    expect(worst(acos, (x) => oracleAcos(exactly(x)), points)).toSatisfy(below(0.6));
  });

  test("falls", () => {
    const x = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(fc.property(x, x, (a, b) => rises((c) => acos(-c), a, b)));
  });

  test("is undone by the cosine", () => {
    fc.assert(
      fc.property(fc.double({ min: -1, max: 1, noNaN: true }), (x) => {
        expect(Math.abs(cos(acos(x)) - x)).toBeLessThanOrEqual(2 * Number.EPSILON);
      }),
    );
  });
});
