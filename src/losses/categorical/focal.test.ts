import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "./cross-entropy.js";
import { focal } from "./focal.js";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";

describe("focal", () => {
  it("is cross entropy at gamma 0, to the bit, for labels and for targets", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        for (const batch of [labeled(logits, 1), targeted(logits, targets)]) {
          const [mine, plain] = [focal({ gamma: 0 }), crossEntropy()].map((o) => o.valueAndGradients(batch));
          expect(mine!.value).toBe(plain!.value);
          expect(numbers(mine!.gradients.logits)).toEqual(numbers(plain!.gradients.logits));
        }
      }),
    );
  });

  it("is its formula", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const loss = softmaxOf(logits).reduce((sum, p, k) => sum - targets[k]! * (1 - p) ** 1.5 * Math.log(p), 0);
        expect(focal({ gamma: 1.5 }).evaluate(targeted(logits, targets)).value).toBeCloseTo(loss, 12);
      }),
    );
  });

  it("takes a label for a target of 1 there, also smoothed and under alpha", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const alpha = logits.map((_, k) => 0.5 + k);
        const oneHot = logits.map((_, k) => Number(k === 1));
        for (const labelSmoothing of [0, 0.25]) {
          const options = { alpha, labelSmoothing, gamma: 0.5 };
          const [hard, soft] = [labeled(logits, 1), targeted(logits, oneHot)].map((batch) =>
            focal(options).valueAndGradients(batch),
          );
          expect(hard!.value).toBeCloseTo(soft!.value, 13);
          for (const [k, slope] of numbers(hard!.gradients.logits).entries()) {
            expect(slope).toBeCloseTo(Number(soft!.gradients.logits.data[k]), 13);
          }
        }
      }),
    );
  });

  it("with reweightOnly keeps its value and has the factor times cross entropy's gradient", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const batch = labeled(logits, 0);
        const [through, only] = [false, true].map((reweightOnly) => focal({ reweightOnly }).valueAndGradients(batch));
        expect(only!.value).toBe(through!.value);
        const factor = (1 - softmaxOf(logits)[0]!) ** 2;
        const plain = numbers(crossEntropy().valueAndGradients(batch).gradients.logits);
        for (const [k, slope] of numbers(only!.gradients.logits).entries())
          expect(slope).toBeCloseTo(factor * plain[k]!, 12);
        expect(Math.abs(Number(through!.gradients.logits.data[0]))).toBeGreaterThan(Math.abs(factor * plain[0]!));
      }),
    );
    expect(focal({ reweightOnly: true }).describe()).toContain("detached");
    expect(focal().describe()).toContain("gradient through");
  });

  it("scales by alpha and divides by the count alone", () => {
    const batch = {
      logits: tensor([
        [1, 2],
        [0, 0.5],
      ]),
      labels: tensor([0, 1]),
    };
    const plain = numbers(focal().perUnit(batch));
    const { numerator, denominator } = focal({ alpha: [3, 0.5] }).evaluate(batch);
    expect(denominator).toBe(2);
    expect(numerator).toBeCloseTo(3 * plain[0]! + 0.5 * plain[1]!, 14);
    expect(numbers(focal({ alpha: [3, 0.5] }).perUnit(batch))).toEqual([3 * plain[0]!, 0.5 * plain[1]!]);
  });

  it("keeps the digits of an easy example", () => {
    const { value, gradients } = focal().valueAndGradients(labeled([40, 0], 0));
    expect(value / Math.exp(-120)).toBeCloseTo(1, 12); // (e^−40)² e^−40
    expect(Number(gradients.logits.data[0]) / (-3 * Math.exp(-120))).toBeCloseTo(1, 12);
  });

  it.each([0, 0.5, 1, 2])("is exact at ±1e4 with gamma %d", (gamma) => {
    const right = focal({ gamma }).valueAndGradients(labeled([1e4, -1e4], 0));
    expect([right.value, ...numbers(right.gradients.logits)]).toEqual([0, 0, 0]);
    const wrong = focal({ gamma }).valueAndGradients(labeled([1e4, -1e4], 1));
    expect([wrong.value, ...numbers(wrong.gradients.logits)]).toEqual([2e4, 1, -1]);
    expect(focal({ gamma }).evaluate(labeled([5], 0)).value).toBe(0);
  });

  it("takes −∞ for a forbidden class, and NaN and +∞ for NaN", () => {
    const spared = focal({ gamma: 0.5 }).valueAndGradients(labeled([1, Number.NEGATIVE_INFINITY, 0], 0));
    const without = focal({ gamma: 0.5 }).valueAndGradients(labeled([1, 0], 0));
    expect(spared.value).toBe(without.value);
    expect(spared.gradients.logits.data[1]).toBe(0);
    const forbidden = focal().valueAndGradients(labeled([Number.NEGATIVE_INFINITY, 0], 0));
    expect([forbidden.value, ...numbers(forbidden.gradients.logits)]).toEqual([Infinity, -1, 1]);
    for (const bad of [NaN, Infinity]) {
      const { value, gradients, notes } = focal().valueAndGradients(labeled([0, bad], 0));
      expect([value, ...numbers(gradients.logits)]).toEqual([NaN, NaN, NaN]);
      expect(notes).toHaveLength(1);
    }
  });

  it("is silent where alpha is 0, also where the loss would be infinite", () => {
    const batch = labeled([Number.NEGATIVE_INFINITY, 0], 0);
    const { value, gradients } = focal({ alpha: [0, 1] }).valueAndGradients(batch);
    expect([value, ...numbers(gradients.logits)]).toEqual([0, 0, 0]);
  });

  it.each([
    ["gamma", [-1, NaN, Infinity, "2"]],
    ["alpha", [0.25, [], [-1, 1], "none"]],
    ["labelSmoothing", [-0.1, 1]],
    ["reweightOnly", [0, null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => focal({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });

  it("refuses an alpha of another length than the classes, and notes targets that sum above 1", () => {
    expect(() => focal({ alpha: [1, 2, 3] }).evaluate(labeled([0, 1], 0))).toThrow(
      expect.objectContaining({ code: "option", field: "alpha" }),
    );
    expect(focal().evaluate(targeted([0, 1], [1, 1])).notes).toMatchObject([{ code: "targets-above-one" }]);
  });
});
