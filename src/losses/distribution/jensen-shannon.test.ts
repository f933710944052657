import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { logitRow, numbers, softmaxOf } from "../categorical/rows.test-helper.js";
import { jensenShannon } from "./jensen-shannon.js";
import { klDivergence } from "./kl-divergence.js";

const rowOf = (entries: readonly number[]) => tensor(Float64Array.from(entries), [1, entries.length]);
const pair = (logits: readonly number[], target: readonly number[]) => ({
  logits: rowOf(logits),
  targetLogits: rowOf(target),
});
const found = (logits: readonly number[], target: readonly number[], options = {}) => {
  const { value, gradients, notes } = jensenShannon(options).valueAndGradients(pair(logits, target));
  return { value, slopes: numbers(gradients.logits), notes };
};
const rows = logitRow.chain((left) =>
  fc.tuple(
    fc.constant(left),
    fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: left.length, maxLength: left.length }),
  ),
);
const share = fc.constantFrom(0.1, 0.3, 0.5, 0.9);

describe("jensenShannon", () => {
  it("is its formula over the mixture", () => {
    fc.assert(
      fc.property(rows, share, ([z, t], beta) => {
        const [p, q] = [softmaxOf(z), softmaxOf(t)];
        const m = p.map((entry, k) => (1 - beta) * entry + beta * q[k]!);
        const kl = (from: number[]) => from.reduce((sum, entry, k) => sum + entry * Math.log(entry / m[k]!), 0);
        expect(found(z, t, { beta }).value).toBeCloseTo(beta * kl(q) + (1 - beta) * kl(p), 12);
      }),
    );
  });

  it("is symmetric at 1/2, and trading places trades the shares", () => {
    fc.assert(
      fc.property(rows, share, ([z, t], beta) => {
        expect(found(z, t, { beta }).value).toBeCloseTo(found(t, z, { beta: 1 - beta }).value, 13);
      }),
    );
  });

  it("is KL(target‖model) at 0 and KL(model‖target) at 1, to the bit", () => {
    fc.assert(
      fc.property(rows, ([z, t]) => {
        for (const [beta, direction] of [
          [0, "forward"],
          [1, "reverse"],
        ] as const) {
          const { value, gradients } = klDivergence({ direction }).valueAndGradients(pair(z, t));
          const mine = found(z, t, { beta });
          expect(mine.value).toBe(value);
          expect(mine.slopes).toEqual(numbers(gradients.logits));
        }
      }),
    );
    expect(jensenShannon({ beta: 0 }).describe()).toContain("KL(target‖model)");
    expect(jensenShannon({ beta: 1 }).describe()).toContain("KL(model‖target)");
  });

  it("lies between 0, reached at equal logits, and the entropy of the coin, reached where nothing is shared", () => {
    fc.assert(
      fc.property(rows, share, ([z, t], beta) => {
        const bound = -beta * Math.log(beta) - (1 - beta) * Math.log(1 - beta);
        const { value } = found(z, t, { beta });
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(bound + 1e-15);
        const equal = found(z, z, { beta });
        expect([equal.value, ...equal.slopes]).toEqual([0, ...z.map(() => 0)]);
        expect(found([1e4, -1e4], [-1e4, 1e4], { beta }).value).toBeCloseTo(bound, 14);
        expect(found([-Infinity, 0], [0, -Infinity], { beta }).value).toBeCloseTo(bound, 14);
      }),
    );
  });

  it("keeps the digits between distributions that are all but equal", () => {
    const h = 2 ** -20; // β(1 − β) h²/2 · q(1 − q)
    const variance = Math.E / (1 + Math.E) ** 2;
    for (const beta of [0.1, 0.5]) {
      const { value, slopes } = found([0, 1 + h], [0, 1], { beta });
      expect(value / ((beta * (1 - beta) * h * h * variance) / 2)).toBeCloseTo(1, 5);
      expect(slopes[1]! / (beta * (1 - beta) * h * variance)).toBeCloseTo(1, 5);
    }
  });

  it("keeps the digits of a share near 0 and near 1", () => {
    // p = [1, 0], q = [0, 1]: the entropy of the coin.
    for (const beta of [1e-12, 1 - 1e-12]) {
      const rest = 1 - beta;
      const bound = -beta * Math.log(beta) - rest * Math.log(rest);
      expect(found([1e4, 0], [0, 1e4], { beta }).value / bound).toBeCloseTo(1, 4);
    }
    const few = 1e-12 * (-Math.log(1e-12) + 1);
    expect(found([1e4, 0], [0, 1e4], { beta: 1e-12 }).value / few).toBeCloseTo(1, 11);
  });

  it("has a finite gradient where a class is forbidden on one side", () => {
    const { value, slopes } = found([0, 0, 1], [-Infinity, 0, 1]);
    expect(value).toBeGreaterThan(0);
    expect(slopes.every(Number.isFinite)).toBe(true);
    expect(found([-Infinity, 0, 1], [0, 0, 1]).slopes[0]).toBe(0);
  });

  it.each([NaN, Infinity])("is NaN with a note where a logit on either side is %d", (bad) => {
    for (const { value, slopes, notes } of [found([0, bad], [0, 1]), found([0, 1], [0, bad])]) {
      expect([value, ...slopes]).toEqual([NaN, NaN, NaN]);
      expect(notes).toMatchObject([{ code: "non-finite-input" }]);
    }
  });

  it("refuses a beta outside [0, 1]", () => {
    for (const beta of [-0.1, 1.1, NaN, null]) {
      expect(() => jensenShannon({ beta } as never)).toThrow(
        expect.objectContaining({ code: "option", field: "beta" }),
      );
    }
  });
});
