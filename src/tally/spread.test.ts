import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Spread } from "./spread.js";

const contract = (divideBy: unknown = "weight") =>
  ({
    objective: "squaredError",
    options: {},
    reduction: { per: "element", divideBy, onEmpty: "zero" },
    version: 1,
  }) as never;

const unit = fc.tuple(fc.double({ min: 0, max: 100, noNaN: true }), fc.double({ min: 0.01, max: 10, noNaN: true }));

function spreadOf(units: readonly (readonly [number, number])[], divideBy?: unknown): Spread {
  const spread = new Spread(contract(divideBy));
  for (const [loss, weight] of units) spread.add(weight * loss, weight);
  return spread;
}

/** The formula as it is written down, in float64. */
function naive(units: readonly (readonly [number, number])[]): number {
  const total = units.reduce((sum, [, weight]) => sum + weight, 0);
  const value = units.reduce((sum, [loss, weight]) => sum + weight * loss, 0) / total;
  return Math.sqrt(units.reduce((sum, [loss, weight]) => sum + weight ** 2 * (loss - value) ** 2, 0)) / total;
}

describe("Spread", () => {
  it("has the standard error √(Σ w²(l − value)²) / Σw", () => {
    fc.assert(
      fc.property(fc.array(unit, { minLength: 2, maxLength: 30 }), (units) => {
        const expected = naive(units);
        const found = spreadOf(units).standardError;
        expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-7 * expected + 1e-7);
      }),
    );
  });

  it("of equal weights is the standard deviation over √n", () => {
    expect(spreadOf([1, 2, 3, 4].map((loss) => [loss, 1])).standardError).toBeCloseTo(Math.sqrt(1.25 / 4), 15);
    expect(spreadOf([1, 2, 3, 4].map((loss) => [loss, 1])).effectiveSampleSize).toBe(4);
  });

  it("keeps its digits where losses are alike and large", () => {
    const units = [0, 1, 2, 3].map((step) => [1e9 + step * 2 ** -20, 1] as const);
    expect(spreadOf(units).standardError).toBeCloseTo((Math.sqrt(1.25) * 2 ** -20) / 2, 20);
    expect(
      spreadOf([
        [1e9 + 0.1, 1],
        [1e9 + 0.1, 1],
      ]).standardError,
    ).toBe(0);
  });

  it("has (Σw)²/Σw² as its effective sample size", () => {
    expect(
      spreadOf([
        [5, 1],
        [5, 3],
      ]).effectiveSampleSize,
    ).toBe(16 / 10);
    expect(
      spreadOf([
        [5, 0.1],
        [2, 0.1],
        [7, 0.1],
      ]).effectiveSampleSize,
    ).toBe(3);
  });

  it("of a sum is the spread of the sum over the constant", () => {
    const units = [
      [1, 1],
      [2, 1],
      [6, 1],
    ] as const;
    expect(spreadOf(units, { constant: 6 }).standardError).toBeCloseTo(spreadOf(units).standardError / 2, 15);
  });

  it("merges to the same bits in any order, and comes back from JSON", () => {
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 20 }), fc.nat(20), (units, cut) => {
        const whole = JSON.stringify(spreadOf(units));
        const parts = [spreadOf(units.slice(cut)), spreadOf(units.slice(0, cut))] as const;
        expect(JSON.stringify(parts[0].merge(parts[1]))).toBe(whole);
        expect(JSON.stringify(Spread.fromJSON(JSON.parse(whole)))).toBe(whole);
      }),
    );
  });

  it("has no value for nothing, for one unit, or for losses that are not finite", () => {
    expect(spreadOf([]).standardError).toBeNaN();
    expect(spreadOf([]).effectiveSampleSize).toBeNaN();
    expect(spreadOf([[3, 2]]).standardError).toBeNaN();
    expect(
      spreadOf([
        [Number.POSITIVE_INFINITY, 1],
        [1, 1],
      ]).standardError,
    ).toBeNaN();
  });

  it("refuses another contract's, and JSON that it did not write", () => {
    expect(() => spreadOf([]).merge(spreadOf([], "count"))).toThrow(/parts of one contract/);
    expect(() => Spread.fromJSON({ format: "losswright tally" } as never)).toThrow(/losswright spread/);
  });
});
