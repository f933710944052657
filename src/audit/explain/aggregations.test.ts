import { describe, expect, it } from "vitest";
import { aggregations, type PartSums } from "./aggregations.js";

const part = (numerator: number, denominator: number, rank = 0): PartSums => ({ numerator, denominator, rank });

/** Two ranks of two micro-batches: means 2, 3, 5, 7. */
const parts = [part(6, 3, 0), part(12, 4, 0), part(10, 2, 1), part(49, 7, 1)];
const byName = (sums: readonly PartSums[]) =>
  new Map(aggregations(sums).map((aggregation) => [aggregation.name, aggregation]));

describe("an aggregation of two ranks of two micro-batches", () => {
  it.each([
    ["whole", "none", 77 / 16, [1 / 16, 1 / 16, 1 / 16, 1 / 16]],
    ["rank mean", "ranks", (18 / 7 + 59 / 9) / 2, [1 / 14, 1 / 14, 1 / 18, 1 / 18]],
    ["rank sum", "ranks", 18 / 7 + 59 / 9, [1 / 7, 1 / 7, 1 / 9, 1 / 9]],
    ["whole, divided again by the number of ranks", "ranks", 77 / 32, [1 / 32, 1 / 32, 1 / 32, 1 / 32]],
    ["whole, times the number of ranks", "ranks", 77 / 8, [1 / 8, 1 / 8, 1 / 8, 1 / 8]],
    ["mean of sums over ranks", "ranks", 77 / 2, [1 / 2, 1 / 2, 1 / 2, 1 / 2]],
    ["mean of means", "parts", (2 + 3 + 5 + 7) / 4, [1 / 12, 1 / 16, 1 / 8, 1 / 28]],
    ["sum of means", "parts", 2 + 3 + 5 + 7, [1 / 3, 1 / 4, 1 / 2, 1 / 7]],
    ["sum of sums", "parts", 77, [1, 1, 1, 1]],
    ["mean of sums", "parts", 77 / 4, [1 / 4, 1 / 4, 1 / 4, 1 / 4]],
    ["whole, divided again by the number of parts", "parts", 77 / 64, [1 / 64, 1 / 64, 1 / 64, 1 / 64]],
    ["sum of means, averaged over ranks", "parts", 17 / 2, [1 / 6, 1 / 8, 1 / 4, 1 / 14]],
  ] as const)("%s is the direct formula, in loss and in gradient", (name, about, loss, factors) => {
    const aggregation = byName(parts).get(name)!;
    const result = aggregation.apply(parts);
    expect(aggregation.about).toBe(about);
    expect(result.loss).toBeCloseTo(loss, 14);
    expect(result.factors).toHaveLength(4);
    for (const [i, factor] of factors.entries()) expect(result.factors[i]).toBeCloseTo(factor, 14);
  });

  it("is one of exactly these, the right one first", () => {
    const names = aggregations(parts).map(({ name }) => name);
    expect(names).toHaveLength(12);
    expect(names[0]).toBe("whole");
  });
});

describe("aggregations", () => {
  it("of one part are the whole alone", () => {
    expect(aggregations([part(6, 3)]).map(({ name }) => name)).toEqual(["whole"]);
  });

  it("of micro-batches on one rank say nothing of ranks", () => {
    const found = aggregations([part(6, 3), part(12, 4)]);
    expect(new Set(found.map(({ about }) => about))).toEqual(new Set(["none", "parts"]));
  });

  it("of one part a rank call a mean of means a rank mean", () => {
    const names = aggregations([part(6, 3, 0), part(12, 4, 1)]).map(({ name }) => name);
    expect(names).toContain("rank mean");
    expect(names).not.toContain("mean of means");
    expect(names).toContain("sum of sums");
  });

  it("have the gradient of the loss they give: Σ factor · numerator is the loss", () => {
    for (const sums of [parts, parts.map((each) => ({ ...each, rank: 0 })), parts.slice(1, 3)]) {
      for (const { name, apply } of aggregations(sums)) {
        // A cleared gradient is that of a part of the loss.
        if (name.includes("the gradient of the last part")) continue;
        const { loss, factors } = apply(sums);
        const sum = sums.reduce((all, { numerator }, i) => all + numerator * factors[i]!, 0);
        expect(sum, name).toBeCloseTo(loss, 12);
      }
    }
  });

  it("leave the last part's gradient alone where the others' were cleared", () => {
    const sums = [part(6, 3), part(12, 4)];
    const named = byName(sums);
    expect(named.get("whole, the gradient of the last part alone")!.apply(sums)).toEqual({
      loss: 18 / 7,
      factors: [0, 1 / 7],
    });
    expect(named.get("mean of the last part alone")!.apply(sums)).toEqual({ loss: 3, factors: [0, 1 / 4] });
  });

  it("let a part without a unit add nothing, and count it among the parts", () => {
    const sums = [part(6, 3), part(0, 0), part(10, 2)];
    const named = byName(sums);
    expect(named.get("whole")!.apply(sums).loss).toBe(16 / 5);
    expect(named.get("mean of means")!.apply(sums)).toEqual({ loss: 7 / 3, factors: [1 / 9, 0, 1 / 6] });
    expect(named.get("whole")!.apply([part(0, 0), part(0, 0)])).toEqual({ loss: 0, factors: [0, 0] });
  });
});
