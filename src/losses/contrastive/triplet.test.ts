import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { triplet } from "./triplet.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const batchOf = (anchor: number[], positive: number[], negative: number[]) => ({
  anchors: tensor([anchor]),
  positives: tensor([positive]),
  negatives: tensor([negative]),
});
const coordinate = fc.double({ min: -10, max: 10, noNaN: true });
const point = fc.array(coordinate, { minLength: 3, maxLength: 3 });

describe("triplet", () => {
  it("is the margin plus the difference of the distances, or 0", () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const distance = (x: number[], y: number[]) => Math.hypot(...x.map((entry, k) => entry - y[k]! + 1e-6));
        const expected = Math.max(0, 1 + distance(a, b) - distance(a, c));
        expect(triplet().evaluate(batchOf(a, b, c)).value).toBeCloseTo(expected, 11);
      }),
    );
  });

  it("pulls rows so that they sum to nothing: only differences count", () => {
    fc.assert(
      fc.property(point, point, point, fc.boolean(), (a, b, c, swap) => {
        const { gradients } = triplet({ swap }).valueAndGradients(batchOf(a, b, c));
        for (let k = 0; k < 3; k++) {
          const sum = list(gradients.anchors)[k]! + list(gradients.positives)[k]! + list(gradients.negatives)[k]!;
          expect(Math.abs(sum)).toBeLessThan(1e-14);
        }
      }),
    );
  });

  it("under swap takes the lesser distance of the negative, so the loss is never smaller", () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        const [plain, swapped] = [false, true].map((swap) => triplet({ swap }).evaluate(batchOf(a, b, c)).value);
        expect(swapped).toBeGreaterThanOrEqual(plain!);
      }),
    );
  });

  it("shares the slope where both distances of swap are the same", () => {
    // Anchor and positive lie alike from the negative but for the 1e-6, which order ∞ of the first axis hides.
    const { gradients } = triplet({ swap: true, p: Infinity, margin: 3 }).valueAndGradients(
      batchOf([0, 1], [0, -1], [4, 0]),
    );
    expect(list(gradients.negatives)).toEqual([-1, 0]);
    expect(list(gradients.anchors)).toEqual([0.5, 1]);
    expect(list(gradients.positives)).toEqual([0.5, -1]);
  });

  it("has, at the margin exactly, the slope of the active side, and none beyond", () => {
    const at = (negative: number) => triplet({ p: 1 }).valueAndGradients(batchOf([0], [-1], [-negative]));
    // In one dimension the 1e-6 cancels: 1 + 1 − 2 = 0.
    expect([at(2).value, ...list(at(2).gradients.anchors)]).toEqual([0, 0]);
    expect(list(at(2).gradients.negatives)).toEqual([1]);
    expect(list(at(3).gradients.negatives)).toEqual([0]);
    expect(list(at(1.5).gradients.negatives)).toEqual([1]);
  });

  it("still pulls where anchor and positive are the same, along the diagonal of the 1e-6", () => {
    const { gradients } = triplet().valueAndGradients(batchOf([1, 1], [1, 1], [1, 2]));
    expect(list(gradients.positives)).toEqual([-Math.SQRT1_2, -Math.SQRT1_2].map((x) => expect.closeTo(x, 9)));
  });

  it("is 0 for a negative infinitely far, infinite for a positive there, NaN at NaN", () => {
    const away = triplet().valueAndGradients(batchOf([0], [1], [Infinity]));
    expect([away.value, ...Object.values(away.gradients).flatMap(list)]).toEqual([0, 0, 0, 0]);
    expect(triplet().evaluate(batchOf([0], [Infinity], [1])).value).toBe(Infinity);
    const broken = triplet().valueAndGradients(batchOf([NaN], [1], [1]));
    expect([broken.value, ...Object.values(broken.gradients).flatMap(list)]).toEqual([NaN, NaN, NaN, NaN]);
    expect(broken.notes[0]).toMatchObject({ code: "non-finite-input", field: "anchors" });
  });

  it.each([
    ["margin", [-1, NaN, Infinity, "1", null]],
    ["p", [0.5, 0, -1, NaN, "2", null]],
    ["swap", [0, 1, "true", null]],
  ])("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => triplet({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });

  it("takes p: inf from JSON, and refuses rows of another shape", () => {
    expect(triplet({ p: Infinity }).contract.options.p).toBe("inf");
    expect(() => triplet().evaluate({ ...batchOf([0, 1], [0, 1], [0, 1]), negatives: tensor([[1]]) })).toThrow(
      expect.objectContaining({ code: "shape", field: "negatives" }),
    );
  });
});
