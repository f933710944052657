import { type Tensor, view } from "../tensor/index.js";
import { takeSequence } from "./ctc-align.js";
import { CtcLattice } from "./ctc-lattice.js";
import { type CtcAlignable, type CtcReading, CtcScores } from "./ctc-scores.js";

/** What the alignments of a sequence with its labels say of each frame. */
export interface CtcPosterior {
  /** Log of the probability of all alignments: minus the loss of `ctc`; −∞ where there is none. */
  readonly logProbability: number;
  /** `[frames, 2n + 1]`: probability that a frame is in each state of ∅ y₁ ∅ … y_n ∅; 0 where there is no alignment. */
  readonly states: Tensor<"probabilities">;
  /** `[frames, C]`: the same by class; 0 where there is no alignment. */
  readonly classes: Tensor<"probabilities">;
}

/**
 * The posterior of each frame given the labels: how all alignments, weighted by their probability, fill it. A picture of
 * `states` shows where a model puts each label, and how sure it is.
 *
 * @param fields - as the objective `ctc` takes them: `logits` or `logProbs`, `labels`, `inputLengths`, `labelLengths`
 * @param options - `blank` (0), `layout` (`"TBC"`)
 * @returns one posterior a sequence; each row of both tables has the sum 1
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
 */
export function ctcPosterior(fields: CtcAlignable, options: CtcReading = {}): readonly CtcPosterior[] {
  const batch = new CtcScores("ctcPosterior", fields, options, true);
  const lattice = new CtcLattice(batch.blank);
  const { classes } = batch;
  return Array.from({ length: batch.sequences }, (_, sequence) => {
    const frames = takeSequence(batch, lattice, sequence);
    const { states } = lattice;
    const ofStates = new Float64Array(frames * states);
    const ofClasses = new Float64Array(frames * classes);
    const logProbability = lattice.logProbability();
    if (logProbability !== Number.NEGATIVE_INFINITY) {
      ofStates.set(lattice.posterior().subarray(0, ofStates.length));
      for (let t = 0; t < frames; t++) {
        for (let s = 0; s < states; s++) {
          const at = t * classes + lattice.symbol(s);
          ofClasses[at] = ofClasses[at]! + ofStates[t * states + s]!;
        }
      }
    }
    return {
      logProbability,
      states: view(ofStates, [frames, states], "probabilities", "float64") as Tensor<"probabilities">,
      classes: view(ofClasses, [frames, classes], "probabilities", "float64") as Tensor<"probabilities">,
    };
  });
}
