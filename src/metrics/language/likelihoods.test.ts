import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { crossEntropy } from "../../losses/all.js";
import { softmax, tensor } from "../../tensor/index.js";
import { bitsPerByte, perplexity, tokenAccuracy } from "../index.js";

const draws = fc.array(
  fc.tuple(
    fc.double({ min: -30, max: 30, noNaN: true }),
    fc.double({ min: -30, max: 30, noNaN: true }),
    fc.double({ min: -30, max: 30, noNaN: true }),
    fc.constantFrom(-100, 0, 1, 2),
  ),
  { minLength: 1, maxLength: 20 },
);

describe("perplexity", () => {
  it("is the exponential of the cross entropy of the same tokens", () => {
    fc.assert(
      fc.property(draws, (rows) => {
        const logits = tensor(Float64Array.from(rows.flatMap((row) => row.slice(0, 3))), [rows.length, 3]);
        const labels = tensor(Int32Array.from(rows, (row) => row[3]));
        const counted = rows.filter((row) => row[3] !== -100).length;
        const found = perplexity().update({ logits, labels }).compute();
        if (counted === 0) expect(found).toBeNaN();
        else expect(Math.log(found)).toBeCloseTo(crossEntropy().evaluate({ logits, labels }).value, 10);
      }),
    );
  });

  it("of sums is that of the tokens they were summed over", () => {
    const tokens = perplexity().update({ negativeLogLikelihood: tensor([1, 2, 3, 6]), tokens: tensor([1, 1, 1, 1]) });
    const texts = perplexity().update({ negativeLogLikelihood: tensor([6, 6]), tokens: tensor([3, 1]) });
    expect(texts.compute()).toBe(tokens.compute());
    expect(texts.compute()).toBeCloseTo(Math.exp(3), 12);
  });

  it("is infinite where a token was held impossible, and no number where every class is forbidden", () => {
    const of = (logits: number[]) =>
      perplexity()
        .update({ logits: tensor(Float64Array.from(logits), [1, 2]), labels: tensor(Int32Array.of(0)) })
        .compute();
    expect(of([Number.NEGATIVE_INFINITY, 0])).toBe(Number.POSITIVE_INFINITY);
    expect(of([0, Number.NEGATIVE_INFINITY])).toBe(1);
    expect(of([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])).toBeNaN();
  });
});

describe("bitsPerByte", () => {
  it("is one bit where each byte is a fair coin", () => {
    const logits = tensor(new Float64Array(8), [4, 2]);
    const labels = tensor(Int32Array.of(0, 1, 1, 0));
    const bytes = tensor(Int32Array.of(1, 1, 1, 1));
    expect(bitsPerByte().update({ logits, labels, bytes }).compute()).toBeCloseTo(1, 14);
  });

  it("leaves the bytes of an ignored token out", () => {
    const logits = tensor(new Float64Array(4), [2, 2]);
    const made = bitsPerByte().update({ logits, labels: tensor(Int32Array.of(0, -100)), bytes: tensor([2, 50]) });
    expect(made.compute()).toBeCloseTo(0.5, 14);
  });
});

describe("tokenAccuracy", () => {
  it("takes the first of equal logits, as greedy decoding does", () => {
    const logits = tensor([[1, 1, 0]]);
    expect(
      tokenAccuracy()
        .update({ logits, labels: tensor(Int32Array.of(0)) })
        .compute(),
    ).toBe(1);
    expect(
      tokenAccuracy()
        .update({ logits, labels: tensor(Int32Array.of(1)) })
        .compute(),
    ).toBe(0);
  });

  it("takes predicted tokens too", () => {
    const predictions = tensor(Int32Array.of(1, 2, 3), [1, 3]);
    expect(
      tokenAccuracy()
        .update({ predictions, labels: tensor(Int32Array.of(1, 2, -100), [1, 3]) })
        .compute(),
    ).toBe(1);
  });
});

describe("bad likelihoods are refused:", () => {
  const labels = tensor(Int32Array.of(0));
  refuses([
    [
      "probabilities",
      () => perplexity().update(wrong({ logits: softmax(tensor([[0, 1]])), labels })),
      "role",
      "logits",
      /raw scores/,
    ],
    [
      "a label beyond the vocabulary",
      () => perplexity().update({ logits: tensor([[0, 1]]), labels: tensor(Int32Array.of(2)) }),
      "value",
      "labels",
      /0\.\.1/,
    ],
    [
      "+∞ as a logit",
      () => perplexity().update({ logits: tensor([[0, Number.POSITIVE_INFINITY]]), labels }),
      "value",
      "logits",
      /below \+∞/,
    ],
    [
      "a negative sum",
      () => perplexity().update({ negativeLogLikelihood: tensor([-1]), tokens: tensor([1]) }),
      "value",
      "negativeLogLikelihood",
      /at least 0/,
    ],
    [
      "a negative count",
      () => bitsPerByte().update({ negativeLogLikelihood: tensor([1]), bytes: tensor([-1]) }),
      "value",
      "bytes",
      /at least 0/,
    ],
    [
      "both forms at once",
      () => perplexity().update(wrong({ logits: tensor([[0, 1]]), labels, tokens: labels })),
      "argument",
      undefined,
      /logits, labels/,
    ],
    [
      "float labels",
      () => perplexity().update({ logits: tensor([[0, 1]]), labels: tensor(new Float64Array(1)) }),
      "dtype",
      "labels",
      /integers/,
    ],
  ]);
});
