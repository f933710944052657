import { CtcLattice } from "./ctc-lattice.js";
import { type CtcAlignable, type CtcReading, CtcScores } from "./ctc-scores.js";

/** The most probable alignment of a sequence with its labels. */
export interface CtcAlignment {
  /** The class of each frame, `[frames]`; empty where there is no alignment. */
  readonly path: Int32Array;
  /** The place among the labels of what each frame emits, −1 in a blank: `[frames]`, empty where there is none. */
  readonly positions: Int32Array;
  /** Log-probability of this alignment alone; −∞ where there is none. */
  readonly logProbability: number;
}

/**
 * The most probable alignment of each sequence with its labels (Viterbi), over the lattice that the objective `ctc`
 * sums over.
 *
 * @param fields - as the objective `ctc` takes them: `logits` or `logProbs`, `labels`, `inputLengths`, `labelLengths`
 * @param options - `blank` (0), `layout` (`"TBC"`)
 * @returns one alignment a sequence; `ctcCollapse` of its path gives the labels back
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
 */
export function ctcAlign(fields: CtcAlignable, options: CtcReading = {}): readonly CtcAlignment[] {
  const batch = new CtcScores("ctcAlign", fields, options, true);
  const lattice = new CtcLattice(batch.blank);
  return Array.from({ length: batch.sequences }, (_, sequence) => {
    const frames = takeSequence(batch, lattice, sequence);
    const positions = new Int32Array(frames);
    const logProbability = lattice.bestPath(positions);
    if (logProbability === Number.NEGATIVE_INFINITY) {
      return { path: new Int32Array(0), positions: new Int32Array(0), logProbability };
    }
    const path = new Int32Array(frames);
    for (let t = 0; t < frames; t++) {
      const state = positions[t]!;
      path[t] = lattice.symbol(state);
      positions[t] = state % 2 === 1 ? (state - 1) / 2 : -1;
    }
    return { path, positions, logProbability };
  });
}

/** Reads a sequence into the lattice, and says how many frames it has. */
export function takeSequence(batch: CtcScores, lattice: CtcLattice, sequence: number): number {
  const frames = batch.labels.frames(sequence);
  const count = batch.labels.take(sequence);
  lattice.take(batch.load(sequence, frames), batch.classes, frames, batch.labels.labels, count);
  return frames;
}
