import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { rankingSoftmax } from "./ranking-softmax.js";

const batchOf = (scores: number[], relevance: number[]) => ({
  scores: tensor(Float64Array.from(scores), [1, scores.length]),
  relevance: tensor(Float64Array.from(relevance), [1, scores.length]),
});

describe("rankingSoftmax", () => {
  it("is cross entropy where one item is relevant, to the bit", () => {
    const list = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(list, fc.nat(), (scores, nat) => {
        const label = nat % scores.length;
        const ranking = rankingSoftmax().valueAndGradients(
          batchOf(
            scores,
            scores.map((_, k) => Number(k === label)),
          ),
        );
        const categorical = crossEntropy().valueAndGradients({
          logits: tensor(Float64Array.from(scores), [1, scores.length]),
          labels: tensor(Int32Array.of(label)),
        });
        expect(ranking.value).toBe(categorical.value);
        const positiveZero = (slope: number | bigint) => Number(slope) + 0;
        expect([...ranking.gradients.scores.data].map(positiveZero)).toEqual(
          [...categorical.gradients.logits.data].map(positiveZero),
        );
      }),
    );
  });

  it("is linear in relevance, which is not normalized", () => {
    const [once, twice] = [1, 2].map((by) => rankingSoftmax().evaluate(batchOf([1, -2, 0.5], [by, 0, 3 * by])));
    expect(twice!.value).toBe(2 * once!.value);
  });

  it("has loss 0 without relevance, and counts", () => {
    const { value, denominator, gradients } = rankingSoftmax().valueAndGradients(batchOf([5, -5], [0, 0]));
    expect([value, denominator, ...[...gradients.scores.data].map((slope) => Number(slope) + 0)]).toEqual([0, 1, 0, 0]);
  });

  it.each([
    ["forbids an item without relevance", [-Infinity, 0, 0], [0, 1, 0], Math.LN2],
    ["costs +∞ where it has relevance", [-Infinity, 0, 0], [1, 1, 0], Infinity],
    ["is NaN where all are", [-Infinity, -Infinity], [1, 0], NaN],
  ])("a score of −∞ %s", (_, scores, relevance, loss) => {
    expect(rankingSoftmax().evaluate(batchOf(scores, relevance)).value).toBe(loss);
  });

  it("keeps the small loss of a list that is all but decided", () => {
    expect(rankingSoftmax().evaluate(batchOf([40, 0], [1, 0])).value).toBe(4.248354255291589e-18);
  });
});
