import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "./cross-entropy.js";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";
import { symmetricCrossEntropy } from "./symmetric-cross-entropy.js";

describe("symmetricCrossEntropy", () => {
  it("is cross entropy without the reverse part", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const [mine, plain] = [symmetricCrossEntropy({ beta: 0 }), crossEntropy()].map((o) =>
          o.valueAndGradients(labeled(logits, 1)),
        );
        expect(mine!.value).toBe(plain!.value);
        expect(numbers(mine!.gradients.logits)).toEqual(numbers(plain!.gradients.logits));
      }),
    );
  });

  it("is β(−A)(1 − p) without the other", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const p = softmaxOf(logits);
        const { value, gradients } = symmetricCrossEntropy({ alpha: 0, beta: 2, logZero: -3 }).valueAndGradients(
          labeled(logits, 0),
        );
        expect(value).toBeCloseTo(6 * (1 - p[0]!), 12);
        for (const [k, slope] of numbers(gradients.logits).entries()) {
          expect(slope).toBeCloseTo(6 * p[0]! * (p[k]! - Number(k === 0)), 12);
        }
      }),
    );
  });

  it("takes the logarithm of targets, not below logZero", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const p = softmaxOf(logits);
        const reverse = p.reduce((sum, at, k) => sum - at * Math.max(Math.log(targets[k]!), -4), 0);
        const { value } = symmetricCrossEntropy({ alpha: 0 }).evaluate(targeted(logits, targets));
        expect(value).toBeCloseTo(reverse, 11);
      }),
    );
  });

  it("keeps the digits of a sure and right answer, and is exact at ±1e4", () => {
    const { value, gradients } = symmetricCrossEntropy().valueAndGradients(labeled([40, 0], 0));
    expect(value / (5 * Math.exp(-40))).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[0]) / (-5 * Math.exp(-40))).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[1]) / (5 * Math.exp(-40))).toBeCloseTo(1, 12);
    const wrong = symmetricCrossEntropy().valueAndGradients(labeled([1e4, -1e4], 1));
    expect([wrong.value, ...numbers(wrong.gradients.logits)]).toEqual([20004, 1, -1]);
  });

  it("is +∞ at a forbidden label unless alpha is 0; NaN stays NaN", () => {
    const batch = labeled([Number.NEGATIVE_INFINITY, 0], 0);
    expect(symmetricCrossEntropy().evaluate(batch).value).toBe(Infinity);
    expect(symmetricCrossEntropy({ alpha: 0 }).evaluate(batch).value).toBe(4);
    expect(symmetricCrossEntropy().evaluate(labeled([NaN, 0], 0)).value).toBeNaN();
  });

  it.each([
    ["alpha", [-1, NaN]],
    ["beta", [-1, Infinity]],
    ["logZero", [0, 1, -Infinity, NaN]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => symmetricCrossEntropy({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });
});
