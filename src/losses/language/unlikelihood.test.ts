import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "../categorical/rows.test-helper.js";
import { unlikelihood } from "./unlikelihood.js";

describe("unlikelihood", () => {
  it("is its formula, for labels and for targets", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const p = softmaxOf(logits);
        expect(unlikelihood().evaluate(labeled(logits, 1)).value).toBeCloseTo(-Math.log1p(-p[1]!), 10);
        const sum = targets.reduce((total, target, k) => total - target * Math.log1p(-p[k]!), 0);
        expect(unlikelihood().evaluate(targeted(logits, targets)).value).toBeCloseTo(sum, 10);
      }),
    );
  });

  it("of one label is that of a weight of 1 there, to the bit", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const one = unlikelihood().valueAndGradients(labeled(logits, 0));
        const weights = logits.map((_, k) => Number(k === 0));
        const same = unlikelihood().valueAndGradients(targeted(logits, weights));
        expect([one.value, ...numbers(one.gradients.logits)]).toEqual([same.value, ...numbers(same.gradients.logits)]);
      }),
    );
  });

  it("has a gradient that sums to 0: a constant on every logit changes nothing", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const slopes = numbers(unlikelihood().valueAndGradients(targeted(logits, targets)).gradients.logits);
        expect(slopes.reduce((sum, slope) => sum + slope)).toBeCloseTo(0, 12);
      }),
    );
  });

  it("is finite where p rounds to 1, and its gradient pushes the others up by their shares", () => {
    const { value, gradients, notes } = unlikelihood().valueAndGradients(labeled([1000, 0, 0], 0));
    expect(value).toBeCloseTo(1000 - Math.LN2, 12);
    expect(numbers(gradients.logits)).toEqual([1, -0.5, -0.5]);
    expect(notes).toEqual([]);
    const wide = unlikelihood().valueAndGradients(labeled([1e6, -1e6, 0], 0));
    expect([wide.value, ...numbers(wide.gradients.logits)]).toEqual([1e6, 1, 0, -1]);
  });

  it("keeps the digits of a token that is hardly likely", () => {
    const { value, gradients } = unlikelihood().valueAndGradients(labeled([-60, 0], 0));
    expect(value / Math.exp(-60)).toBeCloseTo(1, 12);
    expect(numbers(gradients.logits)[0]! / Math.exp(-60)).toBeCloseTo(1, 12);
  });

  it("of equal logits is log K/(K − 1), for many classes too", () => {
    for (const classes of [2, 3, 1000, 50_000]) {
      const { value } = unlikelihood().evaluate(labeled(new Array<number>(classes).fill(7), 3 % classes));
      expect(value / -Math.log1p(-1 / classes)).toBeCloseTo(1, 12);
    }
  });

  it("adds the pulls of several unwanted tokens, one of them sure", () => {
    const { value, gradients } = unlikelihood().valueAndGradients(targeted([800, 1, 0], [1, 1, 0]));
    const shares = softmaxOf([1, 0]);
    expect(value).toBeCloseTo(800 - Math.log(Math.E + 1), 10);
    for (const [k, slope] of [1, -shares[0]!, -shares[1]!].entries()) {
      expect(numbers(gradients.logits)[k]).toBeCloseTo(slope, 14);
    }
  });

  it("leaves a sure token alone that nobody calls unwanted", () => {
    const { value, gradients } = unlikelihood().valueAndGradients(targeted([2000, 0, 0], [0, 0, 0.5]));
    expect([value, ...numbers(gradients.logits)]).toEqual([0, 0, 0, 0]);
  });

  it("says nothing of targets that sum above 1: several tokens may be unwanted at once", () => {
    expect(unlikelihood().evaluate(targeted([0, 0, 0], [1, 1, 0])).notes).toEqual([]);
  });

  it("is 0 for an unwanted token that is forbidden, +∞ where nothing else is allowed", () => {
    const never = Number.NEGATIVE_INFINITY;
    const free = unlikelihood().valueAndGradients(labeled([never, 1, 0], 0));
    expect([free.value, ...numbers(free.gradients.logits)]).toEqual([0, 0, 0, 0]);
    const stuck = unlikelihood().valueAndGradients(labeled([3, never, never], 0));
    expect([stuck.value, ...numbers(stuck.gradients.logits)]).toEqual([Number.POSITIVE_INFINITY, 1, 0, 0]);
    expect(stuck.notes).toMatchObject([{ code: "non-finite-loss", count: 1 }]);
    expect(unlikelihood().evaluate(labeled([5], 0)).value).toBe(Number.POSITIVE_INFINITY);
  });

  it("is NaN for NaN and +∞, with a note", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const { value, gradients, notes } = unlikelihood().valueAndGradients(labeled([bad, 0], 1));
      expect([value, ...numbers(gradients.logits)]).toEqual([NaN, NaN, NaN]);
      expect(notes).toMatchObject([{ code: "non-finite-input", field: "logits" }]);
    }
  });

  it("asks for unwanted tokens in one form", () => {
    const { logits } = labeled([0, 1], 0);
    expect(() => unlikelihood().evaluate({ logits } as never)).toThrow(
      expect.objectContaining({ code: "missing-field", field: "labels or targets" }),
    );
  });
});
