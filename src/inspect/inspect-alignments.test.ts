import { describe, expect, it } from "vitest";
import { objectiveFrom } from "../losses/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { type AlignmentBatch, sequencesInWords } from "./alignment-batch.js";
import { inspectAlignments } from "./inspect-alignments.js";

const ctc = objectiveFrom({ objective: "ctc", options: { layout: "BTC" } });

/** Logits that all but force a class in each frame. */
const sure = (...paths: (readonly number[])[]) =>
  tensor(
    Float64Array.from(paths.flatMap((path) => path.flatMap((k) => [0, 1, 2].map((each) => (each === k ? 20 : 0))))),
    [paths.length, paths[0]!.length, 3],
  );

const batch = (logits: Tensor, labels: Tensor, labelLengths: readonly number[], frames: readonly number[]) => ({
  logits,
  labels,
  inputLengths: tensor(Int32Array.from(frames)),
  labelLengths: tensor(Int32Array.from(labelLengths)),
});

describe("inspectAlignments", () => {
  it("gives labels, path and posterior of each sequence", () => {
    const fields = batch(
      sure([1, 0, 1, 2], [2, 2, 0, 1]),
      tensor(Int32Array.of(1, 1, 2, 2, 1, 0), [2, 3]),
      [3, 2],
      [4, 3],
    );
    const { sequences, sum, rows } = inspectAlignments(ctc, fields);
    expect(rows).toBe(2);
    expect(sequences[0]).toMatchObject({ frames: 4, labels: [1, 1, 2], needed: 4, counts: true, weight: 1 });
    expect([...sequences[0]!.path!]).toEqual([1, 0, 1, 2]);
    expect([...sequences[0]!.positions!]).toEqual([0, -1, 1, 2]);
    // Four frames for two equal labels and a third: one alignment.
    expect(sequences[0]!.share).toBeCloseTo(1, 12);
    expect(sequences[0]!.posterior!.shape).toEqual([4, 7]);
    expect(sequences[1]!.labels).toEqual([2, 1]);
    expect(sum!.numerator).toBeCloseTo(sequences[0]!.loss! + sequences[1]!.loss!, 12);
  });

  it("reads concatenated labels", () => {
    const fields = batch(sure([1, 2], [2, 0]), tensor(Int32Array.of(1, 2, 2)), [2, 1], [2, 2]);
    expect(inspectAlignments(ctc, fields).sequences.map(({ labels }) => labels)).toEqual([[1, 2], [2]]);
  });

  it("says how many frames a sequence without an alignment would need", () => {
    const shown = inspectAlignments(ctc, batch(sure([1, 1]), tensor(Int32Array.of(1, 1), [1, 2]), [2], [2]));
    expect(shown.sequences[0]).toMatchObject({ needed: 3, path: null, posterior: null, share: null });
    expect(shown.sequences[0]!.loss).toBe(Number.POSITIVE_INFINITY);
    expect(sequencesInWords(shown)).toBe("1 sequence in the loss, 1 with too few frames");
    expect(shown.notes.join()).toContain("need 3 frames");
  });

  it("leaves out what the mask leaves out", () => {
    const fields = batch(sure([1, 2], [2, 1]), tensor(Int32Array.of(1, 2), [2, 1]), [1, 1], [2, 2]);
    const shown: AlignmentBatch = inspectAlignments(ctc, { ...fields, mask: tensor(Uint8Array.of(1, 0)) });
    expect(shown.sequences.map(({ counts, weight, loss }) => [counts, weight, loss === null])).toEqual([
      [true, 1, false],
      [false, 0, true],
    ]);
    expect(sequencesInWords(shown)).toBe("1 sequence in the loss, 1 left out");
  });

  it("shows labels and losses where scores forbid an alignment, with the reason", () => {
    const logits = sure([1, 2]);
    (logits.data as Float64Array)[0] = Number.NaN;
    const shown = inspectAlignments(ctc, batch(logits, tensor(Int32Array.of(1), [1, 1]), [1], [2]));
    expect(shown.sequences[0]).toMatchObject({ labels: [1], path: null });
    expect(shown.notes.join()).toContain("no alignments: ");
  });
});
