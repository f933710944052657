import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { brier } from "./brier.js";
import { labeled, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";

describe("brier", () => {
  it("is the sum of squares over all classes, without factor 1/2", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const p = softmaxOf(logits);
        const at = (q: readonly number[]) => p.reduce((sum, entry, k) => sum + (entry - q[k]!) ** 2, 0);
        expect(brier().evaluate(targeted(logits, targets)).value).toBeCloseTo(at(targets), 12);
        const oneHot = p.map((_, k) => Number(k === 1));
        expect(brier().evaluate(labeled(logits, 1)).value).toBeCloseTo(at(oneHot), 12);
      }),
    );
  });

  it("is least, with gradient 0, at the true probabilities", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits }) => {
        const p = softmaxOf(logits);
        const { value, gradients } = brier().valueAndGradients(targeted(logits, p));
        expect(value).toBeLessThan(1e-28);
        for (const slope of numbers(gradients.logits)) expect(Math.abs(slope)).toBeLessThan(1e-14);
      }),
    );
  });

  it("lies between 0 and 2 for labels, at ±1e4 exactly", () => {
    const [right, wrong] = [0, 1].map((y) => brier().valueAndGradients(labeled([1e4, -1e4], y)));
    expect([right!.value, ...numbers(right!.gradients.logits)]).toEqual([0, 0, 0]);
    expect([wrong!.value, ...numbers(wrong!.gradients.logits)]).toEqual([2, 0, 0]);
  });

  it("keeps the digits of a sure and right answer", () => {
    const { value, gradients } = brier().valueAndGradients(labeled([40, 0], 0));
    const other = Math.exp(-40);
    expect(value / (2 * other * other)).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[0]) / (-4 * other * other)).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[1]) / (4 * other * other)).toBeCloseTo(1, 12);
  });

  it("takes −∞ for probability 0 and NaN for NaN", () => {
    const { value, gradients } = brier().valueAndGradients(labeled([Number.NEGATIVE_INFINITY, 0, 0], 0));
    expect(value).toBe(1.5);
    expect(gradients.logits.data[0]).toBe(0);
    expect(brier().evaluate(labeled([NaN, 0], 0)).value).toBeNaN();
    expect(brier().evaluate(labeled([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], 0)).value).toBeNaN();
  });
});
