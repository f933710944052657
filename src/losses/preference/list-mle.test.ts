import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { listMle } from "./list-mle.js";
import { pairwiseLogistic } from "./pairwise-logistic.js";

const batchOf = (scores: number[], relevance: number[]) => ({
  scores: tensor(Float64Array.from(scores), [1, scores.length]),
  relevance: tensor(Float64Array.from(relevance), [1, scores.length]),
});
const slopes = (batch: ReturnType<typeof batchOf>) =>
  [...listMle().valueAndGradients(batch).gradients.scores.data].map(Number);

describe("listMle", () => {
  it("is cross entropy stage by stage, over the items that remain", () => {
    const items = fc.array(fc.tuple(fc.double({ min: -30, max: 30, noNaN: true }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 7,
    });
    fc.assert(
      fc.property(items, (drawn) => {
        const order = drawn.map((_, k) => k).sort((a, b) => drawn[b]![1] - drawn[a]![1] || a - b);
        let value = 0;
        const gradient = drawn.map(() => 0);
        for (let stage = 0; stage < order.length; stage++) {
          const rest = order.slice(stage);
          const result = crossEntropy().valueAndGradients({
            logits: tensor(
              Float64Array.from(rest, (k) => drawn[k]![0]),
              [1, rest.length],
            ),
            labels: tensor(Int32Array.of(0)),
          });
          value += result.value;
          for (const [i, k] of rest.entries()) gradient[k]! += Number(result.gradients.logits.data[i]);
        }
        const batch = batchOf(
          drawn.map(([score]) => score),
          drawn.map(([, grade]) => grade),
        );
        const found = listMle().evaluate(batch).value;
        expect(Math.abs(found - value)).toBeLessThanOrEqual(1e-13 * Math.max(1, value));
        for (const [k, slope] of slopes(batch).entries()) expect(slope).toBeCloseTo(gradient[k]!, 12);
      }),
    );
  });

  it("is the pairwise logistic loss of two items", () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (difference) => {
        const pair = pairwiseLogistic().evaluate({
          chosen: tensor(Float64Array.of(difference)),
          rejected: tensor(Float64Array.of(0)),
        });
        expect(listMle().evaluate(batchOf([0, difference], [0, 1])).value).toBe(pair.value);
      }),
    );
  });

  it("is log N! at equal scores", () => {
    expect(listMle().evaluate(batchOf([2, 2, 2, 2], [3, 1, 2, 0])).value).toBeCloseTo(Math.log(24), 14);
  });

  it("keeps the order given among ties", () => {
    const [first, second] = [
      [3, 0],
      [0, 3],
    ].map((scores) => listMle().evaluate(batchOf(scores, [1, 1])).value);
    expect(first).toBeCloseTo(Math.log1p(Math.exp(-3)), 14);
    expect(second).toBeCloseTo(Math.log1p(Math.exp(3)), 14);
  });

  it("keeps the tiny loss of a list in perfect order", () => {
    const { value } = listMle().evaluate(batchOf([80, 40, 0], [2, 1, 0]));
    expect(value).toBeCloseTo(2 * 4.248354255291589e-18, 32);
    const [first, , last] = slopes(batchOf([80, 40, 0], [2, 1, 0]));
    expect([first, last]).toEqual([-4.248354255291589e-18, 4.248354255291589e-18]);
  });

  it("is exact at scores of ±1e4, in both orders", () => {
    expect(listMle().evaluate(batchOf([1e4, 0, -1e4], [2, 1, 0])).value).toBe(0);
    expect(listMle().evaluate(batchOf([-1e4, 0, 1e4], [2, 1, 0])).value).toBe(3e4);
    expect(slopes(batchOf([-1e4, 0, 1e4], [2, 1, 0]))).toEqual([-1, -1, 2]);
  });

  it.each([
    ["last costs nothing", [1, 0, -Infinity], [2, 1, 0], Math.log1p(Math.exp(-1))],
    ["before others costs +∞", [1, -Infinity, 0], [2, 1, 0], Infinity],
    ["twice at the end is NaN", [1, -Infinity, -Infinity], [2, 1, 0], NaN],
    ["alone costs nothing", [-Infinity], [1], 0],
  ])("a score of −∞ %s", (_, scores, relevance, loss) => {
    const { value } = listMle().evaluate(batchOf(scores, relevance));
    if (Number.isFinite(loss)) expect(value).toBeCloseTo(loss, 14);
    else expect(value).toBe(loss);
  });
});
