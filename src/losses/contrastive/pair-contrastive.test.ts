import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { pairContrastive } from "./pair-contrastive.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const batchOf = (left: number[], right: number[], target: number) => ({
  left: tensor([left]),
  right: tensor([right]),
  targets: tensor([target]),
});
const point = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 2 });

describe("pairContrastive", () => {
  it("is half the squared distance of the same, half the squared gap to the margin of others", () => {
    fc.assert(
      fc.property(point, point, (l, r) => {
        const d = Math.hypot(l[0]! - r[0]!, l[1]! - r[1]!);
        expect(pairContrastive().evaluate(batchOf(l, r, 1)).value).toBeCloseTo((d * d) / 2, 12);
        expect(pairContrastive().evaluate(batchOf(l, r, 0)).value).toBeCloseTo(Math.max(0, 1 - d) ** 2 / 2, 12);
      }),
    );
  });

  it("mixes both for a target between", () => {
    const [same, other, half] = [1, 0, 0.25].map((y) => pairContrastive().evaluate(batchOf([0.3], [0], y)).value);
    expect(half).toBeCloseTo(0.25 * same! + 0.75 * other!, 15);
  });

  it("is smooth at the margin and pulls no more beyond", () => {
    const at = (d: number) => pairContrastive({ margin: 2 }).valueAndGradients(batchOf([d], [0], 0));
    expect(list(at(2).gradients.left)).toEqual([0]);
    expect(list(at(2 + 1e-9).gradients.left)).toEqual([0]);
    expect(list(at(2 - 1e-9).gradients.left)[0]).toBeCloseTo(-1e-9, 15);
    expect(at(5).value).toBe(0);
  });

  it("has no direction, and so no gradient, at distance 0", () => {
    const { value, gradients } = pairContrastive().valueAndGradients(batchOf([1, 2], [1, 2], 0));
    expect([value, ...list(gradients.left), ...list(gradients.right)].map(Math.abs)).toEqual([0.5, 0, 0, 0, 0]);
  });

  it("is infinite for the same and 0 for others with an infinite coordinate, NaN at NaN", () => {
    expect(pairContrastive().evaluate(batchOf([Infinity], [0], 1)).value).toBe(Infinity);
    const apart = pairContrastive().valueAndGradients(batchOf([Infinity], [0], 0));
    expect([apart.value, ...list(apart.gradients.left)]).toEqual([0, 0]);
    for (const y of [0, 1]) {
      const { value, gradients, notes } = pairContrastive().valueAndGradients(batchOf([NaN], [0], y));
      expect([value, ...list(gradients.left), notes.length]).toEqual([NaN, NaN, 1]);
    }
  });

  it("does not overflow where a pair beyond the margin is 1e200 apart", () => {
    expect(pairContrastive().evaluate(batchOf([1e200, 1e200], [0, 0], 0)).value).toBe(0);
  });

  it.each([-0.1, 1.1, NaN, -1])("refuses a target of %d", (target) => {
    expect(() => pairContrastive().evaluate(batchOf([1], [0], target))).toThrow(
      expect.objectContaining({ code: "value", field: "targets" }),
    );
  });

  it.each([-1, NaN, Infinity, "1", null])("refuses margin %s", (margin) => {
    expect(() => pairContrastive({ margin: margin as number })).toThrow(
      expect.objectContaining({ code: "option", field: "margin" }),
    );
  });
});
