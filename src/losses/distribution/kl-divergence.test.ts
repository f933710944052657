import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { numbers, rowWithTargets, softmaxOf, targeted } from "../categorical/rows.test-helper.js";
import { klDivergence } from "./kl-divergence.js";

const rowOf = (entries: readonly number[]) => tensor(Float64Array.from(entries), [1, entries.length]);
const pair = (logits: readonly number[], target: readonly number[]) => ({
  logits: rowOf(logits),
  targetLogits: rowOf(target),
});
const found = (batch: Parameters<ReturnType<typeof klDivergence>["evaluate"]>[0], options = {}) => {
  const { value, gradients, notes } = klDivergence(options).valueAndGradients(batch);
  return { value, slopes: numbers(gradients.logits), notes };
};
const directions = ["forward", "reverse"] as const;

describe("klDivergence", () => {
  it("forward is cross entropy minus the target's entropy, with the same gradient", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const entropy = targets.reduce((sum, q) => sum - (q === 0 ? 0 : q * Math.log(q)), 0);
        const plain = crossEntropy().valueAndGradients(targeted(logits, targets));
        const { value, slopes } = found(targeted(logits, targets));
        expect(value).toBeCloseTo(plain.value - entropy, 12);
        for (const [k, slope] of slopes.entries()) {
          expect(slope).toBeCloseTo(Number(plain.gradients.logits.data[k]), 12);
        }
      }),
    );
  });

  it("reverse is its formula, also for targets that do not sum to 1", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const above = targets.map((q) => q + 0.01);
        const p = softmaxOf(logits);
        const wanted = p.reduce((sum, entry, k) => sum + entry * Math.log(entry / above[k]!), 0);
        const { value, slopes } = found(targeted(logits, above), { direction: "reverse" });
        expect(value).toBeCloseTo(wanted, 11);
        for (const [k, slope] of slopes.entries()) {
          expect(slope).toBeCloseTo(p[k]! * (Math.log(p[k]! / above[k]!) - wanted), 11);
        }
      }),
    );
  });

  it.each(directions)("takes targetLogits for the softmax of them, %s", (direction) => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const other = targets.map((entry) => 5 * entry);
        const [fromLogits, given] = [pair(logits, other), targeted(logits, softmaxOf(other))].map((batch) =>
          found(batch, { direction }),
        );
        expect(fromLogits!.value).toBeCloseTo(given!.value, 12);
        for (const [k, slope] of fromLogits!.slopes.entries()) expect(slope).toBeCloseTo(given!.slopes[k]!, 12);
      }),
    );
  });

  it.each(directions)("is never negative, and 0 without gradient at equal logits, %s", (direction) => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        expect(found(pair(logits, targets), { direction }).value).toBeGreaterThanOrEqual(0);
        const equal = found(pair(logits, logits), { direction });
        expect([equal.value, ...equal.slopes]).toEqual([0, ...logits.map(() => 0)]);
      }),
    );
  });

  it.each(directions)("keeps the digits between distributions that are all but equal, %s", (direction) => {
    const h = 2 ** -20; // KL = h²/2 · q(1 − q) + O(h³), where Σ q log(q/p) gives rounding noise
    const { value, slopes } = found(pair([0, 1 + h], [0, 1]), { direction });
    const variance = Math.E / (1 + Math.E) ** 2;
    expect(value / ((h * h * variance) / 2)).toBeCloseTo(1, 5);
    expect(slopes[1]! / (h * variance)).toBeCloseTo(1, 5);
    expect(slopes[0]! / (-h * variance)).toBeCloseTo(1, 5);
  });

  it("keeps the digits of a sure and right answer", () => {
    const { value, slopes } = found(targeted([40, 0], [1, 0]));
    expect(value / Math.exp(-40)).toBeCloseTo(1, 12);
    expect(slopes[0]! / -Math.exp(-40)).toBeCloseTo(1, 12);
  });

  it("is exact at ±1e4", () => {
    const { value, slopes } = found(pair([1e4, -1e4], [-1e4, 1e4]));
    expect([value, ...slopes]).toEqual([2e4, 1, -1]);
    expect(found(pair([1e4, -1e4], [-1e4, 1e4]), { direction: "reverse" })).toMatchObject({
      value: 2e4,
      slopes: [0, 0],
    });
  });

  it("takes 0 log 0 for 0, and a class allowed on the wrong side alone for +∞", () => {
    const both = found(pair([0, -Infinity, 1], [1, -Infinity, 0]));
    expect(both.value).toBeCloseTo(found(pair([0, 1], [1, 0])).value, 14);
    expect(both.slopes[1]).toBe(0);
    expect(found(targeted([-Infinity, 0], [0.5, 0.5])).value).toBe(Infinity);
    expect(found(targeted([-Infinity, 0], [0.5, 0.5]), { direction: "reverse" }).value).toBeCloseTo(Math.LN2, 14);
    expect(found(targeted([0, 0], [0, 1]), { direction: "reverse" }).value).toBe(Infinity);
    expect(found(targeted([0, 0], [0, 1])).value).toBeCloseTo(Math.LN2, 14);
  });

  it.each([NaN, Infinity])("is NaN with a note where a logit on either side is %d", (bad) => {
    for (const batch of [pair([0, bad], [0, 1]), pair([0, 1], [0, bad])]) {
      const { value, slopes, notes } = found(batch);
      expect([value, ...slopes]).toEqual([NaN, NaN, NaN]);
      expect(notes).toMatchObject([{ code: "non-finite-input" }]);
    }
  });

  it("under a shift reads target logits beside the model's, and targets at the label", () => {
    const wave = (step: number) =>
      tensor(
        Float64Array.from({ length: 6 }, (_, i) => Math.sin(step * i)),
        [1, 3, 2],
      );
    const [logits, targetLogits] = [wave(1.7), wave(2.3)];
    const targets = tensor(Float64Array.from(wave(0.4).data as Float64Array, Math.abs), [1, 3, 2]);
    const plain = (batch: object) => numbers(klDivergence().perUnit(batch as never));
    const shifted = (batch: object) => numbers(klDivergence({ labelShift: 1 }).perUnit(batch as never));
    const whole = plain({ logits, targetLogits });
    expect(shifted({ logits, targetLogits })).toEqual([0, whole[0], whole[1]]);
    const [before, after] = [logits.data.slice(0, 4), targets.data.slice(2)] as [Float64Array, Float64Array];
    const moved = plain({ logits: tensor(before, [1, 2, 2]), targets: tensor(after, [1, 2, 2]) });
    expect(shifted({ logits, targets })).toEqual([0, ...moved]);
  });

  it("refuses negative targets, two targets, none, and another direction", () => {
    expect(() => found(targeted([0, 1], [1.1, -0.1]))).toThrow(
      expect.objectContaining({ code: "value", field: "targets" }),
    );
    const { logits, targetLogits } = pair([0, 1], [1, 0]);
    expect(() => found({ logits, targetLogits, targets: logits } as never)).toThrow(
      expect.objectContaining({ code: "argument" }),
    );
    expect(() => found({ logits } as never)).toThrow(expect.objectContaining({ code: "missing-field" }));
    expect(() => klDivergence({ direction: "backward" as never })).toThrow(
      expect.objectContaining({ code: "option", field: "direction" }),
    );
  });

  it("notes targets that sum above 1", () => {
    expect(found(targeted([0, 1], [1, 1])).notes).toMatchObject([{ code: "targets-above-one" }]);
    expect(found(targeted([0, 1], [0.5, 0.5])).notes).toEqual([]);
  });
});
