import { describe, expect, it } from "vitest";
import { normals } from "../../sequence/every-path.test-helper.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { ctc } from "./ctc.js";

const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers));
const rows = (width: number, ...numbers: number[]) => tensor(Int32Array.from(numbers), [numbers.length / width, width]);

/** Scores of T frames, B sequences and C classes, time first. */
const scores = (T: number, B: number, C: number, seed = 5) => tensor(normals(seed, T * B * C), [T, B, C]);

const small = () => ({
  logits: scores(6, 2, 4),
  labels: rows(3, 1, 2, 2, 3, 1, 0),
  inputLengths: ids(6, 4),
  labelLengths: ids(3, 2),
});

const numbers = ({ data }: Tensor) => Array.from(data as Float64Array);

describe("the chapter's three pitfalls of CTC", () => {
  it("[B, T, C] taken for [T, B, C] is refused where the lengths betray it, and the fix is named", () => {
    const { data } = scores(6, 2, 4);
    const batch = { ...small(), logits: tensor(data, [2, 6, 4]) };
    expect(() => ctc().evaluate(batch)).toThrow(
      expect.objectContaining({
        code: "shape",
        field: "logits",
        found: "[2, 6, 4]",
        fix: 'its axes are those of layout: "BTC": say so, or transpose logits to [T, B, C].',
      }),
    );
    expect(() => ctc({ layout: "BTC" }).evaluate(batch)).not.toThrow();
    expect(() => ctc({ layout: "BTC" }).evaluate(small())).toThrow(
      expect.objectContaining({ field: "logits", fix: expect.stringContaining('layout: "TBC"') }),
    );
  });

  it("fewer frames than the labels collapse from: +∞, gradient 0, and a note with the frames it would need", () => {
    const batch = { ...small(), inputLengths: ids(3, 4) };
    const result = ctc().valueAndGradients(batch);
    expect(result.value).toBe(Number.POSITIVE_INFINITY);
    expect(result.notes).toContainEqual(
      expect.objectContaining({ code: "impossible-alignment", field: "inputLengths", count: 1, unit: [0] }),
    );
    const { message } = result.notes.find(({ code }) => code === "impossible-alignment")!;
    expect(message).toContain("sequence 0 has 3 labels and 3 frames, and its alignments need 4 frames or more");
    expect(message).toContain("its loss is +∞, its gradient 0");
    const gradient = result.gradients.logits!;
    for (let t = 0; t < 6; t++) {
      for (let k = 0; k < 4; k++) expect(gradient.data[(t * 2 + 0) * 4 + k]).toBe(0);
    }
    expect(numbers(gradient).some((entry) => entry !== 0)).toBe(true);
  });

  it("a blank among the labels is refused, and so is a blank that is no class", () => {
    const withBlank = { ...small(), labels: rows(3, 1, 0, 2, 3, 1, 0) };
    expect(() => ctc().evaluate(withBlank)).toThrow(
      expect.objectContaining({
        code: "value",
        field: "labels",
        found: "0, the blank, at [0, 1]",
        index: [0, 1],
        fix: expect.stringContaining("set blank to one that no label has"),
      }),
    );
    expect(() => ctc({ blank: 4 }).evaluate(small())).toThrow(
      expect.objectContaining({ code: "option", field: "blank", expected: "a class in 0..3" }),
    );
  });
});

describe("ctc", () => {
  it("counts an impossible sequence with loss 0 under zeroInfinity, and says so", () => {
    const batch = { ...small(), inputLengths: ids(3, 4) };
    const alone = ctc().perUnit(small()).data[1] as number;
    const { value, denominator, notes } = ctc({ zeroInfinity: true }).valueAndGradients(batch);
    expect([value, denominator]).toEqual([alone / 2, 2]);
    expect(notes.map(({ code }) => code)).toEqual(["impossible-alignment"]);
    expect(notes[0]!.message).toContain("zeroInfinity makes its loss 0, and it counts");
  });

  it("never reads frames past inputLengths or labels past labelLengths, not even to blame them", () => {
    const clean = small();
    const poisoned = { ...small(), labels: rows(3, 1, 2, 2, 3, 1, 999) };
    const data = Float64Array.from(clean.logits.data as Float64Array);
    for (const t of [4, 5]) data.fill(Number.NaN, (t * 2 + 1) * 4, (t * 2 + 2) * 4);
    const objective = ctc();
    const batch = { ...poisoned, logits: tensor(data, [6, 2, 4]) };
    const [wanted, found] = [objective.valueAndGradients(clean), objective.valueAndGradients(batch)];
    expect(found.value).toBe(wanted.value);
    expect(numbers(found.gradients.logits!)).toEqual(numbers(wanted.gradients.logits!));
    const short = { ...batch, inputLengths: ids(6, 1) };
    expect(objective.evaluate(short).notes.map(({ code }) => code)).not.toContain("non-finite-input");
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "of a live frame with %d is NaN, says where, and spares the others",
    (bad) => {
      for (const field of ["logits", "logProbs"] as const) {
        const { logits, ...constants } = small();
        const data = Float64Array.from(logits.data as Float64Array, (entry) => entry - 9);
        data[1] = bad;
        const { value, notes, gradients } = ctc().valueAndGradients({ ...constants, [field]: tensor(data, [6, 2, 4]) });
        expect(value).toBeNaN();
        expect(notes).toContainEqual(
          expect.objectContaining({ code: "non-finite-input", field, message: expect.stringContaining("at entry 1") }),
        );
        const gradient = gradients[field]!.data as Float64Array;
        for (const [at, entry] of gradient.entries()) {
          expect(Number.isNaN(entry)).toBe(Math.floor(at / 4) % 2 === 0);
        }
      }
    },
  );

  it("of one frame and one label is cross entropy, loss and gradient, where the model is sure", () => {
    const logits = Float64Array.of(-3, 40, 0);
    const batch = { logits: tensor(logits, [1, 1, 3]), labels: rows(1, 1), inputLengths: ids(1), labelLengths: ids(1) };
    const found = ctc().valueAndGradients(batch);
    const wanted = crossEntropy().valueAndGradients({ logits: tensor(logits, [1, 3]), labels: ids(1) });
    expect(found.value / wanted.value).toBeCloseTo(1, 14);
    expect(found.value).toBeGreaterThan(4e-18);
    for (const [k, entry] of numbers(found.gradients.logits!).entries()) {
      expect(entry / (wanted.gradients.logits!.data[k] as number)).toBeCloseTo(1, 14);
    }
  });

  it("takes labels padded or one sequence after another, to the same bits", () => {
    const padded = ctc().valueAndGradients(small());
    const concatenated = ctc().valueAndGradients({ ...small(), labels: ids(1, 2, 2, 3, 1) });
    expect(concatenated.value).toBe(padded.value);
    expect(numbers(concatenated.gradients.logits!)).toEqual(numbers(padded.gradients.logits!));
  });

  it("takes both layouts, to the same bits", () => {
    const batch = small();
    const data = batch.logits.data as Float64Array;
    const swapped = Float64Array.from(data, (_, at) => {
      const [b, t, k] = [Math.floor(at / 24), Math.floor(at / 4) % 6, at % 4];
      return data[(t * 2 + b) * 4 + k]!;
    });
    const found = ctc({ layout: "BTC" }).valueAndGradients({ ...batch, logits: tensor(swapped, [2, 6, 4]) });
    const wanted = ctc().valueAndGradients(batch);
    expect(found.value).toBe(wanted.value);
    const gradient = wanted.gradients.logits!.data as Float64Array;
    expect(numbers(found.gradients.logits!)).toEqual(
      numbers(found.gradients.logits!).map((_, at) => {
        const [b, t, k] = [Math.floor(at / 24), Math.floor(at / 4) % 6, at % 4];
        return gradient[(t * 2 + b) * 4 + k]!;
      }),
    );
  });

  it("of no labels is the path of blanks alone; of no frames either, 0", () => {
    const logits = scores(2, 2, 3);
    const batch = { logits, labels: rows(1, 1, 1), inputLengths: ids(2, 0), labelLengths: ids(0, 0) };
    const blanks = [0, 1].map((t) => {
      const row = [0, 1, 2].map((k) => logits.data[t * 6 + k] as number);
      return Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[0]!;
    });
    const [first, second] = numbers(ctc().perUnit(batch));
    expect(first).toBeCloseTo(blanks[0]! + blanks[1]!, 14);
    expect(second).toBe(0);
    expect(numbers(ctc().perUnit({ ...batch, labelLengths: ids(0, 1) }))[1]).toBe(Number.POSITIVE_INFINITY);
  });

  it("of a class that −∞ forbids is +∞ with gradient 0 and says why", () => {
    const logits = tensor([[[0, Number.NEGATIVE_INFINITY, 0]], [[0, Number.NEGATIVE_INFINITY, 0]]]);
    const batch = { logits, labels: rows(1, 1), inputLengths: ids(2), labelLengths: ids(1) };
    const { value, notes, gradients } = ctc().valueAndGradients(batch);
    expect(value).toBe(Number.POSITIVE_INFINITY);
    expect(notes[0]!.message).toContain("every alignment of sequence 0 has a class of probability 0");
    expect(numbers(gradients.logits!)).toEqual(new Array(6).fill(0));
    const other = ctc().valueAndGradients({ ...batch, labels: rows(1, 2) });
    expect(other.value).toBeCloseTo(-Math.log(0.75), 14);
    expect([other.gradients.logits!.data[1], other.gradients.logits!.data[4]]).toEqual([0, 0]);
  });

  it("says that log-probabilities above 0 are none", () => {
    const { logits, ...constants } = small();
    const { notes } = ctc().evaluate({ ...constants, logProbs: tensor(logits.data, logits.shape) });
    expect(notes).toContainEqual(
      expect.objectContaining({ code: "log-probs-above-zero", field: "logProbs", count: 2 }),
    );
  });

  it("averages sequences, label means or labels", () => {
    const [first, second] = numbers(ctc().perUnit(small())) as [number, number];
    expect(ctc().evaluate(small()).value).toBeCloseTo((first + second) / 2, 14);
    expect(ctc({ per: "sequence" }).evaluate(small()).value).toBeCloseTo((first / 3 + second / 2) / 2, 14);
    expect(ctc({ per: "token" }).evaluate(small()).value).toBeCloseTo((first + second) / 5, 14);
  });

  it.each([
    ["a negative length", { inputLengths: ids(6, -1) }, "inputLengths", "-1 at [1]", "a length in 0..6"],
    ["more frames than there are", { inputLengths: ids(7, 4) }, "inputLengths", "7 at [0]", "a length in 0..6"],
    ["a negative label length", { labelLengths: ids(-2, 2) }, "labelLengths", "-2 at [0]", "a length in 0..3"],
    ["more labels than there are", { labelLengths: ids(3, 4) }, "labelLengths", "4 at [1]", "a length in 0..3"],
    [
      "a label out of range",
      { labels: rows(3, 1, 2, 4, 3, 1, 0) },
      "labels",
      "4 at [0, 2]",
      "0..3 other than the blank 0",
    ],
    [
      "a negative label",
      { labels: rows(3, 1, -1, 2, 3, 1, 0) },
      "labels",
      "-1 at [0, 1]",
      "0..3 other than the blank 0",
    ],
    [
      "too few concatenated labels",
      { labels: ids(1, 2, 2, 3) },
      "labels",
      "4 concatenated labels for lengths that sum to 5",
      "",
    ],
    ["too many concatenated labels", { labels: ids(1, 2, 2, 3, 1, 1) }, "labels", "6 concatenated", "as many labels"],
  ])("refuses %s, with the fix", (_what, change, field, found, expected) => {
    expect(() => ctc().valueAndGradients({ ...small(), ...change })).toThrow(
      expect.objectContaining({
        code: "value",
        field,
        found: expect.stringContaining(found),
        expected: expect.stringContaining(expected),
        fix: expect.any(String),
      }),
    );
  });

  it("refuses labels of three axes, naming both shapes it takes", () => {
    const labels = tensor(new Int32Array(6), [2, 3, 1]);
    expect(() => ctc().evaluate({ ...small(), labels })).toThrow(
      expect.objectContaining({ code: "shape", field: "labels", expected: "2 axes: [B, S] or [N]" }),
    );
  });

  it("does not check a masked sequence", () => {
    const batch = { ...small(), mask: ids(1, 0), labels: rows(3, 1, 2, 2, 0, 9, 0), inputLengths: ids(6, 99) };
    expect(ctc().evaluate(batch).value).toBe(ctc().perUnit(small()).data[0]);
  });
});
