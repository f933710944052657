import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "./cross-entropy.js";
import { polyOne } from "./poly-one.js";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";

describe("polyOne", () => {
  it("is cross entropy at epsilon 0", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const [mine, plain] = [polyOne({ epsilon: 0 }), crossEntropy()].map((o) =>
          o.valueAndGradients(labeled(logits, 1)),
        );
        expect(Math.abs(mine!.value - plain!.value)).toBeLessThanOrEqual(1e-15 * plain!.value);
        expect(numbers(mine!.gradients.logits)).toEqual(numbers(plain!.gradients.logits));
      }),
    );
  });

  it("adds epsilon times what the target lacks in probability", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const lacks = softmaxOf(logits).reduce((sum, p, k) => sum + targets[k]! * (1 - p), 0);
        const batch = targeted(logits, targets);
        const added = polyOne({ epsilon: -0.7 }).evaluate(batch).value - crossEntropy().evaluate(batch).value;
        expect(added).toBeCloseTo(-0.7 * lacks, 12);
      }),
    );
  });

  it("takes the first term of the expansion away at epsilon −1: what is left is of second order", () => {
    const { value, gradients } = polyOne({ epsilon: -1 }).valueAndGradients(labeled([40, 0], 0));
    const q = Math.exp(-40);
    expect(value / ((q * q) / 2)).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[0]) / (-q * q)).toBeCloseTo(1, 12);
  });

  it("is below 0 with the gradient turned round near p = 1, for epsilon below −1", () => {
    const { value, gradients } = polyOne({ epsilon: -2 }).valueAndGradients(labeled([10, 0], 0));
    expect(value).toBeLessThan(0);
    expect(gradients.logits.data[0]).toBeGreaterThan(0);
  });

  it("keeps its digits at ±40 and is exact at ±1e4", () => {
    const { value, gradients } = polyOne({ epsilon: 2 }).valueAndGradients(labeled([40, 0], 0));
    expect(value / (3 * Math.exp(-40))).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[0]) / (-3 * Math.exp(-40))).toBeCloseTo(1, 12);
    expect(polyOne().evaluate(labeled([1e4, -1e4], 1)).value).toBe(20001);
    expect(polyOne().evaluate(labeled([1e4, -1e4], 0)).value).toBe(0);
    expect(polyOne().evaluate(labeled([Number.NEGATIVE_INFINITY, 0], 0)).value).toBe(Infinity);
    expect(polyOne().evaluate(labeled([NaN, 0], 0)).value).toBeNaN();
  });

  it("refuses an epsilon that is no finite number", () => {
    for (const epsilon of [NaN, Infinity, null, "1"]) {
      expect(() => polyOne({ epsilon } as never)).toThrow(
        expect.objectContaining({ code: "option", field: "epsilon" }),
      );
    }
  });
});
