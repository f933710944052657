import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { lambdaRank } from "./lambda-rank.js";

const batchOf = (scores: number[], relevance: number[]) => ({
  scores: tensor(Float64Array.from(scores), [1, scores.length]),
  relevance: tensor(Float64Array.from(relevance), [1, scores.length]),
});
const items = fc.array(fc.tuple(fc.double({ min: -5, max: 5, noNaN: true }), fc.integer({ min: 0, max: 4 })), {
  minLength: 1,
  maxLength: 7,
});

/** The definition, written as it reads. */
function byDefinition(scores: number[], relevance: number[], temperature: number): number {
  const ranks = scores.map(
    (score, i) => 1 + scores.filter((other, j) => other > score || (other === score && j < i)).length,
  );
  const sorted = [...relevance].sort((a, b) => b - a);
  const ideal = sorted.reduce((sum, grade, k) => sum + (2 ** grade - 1) / Math.log2(k + 2), 0);
  let loss = 0;
  for (let i = 0; i < scores.length; i++) {
    for (let j = 0; j < scores.length; j++) {
      if (relevance[i]! <= relevance[j]!) continue;
      const discounts = Math.abs(1 / Math.log2(1 + ranks[i]!) - 1 / Math.log2(1 + ranks[j]!));
      const weight = ((2 ** relevance[i]! - 2 ** relevance[j]!) * discounts) / ideal;
      loss += weight * Math.log1p(Math.exp(-(scores[i]! - scores[j]!) / temperature));
    }
  }
  return loss;
}

describe("lambdaRank", () => {
  it("is its definition", () => {
    fc.assert(
      fc.property(items, fc.constantFrom(0.5, 1, 3), (drawn, temperature) => {
        const [scores, relevance] = [drawn.map(([score]) => score), drawn.map(([, grade]) => grade)];
        const { value } = lambdaRank({ temperature }).evaluate(batchOf(scores, relevance));
        expect(value).toBeCloseTo(byDefinition(scores, relevance, temperature), 11);
      }),
    );
  });

  it("ranks equal scores in the order given", () => {
    const relevance = [0, 2, 1, 0];
    expect(lambdaRank().evaluate(batchOf([1, 1, 1, 1], relevance)).value).toBeCloseTo(
      byDefinition([1, 1, 1, 1], relevance, 1),
      14,
    );
  });

  it("weighs a pair by what swapping it changes, and holds the weight constant", () => {
    const { value, gradients } = lambdaRank().valueAndGradients(batchOf([0, 1], [1, 0]));
    const weight = 1 - 1 / Math.log2(3);
    expect(value).toBeCloseTo(weight * Math.log1p(Math.E), 14);
    expect([...gradients.scores.data].map(Number)).toEqual([
      expect.closeTo(-weight / (1 + Math.exp(-1)), 14),
      expect.closeTo(weight / (1 + Math.exp(-1)), 14),
    ]);
  });

  it("has loss 0 and counts where no pair differs in relevance", () => {
    for (const relevance of [
      [0, 0, 0],
      [2, 2, 2],
    ]) {
      const { value, denominator, gradients } = lambdaRank().valueAndGradients(batchOf([3, 1, 2], relevance));
      expect([value, denominator, ...gradients.scores.data]).toEqual([0, 1, 0, 0, 0]);
    }
  });

  it("takes grades whose gains leave float64, and grades next to 0", () => {
    const huge = lambdaRank().evaluate(batchOf([0, 1], [5000, 0])).value;
    expect(huge).toBeCloseTo((1 - 1 / Math.log2(3)) * Math.log1p(Math.E), 13);
    // Tiny grades have gains y ln 2, in proportion: what counts is their ratio.
    const [small, tiny] = [1e-12, 1e-250].map((by) => lambdaRank().evaluate(batchOf([0, 1, 2], [2 * by, by, 0])).value);
    expect(tiny! / small!).toBeCloseTo(1, 11);
  });

  it("is exact at scores of ±1e4", () => {
    const weight = 1 - 1 / Math.log2(3);
    expect(lambdaRank().evaluate(batchOf([-1e4, 1e4], [1, 0])).value).toBeCloseTo(2e4 * weight, 9);
    expect(lambdaRank().evaluate(batchOf([1e4, -1e4], [1, 0])).value).toBe(0);
  });

  it.each([
    ["costs +∞ against a less relevant item", [-Infinity, 0], [1, 0], Infinity],
    ["costs nothing against a more relevant one", [-Infinity, 0], [0, 1], 0],
    ["is NaN against another of different relevance", [-Infinity, -Infinity], [0, 1], NaN],
  ])("a score of −∞ %s", (_, scores, relevance, loss) => {
    expect(lambdaRank().evaluate(batchOf(scores, relevance)).value).toBe(loss);
  });
});
