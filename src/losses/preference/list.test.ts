import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { approxNdcg } from "./approx-ndcg.js";
import { lambdaRank } from "./lambda-rank.js";
import { listMle } from "./list-mle.js";
import { listNet } from "./list-net.js";
import { rankingSoftmax } from "./ranking-softmax.js";

const factories = { rankingSoftmax, listNet, listMle, lambdaRank, approxNdcg };
const item = fc.record({
  score: fc.double({ min: -20, max: 20, noNaN: true }),
  grade: fc.integer({ min: 0, max: 4 }),
});

describe.each(Object.entries(factories))("%s: items of a list", (_, factory) => {
  const objective = factory();
  const batchOf = (items: readonly { score: number; grade: number }[], mask?: readonly number[]) => ({
    scores: tensor(
      Float64Array.from(items, ({ score }) => score),
      [1, items.length],
    ),
    relevance: tensor(
      Float64Array.from(items, ({ grade }) => grade),
      [1, items.length],
    ),
    ...(mask && { mask: tensor(Int32Array.from(mask), [1, mask.length]) }),
  });

  it("are those that the mask leaves: the others leave no trace, whatever they hold", () => {
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.boolean()), (items, coin) => {
        const kept = items.map(() => coin.next().value as boolean);
        kept[0] = true;
        const alone = objective.valueAndGradients(batchOf(items.filter((_item, k) => kept[k])));
        const padded = items.map((found, k) => (kept[k] ? found : { score: NaN, grade: NaN }));
        const masked = objective.valueAndGradients(batchOf(padded, kept.map(Number)));
        expect(masked.value).toBeCloseTo(alone.value, 12);
        expect(masked.notes).toEqual([]);
        const gradient = [...masked.gradients.scores.data].map(Number);
        expect(gradient.filter((_slope, k) => !kept[k])).toEqual(kept.filter((left) => !left).map(() => 0));
        const live = gradient.filter((_slope, k) => kept[k]);
        for (const [k, slope] of live.entries()) expect(slope).toBeCloseTo(Number(alone.gradients.scores.data[k]), 12);
      }),
    );
  });

  it("have scores that matter by their differences alone: the gradient of a list sums to 0", () => {
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 8 }), (items) => {
        const { gradients } = objective.valueAndGradients(batchOf(items));
        expect([...gradients.scores.data].map(Number).reduce((sum, slope) => sum + slope, 0)).toBeCloseTo(0, 10);
      }),
    );
  });

  it("make no unit where there is none: masked lists, lists of no length", () => {
    const items = [
      { score: 1, grade: 1 },
      { score: 2, grade: 0 },
    ];
    expect(objective.evaluate(batchOf(items, [0, 0]))).toMatchObject({ value: 0, denominator: 0 });
    const none = tensor(new Float64Array(0), [3, 0]);
    expect(objective.evaluate({ scores: none, relevance: none }).denominator).toBe(0);
  });

  it("are taken together by a mask with one entry a list", () => {
    const [scores, relevance] = [
      tensor([
        [1, 2],
        [NaN, 4],
      ]),
      tensor([
        [1, 0],
        [0, NaN],
      ]),
    ];
    const mask = tensor(Int32Array.of(1, 0));
    const { denominator, gradients } = objective.valueAndGradients({ scores, relevance, mask });
    expect(denominator).toBe(1);
    expect([...gradients.scores.data].slice(2)).toEqual([0, 0]);
  });

  it.each([NaN, Infinity])("give NaN to the whole list, and to no other, at a score of %d", (score) => {
    const scores = tensor([
      [1, score, 3],
      [1, 2, 3],
    ]);
    const relevance = tensor([
      [1, 2, 0],
      [0, 1, 2],
    ]);
    const mask = tensor([
      [1, 1, 0],
      [1, 1, 1],
    ]);
    const { value, gradients, notes } = objective.valueAndGradients({ scores, relevance, mask });
    expect([value, notes.length]).toEqual([NaN, 1]);
    const slopes = [...gradients.scores.data].map(Number);
    expect(slopes.slice(0, 3)).toEqual([NaN, NaN, 0]);
    expect(slopes.slice(3).every(Number.isFinite)).toBe(true);
  });

  it("have a relevance that is finite where it is read", () => {
    for (const grade of [NaN, Infinity, -Infinity]) {
      expect(() => objective.evaluate(batchOf([{ score: 1, grade }]))).toThrow(
        expect.objectContaining({ code: "value", field: "relevance" }),
      );
    }
  });

  it("come in any number of axes of lists, each list alone", () => {
    const data = Float64Array.from({ length: 24 }, (_entry, k) => ((k * 7) % 11) / 3);
    const grades = data.map((entry) => Math.floor(entry * 1.2));
    const deep = objective.perUnit({ scores: tensor(data, [2, 3, 4]), relevance: tensor(grades, [2, 3, 4]) });
    const flat = objective.perUnit({ scores: tensor(data, [6, 4]), relevance: tensor(grades, [6, 4]) });
    expect(deep.shape).toEqual([2, 3]);
    expect([...deep.data]).toEqual([...flat.data]);
  });
});

describe.each(Object.entries({ lambdaRank, approxNdcg }))("%s: options", (_, factory) => {
  it.each([0, -1, Infinity, NaN, "1", null])("refuse temperature %s", (temperature) => {
    expect(() => factory({ temperature: temperature as number })).toThrow(
      expect.objectContaining({ code: "option", field: "temperature" }),
    );
  });
});

describe.each(Object.entries({ lambdaRank, approxNdcg, rankingSoftmax }))("%s: relevance", (_, factory) => {
  it("is refused below 0", () => {
    const batch = { scores: tensor([[1, 2]]), relevance: tensor([[0, -1]]) };
    expect(() => factory().evaluate(batch)).toThrow(expect.objectContaining({ code: "value", field: "relevance" }));
  });
});
