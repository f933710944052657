import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorOf, refuses, wrong } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { accuracy, bootstrap, bootstrapFrom, exactMatch, pairedComparison } from "../index.js";
import { poissonCount } from "./poisson.js";

/** Drawn predictions of which about a share is right, from a small generator of its own. */
function drawn(count: number, share: number, seed = 1) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const labels = Int32Array.from({ length: count }, () => Math.floor(next() * 3));
  const predictions = labels.map((label) => (next() < share ? label : (label + 1) % 3));
  return { labels, predictions };
}

const ids = (count: number, from = 0) => tensor(Int32Array.from({ length: count }, (_, i) => from + i));

describe("poissonCount", () => {
  it("has mean and variance 1 and the probabilities of a Poisson number", () => {
    const counts = new Array<number>(12).fill(0);
    const total = 400000;
    for (let i = 0; i < total; i++) counts[poissonCount(3, i % 200, 1 + i * 7919)]!++;
    const mean = counts.reduce((sum, n, k) => sum + n * k, 0) / total;
    expect(mean).toBeGreaterThan(0.98);
    expect(mean).toBeLessThan(1.02);
    expect(counts[0]! / total).toBeCloseTo(Math.exp(-1), 2);
    expect(counts[2]! / total).toBeCloseTo(Math.exp(-1) / 2, 2);
    expect(counts[5]! / total).toBeCloseTo(Math.exp(-1) / 120, 3);
  });

  it("follows from seed, replicate and tag alone", () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(1e6), fc.nat(), (seed, replicate, tag) => {
        expect(poissonCount(seed, replicate, tag + 1)).toBe(poissonCount(seed, replicate, tag + 1));
      }),
    );
    const draws = (seed: number, tag: number) =>
      Array.from({ length: 40 }, (_, r) => poissonCount(seed, r, tag)).join();
    expect(new Set([draws(0, 1), draws(1, 1), draws(0, 2), draws(0, 1 + 2 ** 40)]).size).toBe(4);
  });
});

describe("bootstrap", () => {
  it("finds the standard error of a share: √(p (1 − p) / n)", () => {
    const { labels, predictions } = drawn(400, 0.7);
    const made = bootstrap(accuracy(), { replicates: 2000, seed: 5 });
    made.update({ labels: tensor(labels), predictions: tensor(predictions), sampleIds: ids(400) });
    const { value, standardError, lower, upper, replicates } = made.compute();
    const theory = Math.sqrt((value * (1 - value)) / 400);
    expect(value).toBe(
      accuracy()
        .update({ labels: tensor(labels), predictions: tensor(predictions) })
        .compute(),
    );
    expect(standardError / theory).toBeGreaterThan(0.93);
    expect(standardError / theory).toBeLessThan(1.07);
    expect((upper - lower) / (2 * 1.96 * theory)).toBeGreaterThan(0.9);
    expect((upper - lower) / (2 * 1.96 * theory)).toBeLessThan(1.1);
    expect(replicates).toBe(2000);
  });

  it("gives the same bits for any order and split of the samples", () => {
    const { labels, predictions } = drawn(60, 0.6);
    const part = (rows: readonly number[]) => ({
      labels: tensor(Int32Array.from(rows, (row) => labels[row]!)),
      predictions: tensor(Int32Array.from(rows, (row) => predictions[row]!)),
      sampleIds: tensor(BigInt64Array.from(rows, (row) => BigInt(row))),
    });
    const options = { replicates: 50, seed: 9 };
    const all = Array.from({ length: 60 }, (_, i) => i);
    const whole = JSON.stringify(bootstrap(accuracy(), options).update(part(all)).compute());
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: 60 }), fc.nat(60), (order, cut) => {
        const first = bootstrap(accuracy(), options).update(part(order.slice(0, cut)));
        const second = bootstrap(accuracy(), options).update(part(order.slice(cut)));
        expect(JSON.stringify(first.merge(second).compute())).toBe(whole);
      }),
      { numRuns: 20 },
    );
  });

  it("draws clusters as a whole: samples that repeat each other add no certainty", () => {
    const { labels, predictions } = drawn(50, 0.6);
    const repeated = (list: Int32Array) =>
      tensor(Int32Array.from({ length: 500 }, (_, i) => list[Math.floor(i / 10)]!));
    const fields = { labels: repeated(labels), predictions: repeated(predictions) };
    const clusters = tensor(Int32Array.from({ length: 500 }, (_, i) => Math.floor(i / 10)));
    const options = { replicates: 1000 };
    const naive = bootstrap(accuracy(), options)
      .update({ ...fields, sampleIds: ids(500) })
      .compute();
    const clustered = bootstrap(accuracy(), options)
      .update({ ...fields, clusterIds: clusters })
      .compute();
    const ratio = clustered.standardError / naive.standardError;
    expect(ratio).toBeGreaterThan(Math.sqrt(10) * 0.85);
    expect(ratio).toBeLessThan(Math.sqrt(10) * 1.15);
  });

  it("takes strings as names, and one name for all positions of a row", () => {
    const fields = { predictions: ["a", "b", "c"], references: ["a", "x", "c"] };
    const made = bootstrap(exactMatch(), { replicates: 20 }).update({ ...fields, sampleIds: ["p/1", "p/2", "p/3"] });
    expect(made.compute().value).toBeCloseTo(2 / 3, 15);
    const grid = {
      predictions: tensor([
        [1, 2],
        [0, 1],
      ]),
      labels: tensor([
        [1, 0],
        [0, 1],
      ]),
    };
    const rows = bootstrap(accuracy(), { replicates: 20 }).update({ ...grid, sampleIds: ids(2) });
    expect(rows.compute().value).toBe(0.75);
  });

  it("leaves replicates without a value out and counts the others", () => {
    const made = bootstrap(accuracy(), { replicates: 200 });
    made.update({ labels: tensor([1]), predictions: tensor([1]), sampleIds: ids(1) });
    const { replicates, lower } = made.compute();
    // A single sample is drawn in no replicate with probability 1/e.
    expect(replicates).toBeGreaterThan(100);
    expect(replicates).toBeLessThan(150);
    expect(lower).toBe(1);
  });

  it("comes back from JSON", () => {
    const { labels, predictions } = drawn(30, 0.6);
    const fields = { labels: tensor(labels), predictions: tensor(predictions), sampleIds: ids(30) };
    const made = bootstrap(accuracy(), { replicates: 30, seed: 2 }).update(fields);
    const through = bootstrapFrom(JSON.parse(JSON.stringify(made)));
    expect(through.compute()).toEqual(made.compute());
    expect(errorOf(() => bootstrapFrom(wrong({ ...made.toJSON(), replicates: [] })))).toMatchObject({
      code: "argument",
    });
  });
});

describe("pairedComparison", () => {
  it("is far surer of a small difference than two intervals side by side", () => {
    const { labels, predictions } = drawn(500, 0.7);
    // The right model repairs one mistake in ten and makes no new one.
    const better = predictions.map((prediction, i) => (i % 10 === 0 ? labels[i]! : prediction));
    const made = pairedComparison(accuracy(), { replicates: 1000, seed: 4 });
    const side = (list: Int32Array) => ({ predictions: tensor(list), labels: tensor(labels) });
    made.update({ left: side(predictions), right: side(better), sampleIds: ids(500) });
    const { left, right, difference, pValue, rightHigher } = made.compute();
    expect(difference.value).toBe(right.value - left.value);
    expect(left.upper).toBeGreaterThan(right.lower);
    expect(difference.lower).toBeGreaterThan(0);
    expect(pValue).toBeLessThan(0.01);
    expect(rightHigher).toBe(1);
  });

  it("says that two equal models do not differ", () => {
    const { labels, predictions } = drawn(100, 0.7);
    const side = { predictions: tensor(predictions), labels: tensor(labels) };
    const compared = pairedComparison(accuracy(), { replicates: 100 })
      .update({ left: side, right: side, sampleIds: ids(100) })
      .compute();
    expect(compared).toMatchObject({ pValue: 1, rightHigher: 0.5, difference: { value: 0, lower: 0, upper: 0 } });
  });

  it("is what it was where one side throws", () => {
    const side = { predictions: tensor([1, 2]), labels: tensor([1, 1]) };
    const made = pairedComparison(accuracy(), { replicates: 20 }).update({
      left: side,
      right: side,
      sampleIds: ids(2),
    });
    const bad = { predictions: tensor([1, -2]), labels: tensor([1, 1]) };
    expect(errorOf(() => made.update({ left: side, right: bad, sampleIds: ids(2, 2) }))).toMatchObject({
      code: "value",
    });
    expect(made.compute().left.value).toBe(0.5);
    expect(made.compute().difference.value).toBe(0);
  });
});

describe("bad resampling is refused:", () => {
  const six = { labels: tensor([1, 0, 1, 0, 1, 0]), predictions: tensor([1, 1, 1, 1, 1, 1]) };
  const sides = { left: six, right: { ...six, labels: tensor([1, 0, 1, 0, 1, 1]) }, sampleIds: ids(6) };
  const fields = { labels: tensor([1, 0]), predictions: tensor([1, 1]) };
  const made = () => bootstrap(accuracy(), { replicates: 4 });
  refuses([
    ["no names", () => made().update(fields), "missing-field", "sampleIds", /number the evaluation set once/],
    [
      "both kinds of names",
      () => made().update({ ...fields, sampleIds: ids(2), clusterIds: ids(2) }),
      "argument",
      "sampleIds",
      /sampleIds or clusterIds/,
    ],
    [
      "names that only divide the samples",
      () => made().update({ ...six, sampleIds: ids(2) }),
      "shape",
      "sampleIds",
      /2 names for 6 samples/,
    ],
    [
      "sides of other labels",
      () => pairedComparison(accuracy()).update(sides),
      "argument",
      "labels",
      /align both models/,
    ],
    [
      "names of another length",
      () => made().update({ ...fields, sampleIds: ids(3) }),
      "shape",
      "sampleIds",
      /3 names for 2 samples/,
    ],
    [
      "fractions as names",
      () => made().update({ ...fields, sampleIds: tensor([0.5, 1]) }),
      "dtype",
      "sampleIds",
      /integers/,
    ],
    [
      "a metric that has seen samples",
      () => bootstrap(accuracy().update(fields)),
      "argument",
      undefined,
      /make a new one/,
    ],
    ["one replicate", () => bootstrap(accuracy(), { replicates: 1 }), "option", "replicates", /at least 2/],
    ["a misspelt option", () => bootstrap(accuracy(), wrong({ replicate: 10 })), "unknown", "replicate", /replicates/],
    [
      "another seed",
      () => made().merge(bootstrap(accuracy(), { replicates: 4, seed: 1 })),
      "merge",
      undefined,
      /same options/,
    ],
  ]);
});
