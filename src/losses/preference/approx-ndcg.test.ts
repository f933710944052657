import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { approxNdcg } from "./approx-ndcg.js";

const batchOf = (scores: number[], relevance: number[]) => ({
  scores: tensor(Float64Array.from(scores), [1, scores.length]),
  relevance: tensor(Float64Array.from(relevance), [1, scores.length]),
});
const items = fc.array(fc.tuple(fc.double({ min: -5, max: 5, noNaN: true }), fc.integer({ min: 0, max: 4 })), {
  minLength: 1,
  maxLength: 7,
});

/** 1 − DCG / ideal DCG at some ranks, written as it reads. */
function lossAtRanks(ranks: number[], relevance: number[]): number {
  const ideal = [...relevance].sort((a, b) => b - a).reduce((sum, y, k) => sum + (2 ** y - 1) / Math.log2(k + 2), 0);
  const gained = relevance.reduce((sum, y, i) => sum + (2 ** y - 1) / Math.log2(1 + ranks[i]!), 0);
  return ideal === 0 ? 0 : 1 - gained / ideal;
}

describe("approxNdcg", () => {
  it("is its definition", () => {
    fc.assert(
      fc.property(items, fc.constantFrom(0.5, 1, 3), (drawn, temperature) => {
        const [scores, relevance] = [drawn.map(([score]) => score), drawn.map(([, grade]) => grade)];
        const ranks = scores.map(
          (score, i) =>
            1 + scores.reduce((sum, s, j) => sum + (j === i ? 0 : 1 / (1 + Math.exp((score - s) / temperature))), 0),
        );
        const { value } = approxNdcg({ temperature }).evaluate(batchOf(scores, relevance));
        expect(value).toBeCloseTo(lossAtRanks(ranks, relevance), 12);
      }),
    );
  });

  it("is 1 − NDCG where the temperature is far below every difference", () => {
    const [scores, relevance] = [
      [3, -1, 2, 0.5],
      [0, 3, 1, 2],
    ];
    const { value, gradients } = approxNdcg({ temperature: 1e-4 }).valueAndGradients(batchOf(scores, relevance));
    expect(value).toBeCloseTo(lossAtRanks([1, 4, 2, 3], relevance), 14);
    expect([...gradients.scores.data].every((slope) => slope === 0)).toBe(true);
  });

  it("shares places among equal scores", () => {
    const { value } = approxNdcg().evaluate(batchOf([1, 1, 1], [2, 1, 0]));
    expect(value).toBeCloseTo(lossAtRanks([2, 2, 2], [2, 1, 0]), 14);
  });

  it("keeps the small loss of a nearly perfect list, where 1 − NDCG is 0", () => {
    const { value, gradients } = approxNdcg().valueAndGradients(batchOf([50, 0], [1, 0]));
    // One rank is σ(−50) too low: −d/drank 1/log2(1 + rank) at 1 is 1/(2 ln 2).
    expect(value / (Math.exp(-50) / (2 * Math.LN2))).toBeCloseTo(1, 12);
    expect(Number(gradients.scores.data[0]) / (-Math.exp(-50) / (2 * Math.LN2))).toBeCloseTo(1, 12);
  });

  it("has nothing to order in a list without relevance: loss and gradient 0, and it counts", () => {
    const { value, denominator, gradients } = approxNdcg().valueAndGradients(batchOf([3, 1], [0, 0]));
    expect([value, denominator, ...gradients.scores.data]).toEqual([0, 1, 0, 0]);
  });

  it("is finite for grades whose gains leave float64", () => {
    expect(approxNdcg().evaluate(batchOf([0, 0], [5000, 0])).value).toBeCloseTo(lossAtRanks([1.5, 1.5], [1, 0]), 14);
  });

  it("is exact at scores of ±1e4, ranks the score −∞ last, and two of them nowhere", () => {
    expect(approxNdcg().evaluate(batchOf([1e4, -1e4], [1, 0])).value).toBe(0);
    const last = 1 - 1 / Math.log2(3);
    expect(approxNdcg().evaluate(batchOf([-1e4, 1e4], [1, 0])).value).toBeCloseTo(last, 14);
    expect(approxNdcg().evaluate(batchOf([-Infinity, 0], [1, 0])).value).toBeCloseTo(last, 14);
    expect(approxNdcg().evaluate(batchOf([-Infinity, -Infinity], [1, 0])).value).toBe(NaN);
  });
});
