import { numberOption } from "../../contract/index.js";
import { AlignmentLabels } from "../../sequence/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BatchView, FieldSpec, UnitFields, Workspace } from "../definition.js";

/** What losses over unknown alignments read beside their scores. */
export interface AlignmentBatch extends UnitFields {
  /** Frames of each sequence, `[B]`; frames past them are not read. */
  readonly inputLengths: Tensor;
  /** Labels of each sequence, `[B]`; labels past them are not read. */
  readonly labelLengths: Tensor;
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

export const inputLengthsField = lengthsField("frames of each sequence, at most T; frames past it are not read");
export const labelLengthsField = lengthsField("labels of each sequence; labels past it are not read");

/** The class that emits nothing. */
export const blankOption = numberOption("the class that emits nothing; no label may be it", 0, {
  atLeast: 0,
  integer: true,
});

/**
 * Labels and lengths of a batch.
 *
 * @param width - length of a row of labels; undefined where they are concatenated
 */
export function alignmentLabels(
  batch: BatchView<{ readonly blank: number }>,
  width: number | undefined,
): AlignmentLabels {
  const { B: sequences, T: frames, C: classes } = batch.sizes as { B: number; T: number; C: number };
  return new AlignmentLabels({
    where: batch.where,
    sequences,
    frames,
    classes,
    blank: batch.options.blank,
    width,
    size: batch.data("labels").length,
    label: batch.integer("labels"),
    inputLength: batch.integer("inputLengths"),
    labelLength: batch.integer("labelLengths"),
  });
}

/** Says that a sequence has no alignment: too few frames, or a class it needs that the scores forbid. */
export function noteImpossible(
  note: Workspace["note"],
  sequence: number,
  found: { readonly frames: number; readonly needed: number; readonly labels: number },
  outcome: string,
): void {
  const { frames, needed, labels } = found;
  const why =
    needed > frames
      ? `sequence ${sequence} has ${counted(labels, "label")} and ${counted(frames, "frame")}, and its alignments need ${counted(needed, "frame")} or more (one a label, and in CTC a blank between equal neighbors)`
      : `every alignment of sequence ${sequence} has a class of probability 0`;
  note("impossible-alignment", sequence, `${why}: ${outcome}`, needed > frames ? "inputLengths" : undefined);
}

/**
 * Closes a run of gradients that sums to 0: the entry at `place` gets what the others leave. As a difference of two
 * probabilities it would lose its digits wherever the model is sure of the right class and both are near 1.
 */
export function closeRun(gradient: Float64Array, from: number, to: number, place: number): void {
  gradient[place] = 0;
  let others = 0;
  for (let k = from; k < to; k++) others += gradient[k]!;
  gradient[place] = 0 - others;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The rows of a loaded field, each a view of its own, made once. */
export function rowsOf(entries: Float64Array, length: number): readonly Float64Array[] {
  return Array.from({ length: entries.length / length }, (_, row) =>
    entries.subarray(row * length, (row + 1) * length),
  );
}

function lengthsField(meaning: string) {
  return {
    meaning,
    holds: "indices",
    roles: [],
    shape: ["B"],
    read: "whole",
    gradient: "none",
  } as const satisfies FieldSpec;
}
