import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { auroc } from "./auroc.js";
import type { Bounded } from "./buckets.js";
import { fieldsOf, pairwiseArea, samples } from "./score-metrics.test-helper.js";

const scores = tensor([0.1, 0.4, 0.35, 0.8]);
const labels = tensor([0, 0, 1, 1]);

describe("auroc", () => {
  it("is the share of pairs in the right order, ties half, by weight", () => {
    fc.assert(
      fc.property(samples, (list) => {
        const found = auroc().update(fieldsOf(list)).compute() as number;
        const expected = pairwiseArea(list);
        if (Number.isNaN(expected)) expect(found).toBeNaN();
        else expect(found).toBeCloseTo(expected, 12);
        expect(found > 1).toBe(false);
      }),
    );
  });

  it("lies between the bounds of any resolution, to the last bit", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 20 }), (list, resolutionBits) => {
        const exact = auroc().update(fieldsOf(list)).compute() as number;
        const { value, lower, upper } = auroc({ resolutionBits }).update(fieldsOf(list)).compute() as Bounded;
        if (Number.isNaN(exact)) {
          expect([value, lower, upper]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
          return;
        }
        for (const inside of [exact, value]) {
          expect(lower).toBeLessThanOrEqual(inside);
          expect(upper).toBeGreaterThanOrEqual(inside);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("has bounds that meet where every bucket is of one kind", () => {
    const fields = { scores, labels };
    expect(auroc({ resolutionBits: 20 }).update(fields).compute()).toEqual({ value: 0.75, lower: 0.75, upper: 0.75 });
  });

  it("takes the weight of a sample for its number", () => {
    const twice = { scores: tensor([1, 2, 2, 3]), labels: tensor([0, 1, 1, 0]) };
    const weighed = { scores: tensor([1, 2, 3]), labels: tensor([0, 1, 0]), weights: tensor([1, 2, 1]) };
    expect(auroc().update(weighed).compute()).toBe(auroc().update(twice).compute());
  });

  it("counts ±∞ as scores, and −0 as 0", () => {
    const fields = { scores: tensor([-Infinity, -0, 0, Infinity]), labels: tensor([0, 0, 1, 1]) };
    expect(auroc().update(fields).compute()).toBe(0.875);
    const reversed = { scores: tensor([-Infinity, 0, -0, Infinity]), labels: tensor([0, 0, 1, 1]) };
    expect(auroc().update(reversed).compute()).toBe(0.875);
  });

  it("is 1/2 for guessing at any limit of the false positive rate, and 1 for the best", () => {
    for (const maxFalsePositiveRate of [0.1, 0.5, 1]) {
      const guess = { scores: tensor([1, 1, 1, 1]), labels };
      expect(auroc({ maxFalsePositiveRate }).update(guess).compute()).toBeCloseTo(0.5, 14);
      const best = { scores: tensor([1, 2, 3, 4]), labels };
      expect(auroc({ maxFalsePositiveRate }).update(best).compute()).toBeCloseTo(1, 14);
    }
  });

  it("has no value where a class is absent, nor its mean over classes", () => {
    expect(
      auroc()
        .update({ scores, labels: tensor([1, 1, 1, 1]) })
        .compute(),
    ).toBeNaN();
    const three = {
      scores: tensor([
        [0.2, 0.3, 0.5],
        [0.6, 0.3, 0.1],
      ]),
      labels: tensor([0, 1]),
    };
    expect(auroc().update(three).compute()).toBeNaN();
    expect(auroc({ multiClass: "ovo" }).update(three).compute()).toBeNaN();
    // A class that no sample is of has no weight.
    expect(auroc({ average: "weighted" }).update(three).compute()).toBe(0.25);
  });

  const row = { scores: tensor([[0.2, 0.8]]), labels: tensor([1]) };
  refuses([
    [
      "a score that is no number",
      () => auroc().update({ scores: tensor([Number.NaN]), labels: tensor([1]) }),
      "value",
      "scores",
      /a number/,
    ],
    ["a label of 2", () => auroc().update({ scores: tensor([1]), labels: tensor([2]) }), "value", "labels", /0 or 1/],
    ["a class out of range", () => auroc().update({ ...row, labels: tensor([2]) }), "value", "labels", /0\.\.1/],
    ["scores of other classes than said", () => auroc({ classes: 3 }).update(row), "shape", "scores", /3 along K/],
    [
      "one class where three are said, in buckets",
      () => auroc({ classes: 3, resolutionBits: 4 }).update({ scores, labels }),
      "shape",
      "scores",
      /3 along K/,
    ],
    [
      "classes in buckets",
      () => auroc({ resolutionBits: 4 }).update(row),
      "unsupported",
      "resolutionBits",
      /one metric a class/,
    ],
    [
      "a limit beside buckets",
      () => auroc({ resolutionBits: 4, maxFalsePositiveRate: 0.5 }).update({ scores, labels }),
      "option",
      "resolutionBits",
      /one of the two/,
    ],
    [
      "pairs of flags",
      () => auroc({ multiClass: "ovo", multilabel: true }).update({ ...row, labels: tensor([[0, 1]]) }),
      "option",
      "multiClass",
      /ovr/,
    ],
    ["pairs, pooled", () => auroc({ multiClass: "ovo", average: "micro" }).update(row), "option", "average", /macro/],
    ["an average that is none", () => auroc({ average: wrong("mean") }), "option", "average", /macro/],
    ["a limit of 0", () => auroc({ maxFalsePositiveRate: 0 }), "option", "maxFalsePositiveRate", /0/],
    [
      "updates of two and of three classes",
      () =>
        auroc()
          .update(row)
          .update({ scores: tensor([[1, 2, 3]]), labels: tensor([0]) })
          .compute(),
      "argument",
      "scores",
      /one number of classes/,
    ],
  ]);
});
