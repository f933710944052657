import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { characterErrorRate, exactMatch, wordErrorRate } from "../index.js";
import { editDistance } from "./edit-distance.js";

/** The textbook table, row by row. */
function plainDistance(left: readonly string[], right: readonly string[]): number {
  let above = Array.from({ length: right.length + 1 }, (_, j) => j);
  for (const [i, entry] of left.entries()) {
    const row = [i + 1];
    for (const [j, other] of right.entries()) {
      row.push(Math.min(row[j]! + 1, above[j + 1]! + 1, above[j]! + (entry === other ? 0 : 1)));
    }
    above = row;
  }
  return above[right.length]!;
}

describe("editDistance", () => {
  it("is the textbook's, for words and characters of any plane", () => {
    const list = fc.array(fc.constantFrom("a", "b", "the", "é", "👍", "𝄞", ""), { maxLength: 60 });
    fc.assert(
      fc.property(list, list, (left, right) => {
        expect(editDistance("test", left, right)).toBe(plainDistance(left, right));
      }),
    );
  });

  it("tells 65,536 distinct entries apart and refuses more", () => {
    const words = Array.from({ length: 65536 }, (_, i) => `w${i}`);
    expect(editDistance("test", words, words.slice(1))).toBe(1);
    expect(() => editDistance("test", [...words, "one more"], [])).toThrow(/cut the texts/);
  });
});

describe("wordErrorRate", () => {
  const rate = (predictions: string[], references: string[], weights?: number[]) =>
    wordErrorRate()
      .update({ predictions, references, ...(weights && { weights: tensor(Float64Array.from(weights)) }) })
      .compute();

  it("divides all edits by all words, so that long texts count more", () => {
    expect(rate(["a", "a b c d"], ["b", "a b c d"])).toBe(1 / 5);
  });

  it("parts words at any white space and keeps case and punctuation", () => {
    expect(rate(["a\t b\n"], ["a b"])).toBe(0);
    expect(rate(["A b."], ["a b"])).toBe(1);
  });

  it("is infinite where nothing should be said and something is, and no number where nothing is either", () => {
    expect(rate(["a"], [""])).toBe(Number.POSITIVE_INFINITY);
    expect(rate([""], [""])).toBeNaN();
  });

  it("weighs edits and words alike", () => {
    expect(rate(["a", "x y"], ["b", "x z"], [2, 1])).toBe((2 + 1) / (2 + 2));
  });
});

describe("characterErrorRate", () => {
  it("counts code points, spaces too", () => {
    const rate = (prediction: string, reference: string) =>
      characterErrorRate()
        .update({ predictions: [prediction], references: [reference] })
        .compute();
    expect(rate("👍👍", "👍👎")).toBe(1 / 2);
    expect(rate("ab", "a b")).toBe(1 / 3);
    expect(rate("e\u0301", "é")).toBe(2);
  });
});

describe("exactMatch", () => {
  it("of tokens ignores what a label says to, and nothing else", () => {
    const match = (labels: number[][]) =>
      exactMatch()
        .update({
          predictions: tensor(Int32Array.of(1, 2, 3, 4), [2, 2]),
          labels: tensor(Int32Array.from(labels.flat()), [2, 2]),
        })
        .compute();
    expect(
      match([
        [1, -100],
        [3, 5],
      ]),
    ).toBe(0.5);
    expect(
      match([
        [-100, -100],
        [-100, 4],
      ]),
    ).toBe(1);
  });
});

describe("bad texts and tokens are refused:", () => {
  refuses([
    [
      "a tensor of texts",
      () => wordErrorRate().update(wrong({ predictions: tensor([1]), references: ["a"] })),
      "argument",
      "predictions",
      /a list of strings/,
    ],
    [
      "a number among texts",
      () => wordErrorRate().update(wrong({ predictions: ["a", 1], references: ["a", "b"] })),
      "argument",
      "predictions",
      /a number at \[1\]/,
    ],
    [
      "lists of two lengths",
      () => characterErrorRate().update({ predictions: ["a"], references: [] }),
      "shape",
      "references",
      /\[1\], as predictions has/,
    ],
    [
      "texts without references",
      () => exactMatch().update(wrong({ predictions: ["a"] })),
      "missing-field",
      "labels",
      /references/,
    ],
    [
      "tokens beside texts",
      () => exactMatch().update(wrong({ predictions: tensor(Int32Array.of(1)), references: ["a"] })),
      "argument",
      "predictions",
      /a list of strings/,
    ],
    [
      "a negative token",
      () =>
        exactMatch().update({
          predictions: tensor(Int32Array.of(-1), [1, 1]),
          labels: tensor(Int32Array.of(0), [1, 1]),
        }),
      "value",
      "predictions",
      /-1 at \[0, 0\]/,
    ],
  ]);
});
