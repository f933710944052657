import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { binaryCrossEntropy } from "./binary-cross-entropy.js";

const batchOf = (logits: number[], targets: number[], shape = [logits.length]) => ({
  logits: tensor(Float64Array.from(logits), shape),
  targets: tensor(Float64Array.from(targets), shape),
});
const sum = { divideBy: { constant: 1 } } as const;
const logit = fc.double({ min: -50, max: 50, noNaN: true });
const unit = fc.double({ min: 0, max: 1, noNaN: true });

describe("binaryCrossEntropy", () => {
  it("is the cross entropy of the logits [0, z]", () => {
    fc.assert(
      fc.property(logit, fc.constantFrom(0, 1), (z, y) => {
        const binary = binaryCrossEntropy().valueAndGradients(batchOf([z], [y]));
        const categorical = crossEntropy().valueAndGradients({
          logits: tensor(Float64Array.of(0, z), [1, 2]),
          labels: tensor(Int32Array.of(y)),
        });
        expect(binary.value).toBeCloseTo(categorical.value, 12);
        expect(binary.gradients.logits.data[0]).toBeCloseTo(Number(categorical.gradients.logits.data[1]), 12);
      }),
    );
  });

  it("is the same when logit and target are mirrored, to the bit, with the opposite gradient", () => {
    fc.assert(
      fc.property(logit, fc.constantFrom(0, 0.25, 0.5, 0.75, 1), (z, y) => {
        const [left, right] = [batchOf([z], [y]), batchOf([-z], [1 - y])].map((b) =>
          binaryCrossEntropy().valueAndGradients(b),
        );
        // The two terms are added in the other order, which rounds alike.
        expect(left!.value).toBe(right!.value);
        expect(Number(left!.gradients.logits.data[0]) + Number(right!.gradients.logits.data[0])).toBe(0);
      }),
    );
  });

  it("has the gradient σ(z) − y", () => {
    fc.assert(
      fc.property(logit, unit, (z, y) => {
        const slope = binaryCrossEntropy().valueAndGradients(batchOf([z], [y])).gradients.logits.data[0];
        expect(slope).toBeCloseTo(1 / (1 + Math.exp(-z)) - y, 12);
      }),
    );
  });

  it("scales the positive term by posWeight, which never divides", () => {
    const batch = batchOf([0.3, -1, 2, 0.1], [1, 0, 1, 0], [2, 2]);
    const [one, three] = [1, 3].map((posWeight) => binaryCrossEntropy({ posWeight }).evaluate(batch));
    expect([one!.denominator, three!.denominator]).toEqual([4, 4]);
    const positives = batchOf([0.3, 2], [1, 1]);
    const extra = 2 * binaryCrossEntropy().evaluate(positives).numerator;
    expect(three!.numerator - one!.numerator).toBeCloseTo(extra, 12);
  });

  it("stands in perUnit with posWeight, not with weights", () => {
    const batch = batchOf([0.5], [1]);
    const weights = tensor(Float64Array.of(5));
    const plain = Number(binaryCrossEntropy().perUnit(batch).data[0]);
    expect(binaryCrossEntropy({ posWeight: 2 }).perUnit({ ...batch, weights }).data[0]).toBe(2 * plain);
  });

  it("takes one posWeight an entry of the last axis", () => {
    const batch = batchOf([1, 2, 3, 4], [1, 1, 1, 1], [2, 2]);
    const plain = [...binaryCrossEntropy().perUnit(batch).data].map(Number);
    const weighted = [...binaryCrossEntropy({ posWeight: [2, 0.5] }).perUnit(batch).data].map(Number);
    expect(weighted).toEqual(plain.map((loss, i) => loss * [2, 0.5][i % 2]!));
  });

  it("smooths targets to y(1 − ε) + ε/2 before posWeight", () => {
    fc.assert(
      fc.property(logit, unit, (z, y) => {
        const smoothed = binaryCrossEntropy({ labelSmoothing: 0.25, posWeight: 3 }).evaluate(batchOf([z], [y]));
        const byHand = binaryCrossEntropy({ posWeight: 3 }).evaluate(batchOf([z], [y * 0.75 + 0.125]));
        expect(smoothed.value).toBe(byHand.value);
      }),
    );
  });

  it("keeps what a naive form loses at z = ±40", () => {
    const { value, gradients } = binaryCrossEntropy(sum).valueAndGradients(batchOf([-40, 40], [0, 1]));
    expect(value).toBeCloseTo(2 * 4.248354255291589e-18, 30);
    expect([...gradients.logits.data]).toEqual([4.248354255291589e-18, -4.248354255291589e-18]);
  });

  it.each([
    ["−∞ against 0 is certain and right", -Infinity, 0, 0, 0],
    ["−∞ against 1 is +∞", -Infinity, 1, Infinity, -1],
    ["−∞ against a target between is +∞", -Infinity, 0.25, Infinity, -0.25],
    ["+∞ is NaN", Infinity, 1, NaN, NaN],
    ["NaN is NaN", NaN, 0, NaN, NaN],
    ["800 against 0 is 800", 800, 0, 800, 1],
    ["−800 against 1 is 800", -800, 1, 800, -1],
  ])("at the limit: %s", (_, z, y, loss, slope) => {
    const { value, gradients, notes } = binaryCrossEntropy().valueAndGradients(batchOf([z], [y]));
    expect(value).toBe(loss);
    expect(Number(gradients.logits.data[0]) + 0).toBe(slope);
    expect(notes.length).toBe(Number.isFinite(loss) ? 0 : 1);
  });

  it.each([-0.1, 1.1, NaN, Infinity])(
    "refuses a live target of %d with its place, and reads no masked one",
    (target) => {
      const batch = batchOf([1, 2, 3, 4], [0, 1, target, 1], [2, 2]);
      expect(() => binaryCrossEntropy().evaluate(batch)).toThrow(
        expect.objectContaining({ code: "value", field: "targets", index: [1, 0] }),
      );
      const mask = tensor([
        [1, 1],
        [0, 1],
      ]);
      expect(binaryCrossEntropy().evaluate({ ...batch, mask }).denominator).toBe(3);
    },
  );

  it.each([
    ["posWeight", [-1, NaN, Infinity, "2", [], [1, -1], [NaN], {}]],
    ["labelSmoothing", [-0.1, 1, 2, NaN, "0.1", null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => binaryCrossEntropy({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("refuses a list of posWeight of another length than the last axis", () => {
    expect(() => binaryCrossEntropy({ posWeight: [1, 2, 3] }).evaluate(batchOf([1, 2], [0, 1], [1, 2]))).toThrow(
      expect.objectContaining({ code: "option", field: "posWeight" }),
    );
  });

  it("refuses targets of another shape: nothing is broadcast", () => {
    const logits = tensor(new Float64Array(10), [10, 1]);
    const targets = tensor(new Float64Array(10), [10]);
    expect(() => binaryCrossEntropy().evaluate({ logits, targets })).toThrow(
      expect.objectContaining({ code: "shape", fix: expect.stringContaining("broadcast") }),
    );
  });
});
