import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { effectiveNumberWeights } from "./effective-number-weights.js";

const counts = fc.array(fc.integer({ min: 1, max: 1e5 }), { minLength: 1, maxLength: 10 });

describe("effectiveNumberWeights", () => {
  it("sums to the number of classes, rarer classes never lighter", () => {
    fc.assert(
      fc.property(counts, fc.constantFrom(0, 0.5, 0.99, 0.9999, 1 - 2 ** -53), (given, beta) => {
        const weights = [...effectiveNumberWeights(given, { beta }).data];
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(given.length, 9);
        const rare = given.indexOf(Math.min(...given));
        for (const weight of weights) expect(weights[rare]).toBeGreaterThanOrEqual(weight);
      }),
    );
  });

  it("is 1 for every class at beta 0, and goes to 1/n as beta goes to 1", () => {
    expect([...effectiveNumberWeights([5, 500], { beta: 0 }).data]).toEqual([1, 1]);
    const [rare, frequent] = effectiveNumberWeights([10, 1000], { beta: 1 - 2 ** -53 }).data;
    expect(rare! / frequent!).toBeCloseTo(100, 9);
  });

  it.each([1, -0.1, 1.5, NaN, "0.9", undefined])("refuses beta %s", (beta) => {
    expect(() => effectiveNumberWeights([1, 2], { beta: beta as number })).toThrow(
      expect.objectContaining({ code: "option", field: "beta" }),
    );
  });

  it("refuses counts of 0 and options it does not know", () => {
    expect(() => effectiveNumberWeights([1, 0], { beta: 0.9 })).toThrow(
      expect.objectContaining({ code: "value", field: "counts", index: [1] }),
    );
    expect(() => effectiveNumberWeights([1, 2], { betta: 0.9 } as never)).toThrow(
      expect.objectContaining({ code: "unknown", fix: expect.stringContaining('"beta"') }),
    );
    expect(() => effectiveNumberWeights([1, 2], undefined as never)).toThrow(
      expect.objectContaining({ code: "option", field: "beta" }),
    );
  });
});
