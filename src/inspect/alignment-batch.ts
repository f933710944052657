import type { Tensor } from "../tensor/index.js";
import { numbered } from "./words.js";

/** What alignments are known of one label sequence and its frames. */
export interface AlignedSequence {
  readonly frames: number;
  readonly labels: readonly number[];
  /** Frames that an alignment of these labels needs. */
  readonly needed: number;
  /** Whether the objective counts it, and with which weight. */
  readonly counts: boolean;
  readonly weight: number;
  /** Minus the log-probability of all alignments; `null` where it is not known. */
  readonly loss: number | null;
  /** The class of each frame in the most probable alignment; `null` where there is none, or scores forbid to look. */
  readonly path: Int32Array | null;
  /** The place among the labels of what each frame emits, −1 in a blank. */
  readonly positions: Int32Array | null;
  /** The share of the most probable alignment in the probability of all. */
  readonly share: number | null;
  /** `[frames, 2n + 1]`: probability that a frame is in each state of ∅ y₁ ∅ … y_n ∅. */
  readonly posterior: Tensor | null;
}

/** A batch of label sequences whose alignment with frames nobody knows. */
export interface AlignmentBatch {
  readonly shows: "alignments";
  readonly title: string | null;
  /** One a sequence. */
  readonly rows: number;
  readonly blank: number;
  readonly sequences: readonly AlignedSequence[];
  readonly sum: { readonly numerator: number; readonly denominator: number } | null;
  readonly notes: readonly string[];
}

/** "3 sequences in the loss, 1 left out". */
export function sequencesInWords({ sequences }: AlignmentBatch): string {
  const counted = sequences.filter(({ counts, weight }) => counts && weight > 0).length;
  const impossible = sequences.filter(({ frames, needed }) => needed > frames).length;
  return [
    `${numbered(counted, "sequence")} in the loss`,
    sequences.length > counted && `${sequences.length - counted} left out`,
    impossible > 0 && `${impossible} with too few frames`,
  ]
    .filter(Boolean)
    .join(", ");
}
