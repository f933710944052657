import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exactly, neighbor, oraclePow, toNearestDouble, ulpDistance, ulpError } from "./oracle.test-helper.js";
import { pow } from "./pow.js";
import { byMagnitude, evenly } from "./samples.test-helper.js";

const TINY = 5e-324;
const LARGE = Number.MAX_VALUE;

describe("pow", () => {
  test.each([
    // anything to the zeroth, one to anything
    [NaN, 0, 1],
    [0, -0, 1],
    [-Infinity, 0, 1],
    [1, NaN, 1],
    [1, Infinity, 1],
    [1, -1e300, 1],
    // NaN
    [NaN, 1, NaN],
    [2, NaN, NaN],
    [-1, NaN, NaN],
    // zeros
    [0, 3, 0],
    [-0, 3, -0],
    [-0, 2, 0],
    [-0, 0.5, 0],
    [0, -3, Infinity],
    [-0, -3, -Infinity],
    [-0, -2, Infinity],
    [-0, -Infinity, Infinity],
    [0, Infinity, 0],
    // infinities
    [Infinity, 0.5, Infinity],
    [Infinity, -0.5, 0],
    [-Infinity, 3, -Infinity],
    [-Infinity, 2, Infinity],
    [-Infinity, 0.5, Infinity],
    [-Infinity, -3, -0],
    [-Infinity, -2, 0],
    [2, Infinity, Infinity],
    [2, -Infinity, 0],
    [0.5, Infinity, 0],
    [0.5, -Infinity, Infinity],
    [-2, Infinity, Infinity],
    [-0.5, Infinity, 0],
    [-1, Infinity, 1],
    [-1, -Infinity, 1],
    // negative bases
    [-2, 3, -8],
    [-2, 4, 16],
    [-2, -1, -0.5],
    [-2, 0.5, NaN],
    [-1, 9007199254740991, -1],
    [-1, 9007199254740992, 1],
    [-1, 1e300, 1],
    // overflow and underflow
    [2, 1024, Infinity],
    [-2, 1025, -Infinity],
    [2, -1074, TINY],
    [2, -1076, 0],
    [-2, -1077, -0],
    [LARGE, LARGE, Infinity],
    [TINY, LARGE, 0],
    [TINY, -LARGE, Infinity],
    // exact results
    [LARGE, 1, LARGE],
    [TINY, 1, TINY],
    [3, 20, 3486784401],
    [2, -0.5, Math.SQRT1_2],
    [1e-300, TINY, 1],
  ])("pow(%d, %d) is %d", (x, y, expected) => {
    expect(pow(x, y)).toBe(expected);
  });

  test("is within 0.6 ulp", () => {
    const bases = [
      ...evenly(0, 4, 1500),
      ...byMagnitude(TINY, LARGE, 1500),
      ...byMagnitude(1e-15, 0.01, 500).flatMap((x) => [1 + x, 1 - x]),
      ...[1, 2, 3].flatMap((n) => [neighbor(1, n), neighbor(1, -n)]),
    ];
    // Targets for y log₂ x over all the range, so that results are spread from the smallest to the largest.
    const targets = evenly(-1074, 1024, bases.length, 2);
    let worst = { ulp: 0, x: 1, y: 1 };
    bases.forEach((x, i) => {
      const binades = (Math.abs(x - 1) < 0.1 ? x - 1 : Math.floor(exponentOf(x)) || 0.7) || 1;
      for (const y of [targets[i] / binades, targets[i] / 200]) {
        const truth = oraclePow(exactly(x), exactly(y));
        if (!Number.isFinite(toNearestDouble(truth))) continue;
        const ulp = ulpError(pow(x, y), truth);
        if (ulp > worst.ulp) worst = { ulp, x, y };
      }
    });
    expect(worst).toSatisfy((found: typeof worst) => found.ulp < 0.6);
  });

  test("agrees with the rounded operations that it contains", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-150, max: 1e150, noNaN: true }), (x) => {
        expect(pow(x, 1)).toBe(x);
        expect(ulpDistance(pow(x, 2), x * x)).toBeLessThanOrEqual(1);
        expect(ulpDistance(pow(x, 0.5), Math.sqrt(x))).toBeLessThanOrEqual(1);
        expect(ulpDistance(pow(x, -1), 1 / x)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

/** The e of x = m·2^e with m in [1, 2). */
function exponentOf(x: number): number {
  let exponent = 0;
  for (let y = x; y >= 2; y /= 2) exponent++;
  for (let y = x; y < 1; y *= 2) exponent--;
  return exponent;
}
