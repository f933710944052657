import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { marginRanking } from "./margin-ranking.js";

const batchOf = (left: number, right: number, target: number) => ({
  left: tensor(Float64Array.of(left)),
  right: tensor(Float64Array.of(right)),
  targets: tensor(Float64Array.of(target)),
});
const gradientsOf = (batch: ReturnType<typeof batchOf>, margin = 0) => {
  const { gradients } = marginRanking({ margin }).valueAndGradients(batch);
  return [gradients.left.data[0], gradients.right.data[0]];
};
const score = fc.double({ min: -100, max: 100, noNaN: true });

describe("marginRanking", () => {
  it("is the same when the sides and the target are swapped", () => {
    fc.assert(
      fc.property(score, score, fc.constantFrom(1, -1), (left, right, target) => {
        const [here, there] = [batchOf(left, right, target), batchOf(right, left, -target)].map((b) =>
          marginRanking({ margin: 0.5 }).evaluate(b),
        );
        expect(here!.value).toBe(there!.value);
      }),
    );
  });

  it("is what the right side lacks to win by the margin", () => {
    expect(marginRanking({ margin: 1 }).evaluate(batchOf(2, 1.5, 1)).value).toBe(0.5);
    expect(marginRanking({ margin: 1 }).evaluate(batchOf(2, 1.5, -1)).value).toBe(1.5);
    expect(marginRanking({ margin: 1 }).evaluate(batchOf(4, 1.5, 1)).value).toBe(0);
  });

  it("has a slope on the line and at its corner, none beyond", () => {
    const above = 1 + 2 ** -52;
    expect(gradientsOf(batchOf(1 - 2 ** -53, 0, 1), 1)).toEqual([-1, 1]);
    expect(gradientsOf(batchOf(1, 0, 1), 1)).toEqual([-1, 1]);
    expect(gradientsOf(batchOf(above, 0, 1), 1)).toEqual([0, 0]);
    expect(gradientsOf(batchOf(0, above, -1), 1)).toEqual([0, 0]);
  });

  it("pushes equal scores apart although their loss is 0", () => {
    expect(marginRanking().evaluate(batchOf(3, 3, -1)).value).toBe(0);
    expect(gradientsOf(batchOf(3, 3, -1))).toEqual([1, -1]);
  });

  it.each([
    ["the right order", Infinity, 0, 1, 0, 0],
    ["the wrong order", Infinity, 0, -1, Infinity, 1],
    ["two of one sign", Infinity, Infinity, 1, NaN, NaN],
    ["NaN", NaN, 0, 1, NaN, NaN],
  ])("at infinite scores in %s", (_, left, right, target, loss, slope) => {
    const { value, gradients } = marginRanking().valueAndGradients(batchOf(left, right, target));
    expect([value, gradients.left.data[0]]).toEqual([loss, slope]);
  });

  it.each([0, 2, 0.5, NaN])("refuses the target %d: only 1 and −1 rank", (target) => {
    expect(() => marginRanking().evaluate(batchOf(1, 2, target))).toThrow(
      expect.objectContaining({ code: "value", field: "targets" }),
    );
  });

  it.each([Infinity, NaN, "1", null])("refuses margin %s", (margin) => {
    expect(() => marginRanking({ margin: margin as number })).toThrow(
      expect.objectContaining({ code: "option", field: "margin" }),
    );
  });
});
