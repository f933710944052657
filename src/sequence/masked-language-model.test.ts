import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { crossEntropy, type MaskedLanguageModelInput, maskedLanguageModel, maskPlan, tensor } from "../index.js";

const vocabularySize = 30;
const specialIds = [0, 1, 2, 4];
const setup = { maskId: 4, vocabularySize, specialIds, seed: 7 };

const idsOf = (rows: number, steps: number, at: (i: number) => number) =>
  tensor(
    Int32Array.from({ length: rows * steps }, (_, i) => at(i)),
    [rows, steps],
  );

const anyIds = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 12 }), fc.infiniteStream(fc.nat(vocabularySize - 1)))
  .map(([rows, steps, stream]) => tensor(Int32Array.from(stream.take(rows * steps)), [rows, steps]));

describe("maskedLanguageModel", () => {
  it("chooses about 15 % of the tokens, and of those masks 80 %, replaces 10 % and keeps 10 %", () => {
    const { counts } = maskedLanguageModel({ ...setup, ids: idsOf(200, 500, (i) => 5 + (i % 20)) });
    expect(counts.candidates).toBe(100_000);
    // Each within five standard deviations.
    expect(Math.abs(counts.chosen - 15_000)).toBeLessThan(5 * Math.sqrt(100_000 * 0.15 * 0.85));
    expect(Math.abs(counts.masked / counts.chosen - 0.8)).toBeLessThan(5 * Math.sqrt(0.16 / counts.chosen));
    expect(Math.abs(counts.randomized / counts.chosen - 0.1)).toBeLessThan(5 * Math.sqrt(0.09 / counts.chosen));
    expect(counts.masked + counts.randomized + counts.kept).toBe(counts.chosen);
  });

  it("asks for the tokens it chose, leaves the others alone, and says which is which", () => {
    fc.assert(
      fc.property(anyIds, fc.nat(), (ids, seed) => {
        const { inputIds, labels, plan, counts } = maskedLanguageModel({ ...setup, ids, seed, share: 0.6 });
        const seen = [0, 0, 0, 0];
        for (let i = 0; i < ids.data.length; i++) {
          const [id, read, label] = [ids.data[i], inputIds.data[i], labels.data[i]];
          seen[plan.data[i]!]!++;
          expect(label).toBe(plan.data[i] === maskPlan.untouched ? -100 : id);
          if (plan.data[i] === maskPlan.masked) expect(read).toBe(4);
          else if (plan.data[i] === maskPlan.randomized) expect(specialIds).not.toContain(read);
          else expect(read).toBe(id);
        }
        expect([counts.masked, counts.randomized, counts.kept]).toEqual(seen.slice(1));
      }),
    );
  });

  it("never chooses a special token or padding, and never draws one", () => {
    const ids = idsOf(50, 40, (i) => (i % 3 === 0 ? specialIds[i % 4]! : 10));
    const attentionMask = idsOf(50, 40, (i) => Number(i % 40 < 30));
    const { labels, inputIds, plan } = maskedLanguageModel({
      ...setup,
      ids,
      attentionMask,
      share: 1,
      masked: 0,
      randomized: 1,
    });
    for (let i = 0; i < ids.data.length; i++) {
      const chosen = i % 3 !== 0 && i % 40 < 30;
      expect(labels.data[i]).toBe(chosen ? 10 : -100);
      expect(plan.data[i]).toBe(chosen ? maskPlan.randomized : maskPlan.untouched);
      if (chosen) expect(specialIds).not.toContain(inputIds.data[i]);
    }
    const drawn = new Set([...inputIds.data].map(Number).filter((_, i) => i % 3 !== 0 && i % 40 < 30));
    expect([...drawn].sort((a, b) => a - b)).toEqual([3, ...Array.from({ length: 25 }, (_, i) => 5 + i)]);
  });

  it("chooses words whole, at the same rate", () => {
    const ids = idsOf(100, 60, (i) => 5 + (i % 20));
    const wordIds = idsOf(100, 60, (i) => Math.floor((i % 60) / 3));
    const { labels, counts } = maskedLanguageModel({ ...setup, ids, wordIds });
    for (let i = 0; i < ids.data.length; i += 3) {
      const chosen = [0, 1, 2].map((t) => labels.data[i + t] !== -100);
      expect(new Set(chosen).size).toBe(1);
    }
    expect(Math.abs(counts.chosen - 900)).toBeLessThan(5 * 3 * Math.sqrt(2000 * 0.15 * 0.85));
  });

  it("ends a word at the end of its row and of its document, and chooses no token of none", () => {
    const ids = idsOf(400, 4, () => 10);
    const wordIds = idsOf(400, 4, (i) => (i % 4 === 3 ? -1 : 0));
    const segmentIds = idsOf(400, 4, (i) => (i % 4 === 0 ? 1 : 2));
    const { labels } = maskedLanguageModel({ ...setup, ids, wordIds, segmentIds, share: 0.5 });
    const patterns = Array.from({ length: 400 }, (_, b) =>
      [0, 1, 2, 3].map((t) => Number(labels.data[b * 4 + t] !== -100)).join(""),
    );
    expect([...new Set(patterns)].sort()).toEqual(["0000", "0110", "1000", "1110"]);
  });

  it("is the same plan for the same seed, another for another, and for any split of the rows", () => {
    fc.assert(
      fc.property(anyIds, fc.nat(), fc.nat(3), (ids, seed, cut) => {
        const whole = maskedLanguageModel({ ...setup, ids, seed });
        expect(maskedLanguageModel({ ...setup, ids, seed })).toEqual(whole);
        const [rows, steps] = ids.shape as [number, number];
        const first = Math.min(cut, rows);
        const rest = tensor((ids.data as Int32Array).slice(first * steps), [rows - first, steps]);
        const part = maskedLanguageModel({ ...setup, ids: rest, seed, firstRow: first });
        expect([...part.inputIds.data]).toEqual([...whole.inputIds.data].slice(first * steps));
      }),
    );
    const ids = idsOf(4, 50, () => 10);
    const plans = [1, 2, 3].map((seed) => [...maskedLanguageModel({ ...setup, ids, seed }).plan.data].join(""));
    expect(new Set(plans).size).toBe(3);
  });

  it("holds to the plan of this version: a change of it is a change of every training run", () => {
    const { plan, inputIds } = maskedLanguageModel({ ...setup, ids: idsOf(1, 40, (i) => 5 + (i % 25)), share: 0.5 });
    expect([...plan.data].join("")).toBe("0111310130001311001012210001100011101130");
    expect([...inputIds.data].join(" ")).toBe(
      "5 4 4 4 9 4 11 4 13 14 15 16 4 18 4 4 21 22 4 24 4 29 23 4 29 5 6 4 4 9 10 11 4 4 4 15 4 4 18 19",
    );
  });

  it("keeps int64 and changes nothing of what it was given", () => {
    const ids = tensor(
      BigInt64Array.from({ length: 40 }, () => 10n),
      [2, 20],
    );
    const { inputIds, labels } = maskedLanguageModel({ ...setup, ids, share: 1 });
    expect([inputIds.dtype, labels.dtype]).toEqual(["int64", "int64"]);
    expect([...ids.data].every((id) => id === 10n)).toBe(true);
    expect([...labels.data].every((label) => label === 10n)).toBe(true);
  });

  it("makes labels that cross entropy counts, without a shift", () => {
    const ids = idsOf(8, 16, (i) => 5 + (i % 20));
    const { labels, counts } = maskedLanguageModel({ ...setup, ids });
    const logits = tensor(new Float32Array(8 * 16 * vocabularySize), [8, 16, vocabularySize]);
    const { value, denominator } = crossEntropy().evaluate({ logits, labels });
    expect(denominator).toBe(counts.chosen);
    expect(value).toBeCloseTo(Math.log(vocabularySize), 12);
  });

  describe("refuses", () => {
    const ids = tensor([[5, 6]]);
    const plan = (input: Partial<MaskedLanguageModelInput>) => () =>
      maskedLanguageModel({ ...setup, ids, ...input } as MaskedLanguageModelInput);
    refuses([
      ["no seed", plan({ seed: wrong(undefined) }), "option", "seed", /whole number from 0/],
      ["no special ids", plan({ specialIds: wrong(undefined) }), "option", "specialIds", /\[\] where there are none/],
      [
        "nothing but special ids",
        plan({ vocabularySize: 2, specialIds: [0, 1] }),
        "option",
        "specialIds",
        /not special/,
      ],
      ["a share in percent", plan({ share: 15 }), "option", "share", /\[0, 1\]/],
      ["shares above 1", plan({ masked: 0.8, randomized: 0.3 }), "option", "randomized", /at most 1/],
      ["an id outside the vocabulary", plan({ vocabularySize: 6 }), "value", "ids", /6 at \[0, 1\].*0\.\.5/],
      ["segments without words", plan({ segmentIds: ids }), "argument", "segmentIds", /wordIds/],
      ["words of another shape", plan({ wordIds: tensor([[1]]) }), "shape", "wordIds", /\[1, 2\]/],
      ["a near miss", plan(wrong({ maskID: 4 })), "unknown", "maskID", /"maskId"/],
    ]);
  });
});
