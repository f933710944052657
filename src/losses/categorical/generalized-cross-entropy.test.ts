import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "./cross-entropy.js";
import { generalizedCrossEntropy } from "./generalized-cross-entropy.js";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";

describe("generalizedCrossEntropy", () => {
  it("is its formula, for labels and for targets", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const p = softmaxOf(logits);
        const at = (k: number) => (1 - p[k]! ** 0.7) / 0.7;
        expect(generalizedCrossEntropy().evaluate(labeled(logits, 1)).value).toBeCloseTo(at(1), 12);
        const mixed = targets.reduce((sum, target, k) => sum + target * at(k), 0);
        expect(generalizedCrossEntropy().evaluate(targeted(logits, targets)).value).toBeCloseTo(mixed, 12);
      }),
    );
  });

  it("runs to cross entropy as q does to 0, and is 1 − p at q = 1", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const batch = labeled(logits, 0);
        const near = generalizedCrossEntropy({ q: 1e-14 }).valueAndGradients(batch);
        const limit = crossEntropy().valueAndGradients(batch);
        expect(near.value).toBeCloseTo(limit.value, 10);
        for (const [k, slope] of numbers(near.gradients.logits).entries()) {
          expect(slope).toBeCloseTo(Number(limit.gradients.logits.data[k]), 10);
        }
        expect(generalizedCrossEntropy({ q: 1 }).evaluate(batch).value).toBeCloseTo(1 - softmaxOf(logits)[0]!, 13);
      }),
    );
  });

  it("is bounded by 1/q, without a pull from a label thought impossible", () => {
    for (const logits of [
      [-1e4, 1e4],
      [Number.NEGATIVE_INFINITY, 0],
    ]) {
      const { value, gradients, notes } = generalizedCrossEntropy({ q: 0.5 }).valueAndGradients(labeled(logits, 0));
      expect([value, ...numbers(gradients.logits)]).toEqual([2, 0, 0]);
      expect(notes).toEqual([]);
    }
  });

  it("keeps the digits of a sure and right answer", () => {
    const { value, gradients } = generalizedCrossEntropy().valueAndGradients(labeled([40, 0], 0));
    expect(value / Math.exp(-40)).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[0]) / -Math.exp(-40)).toBeCloseTo(1, 12);
    expect(generalizedCrossEntropy().evaluate(labeled([NaN, 0], 0)).value).toBeNaN();
  });

  it("refuses q outside (0, 1]", () => {
    for (const q of [0, -0.5, 1.5, NaN, null]) {
      expect(() => generalizedCrossEntropy({ q } as never)).toThrow(
        expect.objectContaining({ code: "option", field: "q" }),
      );
    }
  });
});
