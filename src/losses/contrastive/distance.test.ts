import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Distance } from "./distance.js";

const measured = (p: number, left: number[], right = left.map(() => 0), shift = 0) => {
  const distance = new Distance(left.length, p, shift);
  const value = distance.between(Float64Array.from(left), Float64Array.from(right));
  distance.updateSlopes();
  return { value, slopes: [...distance.slopes] };
};
const entry = fc.double({ min: -1e3, max: 1e3, noNaN: true }).map((x) => (Math.abs(x) < 1e-3 ? 0 : x));
const rows = fc.array(entry, { minLength: 1, maxLength: 5 });

describe("Distance", () => {
  it.each([
    [1, [3, -4], 7, [1, -1]],
    [2, [3, -4], 5, [0.6, -0.8]],
    [3, [3, -4], Math.cbrt(91), [9 / Math.cbrt(91) ** 2, -16 / Math.cbrt(91) ** 2]],
    [Infinity, [3, -4], 4, [0, -1]],
    [Infinity, [4, -4, 1], 4, [0.5, -0.5, 0]],
    [1, [0, 2], 2, [0, 1]],
  ])("of order %d of %j is %d", (p, x, value, slopes) => {
    const found = measured(p, x);
    expect(found.value).toBeCloseTo(value, 14);
    expect(found.slopes).toEqual(slopes.map((slope) => expect.closeTo(slope, 14) as unknown));
  });

  it("falls from order to order, down to the largest entry", () => {
    fc.assert(
      fc.property(rows, (x) => {
        const values = [1, 1.5, 2, 3, 20, Infinity].map((p) => measured(p, x).value);
        for (let i = 1; i < values.length; i++) expect(values[i]).toBeLessThanOrEqual(values[i - 1]! * (1 + 1e-14));
      }),
    );
  });

  it("has slopes that give the distance back: Σ slope · x = d", () => {
    fc.assert(
      fc.property(rows, fc.constantFrom(1, 1.5, 2, 3, Infinity), (x, p) => {
        const { value, slopes } = measured(p, x);
        const along = slopes.reduce((sum, slope, k) => sum + slope * x[k]!, 0);
        expect(Math.abs(along - value)).toBeLessThanOrEqual(1e-12 * value);
      }),
    );
  });

  it("has no slope where the rows are the same, and one along the diagonal under a shift", () => {
    for (const p of [1, 1.5, 2, Infinity]) expect(measured(p, [1, 2], [1, 2])).toEqual({ value: 0, slopes: [0, 0] });
    expect(measured(2, [1, 2], [1, 2], 1e-6).slopes).toEqual(
      [Math.SQRT1_2, Math.SQRT1_2].map((x) => expect.closeTo(x, 9)),
    );
  });

  it("neither overflows nor underflows on the way", () => {
    for (const size of [1e300, 1e-300]) {
      for (const p of [1, 1.5, 2, 3, Infinity]) {
        const { value, slopes } = measured(p, [size, size]);
        const expected = p === Infinity ? 1 : 2 ** (1 / p);
        expect(value / size).toBeCloseTo(expected, 12);
        expect(slopes.every(Number.isFinite)).toBe(true);
      }
    }
  });

  it.each([1, 1.5, 2, Infinity])("of order %d is NaN at NaN and infinite at ∞", (p) => {
    expect(measured(p, [NaN, 1]).value).toBeNaN();
    expect(measured(p, [NaN, 1]).slopes[0]).toBeNaN();
    expect(measured(p, [-Infinity, 1]).value).toBe(Infinity);
  });
});
