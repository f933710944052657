import { ctcCollapse } from "./ctc-collapse.js";
import { type CtcFrames, type CtcReading, CtcScores } from "./ctc-scores.js";
import { topOf } from "./log-sum.js";

/** The most probable frame path of a sequence. */
export interface CtcGreedyPath {
  /** The labels it collapses to, `[n]`. */
  readonly labels: Int32Array;
  /** The class of each frame, `[frames]`; of equals the lower. */
  readonly path: Int32Array;
  /** Log-probability of the path, which is not that of its labels: other paths collapse to them too. */
  readonly logProbability: number;
}

/**
 * Greedy CTC decoding: the most probable class of each frame, collapsed.
 *
 * @param fields - `logits` or `logProbs` `[T, B, C]` (`[B, T, C]` under `layout: "BTC"`), `inputLengths?` `[B]`
 * @param options - `blank` (0), `layout` (`"TBC"`)
 * @returns one path a sequence
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
 */
export function ctcGreedyDecode(fields: CtcFrames, options: CtcReading = {}): readonly CtcGreedyPath[] {
  const batch = new CtcScores("ctcGreedyDecode", fields, options, false);
  const { classes, blank } = batch;
  return Array.from({ length: batch.sequences }, (_, sequence) => {
    const frames = batch.labels.frames(sequence);
    const scores = batch.load(sequence, frames);
    const path = new Int32Array(frames);
    let logProbability = 0;
    for (let t = 0; t < frames; t++) {
      const top = topOf(scores, t * classes, (t + 1) * classes);
      path[t] = top - t * classes;
      logProbability += scores[top]!;
    }
    return { labels: ctcCollapse(path, { blank }), path, logProbability };
  });
}
