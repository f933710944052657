import { rejectUnknown } from "../errors/index.js";
import { formatShape, type Tensor, type Unlabeled } from "../tensor/index.js";
import { AlignmentLabels } from "./alignment-labels.js";
import { checkIntegers, checkReals, checkWhole, numbersOf, wrong } from "./arguments.js";
import { logSoftmaxOf } from "./log-sum.js";
import { TransducerLattice } from "./transducer-lattice.js";

/** What {@link rnnTransducerAlign} reads: the fields of the objective `rnnTransducer`. */
export interface RnnTransducerAlignable {
  /** `[B, T, U + 1, C]`: raw scores of the joint network at frame t after u labels. */
  readonly logits: Tensor<"logits" | Unlabeled>;
  /** `[B, U]`, padded. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
  /** `[B]` each. */
  readonly inputLengths: Tensor;
  readonly labelLengths: Tensor;
}

/** The most probable alignment of a sequence with its labels. */
export interface RnnTransducerAlignment {
  /** The frame in which each label is emitted, `[n]`, never falling; empty where there is no alignment. */
  readonly frames: Int32Array;
  /** Log-probability of this alignment alone; −∞ where there is none. */
  readonly logProbability: number;
}

/**
 * The most probable alignment of each sequence with its labels (Viterbi), over the lattice that the objective
 * `rnnTransducer` sums over.
 *
 * @param options - `blank` (0)
 * @returns one alignment a sequence
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
 */
export function rnnTransducerAlign(
  fields: RnnTransducerAlignable,
  options: { readonly blank?: number } = {},
): readonly RnnTransducerAlignment[] {
  const where = "rnnTransducerAlign";
  rejectUnknown(where, "field", fields, ["logits", "labels", "inputLengths", "labelLengths"]);
  rejectUnknown(where, "option", options, ["blank"]);
  const blank = checkWhole(where, "blank", options.blank ?? 0, 0);
  const labels = checkIntegers(where, "labels", fields.labels, ["B", "U"]);
  const [sequences, width] = labels.shape as [number, number];
  const logits = checkReals(where, "logits", fields.logits, ["logits"], [sequences, "T", width + 1, "C"]);
  const [, frames, positions, classes] = logits.shape as [number, number, number, number];
  const lengths = (field: "inputLengths" | "labelLengths") =>
    numbersOf(checkIntegers(where, field, fields[field], [sequences]));
  const constants = new AlignmentLabels({
    where,
    sequences,
    frames,
    classes,
    blank,
    width,
    size: labels.data.length,
    label: numbersOf(labels),
    inputLength: lengths("inputLengths"),
    labelLength: lengths("labelLengths"),
  });
  const lattice = new TransducerLattice();
  const row = new Float64Array(classes);

  /** Fills a node of the lattice. */
  const readNode = (sequence: number, t: number, u: number) => {
    const from = ((sequence * frames + t) * positions + u) * classes;
    for (let k = 0; k < classes; k++) {
      const score = logits.data[from + k]!;
      if (score < Number.POSITIVE_INFINITY) row[k] = score;
      else {
        const index = [sequence, t, u, k];
        const fix = "nodes past a sequence's frames and labels are not read: check the lengths.";
        throw wrong(where, "value", "logits", `${score} at ${formatShape(index)}`, "a score below +∞", fix, index);
      }
    }
    logSoftmaxOf(row, 0, classes);
    const node = t * lattice.width + u;
    lattice.blank[node] = row[blank]!;
    if (u + 1 < lattice.width) lattice.label[node] = row[constants.labels[u]!]!;
  };

  return Array.from({ length: sequences }, (_, sequence) => {
    const length = constants.frames(sequence);
    const count = constants.take(sequence);
    lattice.take(length, count);
    for (let t = 0; t < length; t++) for (let u = 0; u <= count; u++) readNode(sequence, t, u);
    const emitted = new Int32Array(count);
    const logProbability = lattice.bestPath(emitted);
    return logProbability === Number.NEGATIVE_INFINITY
      ? { frames: new Int32Array(0), logProbability }
      : { frames: emitted, logProbability };
  });
}
