import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { averagePrecision } from "./average-precision.js";
import type { Bounded } from "./buckets.js";
import { fieldsOf, naivePrecision, samples } from "./score-metrics.test-helper.js";

describe("averagePrecision", () => {
  it("is the mean precision at the scores of the positives, by weight", () => {
    fc.assert(
      fc.property(samples, (list) => {
        const found = averagePrecision().update(fieldsOf(list)).compute() as number;
        expect(found).toBeCloseTo(naivePrecision(list), 12);
        expect(found).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("lies between the bounds of any resolution, to the last bit", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 20 }), (list, resolutionBits) => {
        const exact = averagePrecision().update(fieldsOf(list)).compute() as number;
        const made = averagePrecision({ resolutionBits }).update(fieldsOf(list));
        const { value, lower, upper } = made.compute() as Bounded;
        for (const inside of [exact, value]) {
          expect(lower).toBeLessThanOrEqual(inside);
          expect(upper).toBeGreaterThanOrEqual(inside);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("has bounds that are near where buckets are small", () => {
    const list = Array.from({ length: 2000 }, (_, i) => ({
      score: ((i * 7919) % 2000) / 2000,
      positive: (i * i) % 3 === 1,
      weight: 1,
    }));
    const { lower, upper } = averagePrecision({ resolutionBits: 12 }).update(fieldsOf(list)).compute() as Bounded;
    expect(upper - lower).toBeLessThan(0.01);
  });

  it("is 0 without positives, and has no value without samples", () => {
    expect(
      averagePrecision()
        .update({ scores: tensor([1, 2]), labels: tensor([0, 0]) })
        .compute(),
    ).toBe(0);
    expect(averagePrecision().compute()).toBeNaN();
  });

  it("is the reciprocal rank of a row's label where the mean is over rows", () => {
    const fields = {
      scores: tensor([
        [0.5, 0.3, 0.2],
        [0.1, 0.2, 0.7],
      ]),
      labels: tensor([1, 2]),
    };
    expect(averagePrecision({ average: "samples" }).update(fields).compute()).toBe(0.75);
  });
});
