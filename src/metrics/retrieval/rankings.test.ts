import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { hitRate } from "./hit-rate.js";
import { meanAveragePrecision } from "./mean-average-precision.js";
import { meanReciprocalRank } from "./mean-reciprocal-rank.js";
import { ndcg } from "./ndcg.js";
import { precisionAtK } from "./precision-at-k.js";
import { recallAtK } from "./recall-at-k.js";

const row = (values: readonly number[]) => tensor(Float64Array.from(values), [1, values.length]);

/** Relevance in the order of distinct scores, and how the scores stand in the fields. */
const queries = fc.integer({ min: 1, max: 9 }).chain((length) =>
  fc.record({
    ranked: fc.array(fc.constantFrom(0, 1), { minLength: length, maxLength: length }),
    order: fc.shuffledSubarray(
      Array.from({ length }, (_, i) => i),
      { minLength: length, maxLength: length },
    ),
    k: fc.integer({ min: 1, max: 10 }),
  }),
);

const naive = {
  recallAtK: (top: readonly number[], relevant: number) => sum(top) / relevant,
  precisionAtK: (top: readonly number[], _: number, k: number) => sum(top) / k,
  hitRate: (top: readonly number[]) => (sum(top) > 0 ? 1 : 0),
  meanReciprocalRank: (top: readonly number[]) => (top.includes(1) ? 1 / (top.indexOf(1) + 1) : 0),
  meanAveragePrecision: (top: readonly number[]) => {
    const precisions = top.flatMap((flag, i) => (flag ? [sum(top.slice(0, i + 1)) / (i + 1)] : []));
    return precisions.length ? sum(precisions) / precisions.length : 0;
  },
};
const metrics = { recallAtK, precisionAtK, hitRate, meanReciprocalRank, meanAveragePrecision };
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe("metrics of retrieval", () => {
  it.each(Object.keys(metrics) as (keyof typeof metrics)[])("%s is what its words say", (name) => {
    fc.assert(
      fc.property(queries, ({ ranked, order, k }) => {
        const scores = row(order.map((rank) => -rank));
        const relevance = row(order.map((rank) => ranked[rank]!));
        const relevant = sum(ranked);
        const wanted = relevant === 0 ? 0 : naive[name](ranked.slice(0, k), relevant, k);
        expect(metrics[name]({ k }).update({ scores, relevance }).compute()).toBeCloseTo(wanted, 12);
      }),
    );
  });

  it("ndcg is 1 for the best order, whatever the grades, and less for the worst", () => {
    const relevance = row([3, 2, 1, 0]);
    expect(
      ndcg()
        .update({ scores: row([4, 3, 2, 1]), relevance })
        .compute(),
    ).toBe(1);
    expect(
      ndcg()
        .update({ scores: row([1, 2, 3, 4]), relevance })
        .compute(),
    ).toBeLessThan(0.7);
  });

  it("documents that do not exist are not read", () => {
    const mask = row([1, 0, 1]);
    const fields = { scores: row([1, Number.NaN, 2]), relevance: row([1, Number.NaN, 0]), mask };
    expect(meanReciprocalRank().update(fields).compute()).toBe(0.5);
    expect(ndcg().update(fields).compute()).toBeCloseTo(Math.log(2) / Math.log(3), 14);
  });

  it("a query without a relevant document is 0, 1, or left out", () => {
    const fields = {
      scores: tensor([
        [1, 2],
        [1, 2],
      ]),
      relevance: tensor([
        [0, 0],
        [0, 1],
      ]),
    };
    const value = (emptyQueries: "zero" | "one" | "skip") =>
      precisionAtK({ k: 2, emptyQueries }).update(fields).compute();
    expect([value("zero"), value("one"), value("skip")]).toEqual([0.25, 0.75, 0.5]);
  });

  refuses([
    [
      "a grade where flags belong",
      () => recallAtK().update({ scores: row([1]), relevance: row([2]) }),
      "value",
      "relevance",
      /0 or 1/,
    ],
    [
      "a negative grade",
      () => ndcg().update({ scores: row([1]), relevance: row([-1]) }),
      "value",
      "relevance",
      /at least 0/,
    ],
    ["no document looked at", () => hitRate({ k: 0 }), "option", "k", /1/],
  ]);
});
