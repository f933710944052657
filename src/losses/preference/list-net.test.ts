import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { listNet } from "./list-net.js";

const batchOf = (scores: number[], relevance: number[]) => ({
  scores: tensor(Float64Array.from(scores), [1, scores.length]),
  relevance: tensor(Float64Array.from(relevance), [1, scores.length]),
});
const list = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 1, maxLength: 6 });

describe("listNet", () => {
  it("is least, the entropy of the target, where scores are relevance up to a constant", () => {
    fc.assert(
      fc.property(list, (relevance) => {
        const exponentials = relevance.map((grade) => Math.exp(grade));
        const sum = exponentials.reduce((left, right) => left + right);
        const entropy = exponentials.reduce((left, e) => left - (e / sum) * Math.log(e / sum), 0);
        const { value, gradients } = listNet().valueAndGradients(
          batchOf(
            relevance.map((grade) => grade + 3),
            relevance,
          ),
        );
        expect(value).toBeCloseTo(entropy, 11);
        for (const slope of gradients.scores.data) expect(Number(slope)).toBeCloseTo(0, 12);
      }),
    );
  });

  it("sees differences of relevance alone", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }), (relevance) => {
        const scores = relevance.map((_, k) => Math.sin(k));
        const moved = relevance.map((grade) => grade + 100);
        expect(listNet().evaluate(batchOf(scores, moved)).value).toBe(
          listNet().evaluate(batchOf(scores, relevance)).value,
        );
      }),
    );
  });

  it("is the ranking logistic loss of a sure pair", () => {
    const { value, gradients } = listNet().valueAndGradients(batchOf([-30, 0], [1e4, 0]));
    expect(value).toBeCloseTo(30, 12);
    expect([...gradients.scores.data].map(Number)).toEqual([expect.closeTo(-1, 12), expect.closeTo(1, 12)]);
  });

  it("costs +∞ where a score of −∞ forbids an item of the target, 0 extra where its share is 0", () => {
    expect(listNet().evaluate(batchOf([-Infinity, 0], [1, 1])).value).toBe(Infinity);
    expect(listNet().evaluate(batchOf([-Infinity, 0], [0, 1e4])).value).toBe(0);
    expect(listNet().evaluate(batchOf([-Infinity, -Infinity], [1, 1])).value).toBe(NaN);
  });
});
