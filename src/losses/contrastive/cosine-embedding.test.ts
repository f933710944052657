import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { cosineEmbedding } from "./cosine-embedding.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const batchOf = (left: number[], right: number[], target: number) => ({
  left: tensor([left]),
  right: tensor([right]),
  targets: tensor([target]),
});
const coordinate = fc.double({ min: 0.1, max: 3, noNaN: true });
const point = fc.tuple(coordinate, coordinate).map(([x, y]) => [x, -y]);

describe("cosineEmbedding", () => {
  it("is one minus the cosine, or the cosine above the margin", () => {
    fc.assert(
      fc.property(point, point, (l, r) => {
        const cosine = (l[0]! * r[0]! + l[1]! * r[1]!) / Math.hypot(...l) / Math.hypot(...r);
        expect(cosineEmbedding().evaluate(batchOf(l, r, 1)).value).toBeCloseTo(1 - cosine, 9);
        expect(cosineEmbedding({ margin: 0.3 }).evaluate(batchOf(l, r, -1)).value).toBeCloseTo(
          Math.max(0, cosine - 0.3),
          9,
        );
      }),
    );
  });

  it("keeps the digits of a small angle, where 1 − cosine is 0 in float64", () => {
    const angle = 1e-9;
    // Long rows, so that the 1e-12 is far below the angle.
    const { value } = cosineEmbedding().evaluate(batchOf([1e6, 0], [1e6, 1e6 * angle], 1));
    expect(value / (angle ** 2 / 2)).toBeCloseTo(1, 5);
  });

  it("has a gradient at right angles to its row", () => {
    fc.assert(
      fc.property(point, point, fc.constantFrom(1, -1), (l, r, t) => {
        const { gradients } = cosineEmbedding({ margin: -1 }).valueAndGradients(batchOf(l, r, t));
        const along = list(gradients.left).reduce((sum, slope, k) => sum + slope * l[k]!, 0);
        expect(Math.abs(along)).toBeLessThan(1e-9);
      }),
    );
  });

  it("at the margin exactly has the slope of the active side, and none below", () => {
    const right = [0, 1];
    expect(list(cosineEmbedding().valueAndGradients(batchOf([1, 0], right, -1)).gradients.left)[1]).toBeCloseTo(1, 9);
    const below = cosineEmbedding().valueAndGradients(batchOf([1, -1e-9], right, -1));
    expect(list(below.gradients.left).map(Math.abs)).toEqual([0, 0]);
  });

  it("of a row of zeros is 1, with a slope of 1e6 times the other's direction", () => {
    const { value, gradients } = cosineEmbedding().valueAndGradients(batchOf([0, 0], [3, 4], 1));
    expect(value).toBe(1);
    expect(list(gradients.left)).toEqual([-6e5, -8e5].map((x) => expect.closeTo(x, -1)));
    expect(list(gradients.right).map(Math.abs)).toEqual([0, 0]);
  });

  it("does not overflow for rows of 1e300", () => {
    const { value, gradients } = cosineEmbedding().valueAndGradients(batchOf([1e300, 0], [1e300, 1e300], 1));
    expect(value).toBeCloseTo(1 - Math.SQRT1_2, 14);
    expect(list(gradients.left).every(Number.isFinite)).toBe(true);
  });

  it.each([NaN, Infinity])("is NaN, with a note, at %d", (bad) => {
    for (const target of [1, -1]) {
      const { value, gradients, notes } = cosineEmbedding().valueAndGradients(batchOf([bad, 1], [1, 2], target));
      expect([value, list(gradients.left)[0], notes.length]).toEqual([NaN, NaN, 1]);
    }
  });

  it.each([0, 0.5, 2, NaN])("refuses a target of %d", (target) => {
    expect(() => cosineEmbedding().evaluate(batchOf([1], [0], target))).toThrow(
      expect.objectContaining({ code: "value", field: "targets", expected: expect.stringContaining("-1") }),
    );
  });

  it.each([-1.1, 1.1, NaN, "0", null])("refuses margin %s", (margin) => {
    expect(() => cosineEmbedding({ margin: margin as number })).toThrow(
      expect.objectContaining({ code: "option", field: "margin" }),
    );
  });
});
