import { exp } from "../numerics/index.js";
import { CompensatedSum } from "./compensated-sum.js";
import { logAdd, logSum, settle } from "./log-sum.js";

/**
 * Every alignment of one label sequence with one run of frames, as the RNN transducer has it.
 *
 * Node (t, u) has read t frames and emitted u labels; from it a blank, b(t, u), reads the frame and a label, l(t, u),
 * emits the next one in the same frame. An alignment runs from (0, 0) through n labels and one blank a frame.
 *   α(t, u) = log (e^{α(t−1, u) + b(t−1, u)} + e^{α(t, u−1) + l(t, u−1)})
 *   β(t, u) = log (e^{b(t, u) + β(t+1, u)} + e^{l(t, u) + β(t, u+1)}),   β(T, n) = 0
 *   posterior of a blank edge ∝ e^{α(t, u) + b(t, u) + β(t+1, u)}, of a label edge ∝ e^{α(t, u) + l(t, u) + β(t, u+1)}
 * Exactly one blank leaves each frame, which makes the posteriors of a frame's edges exact fractions of that sum. Rows
 * of α and β are moved to a largest entry of 0, as in `CtcLattice`. Graves 2012, section 2.4.
 *
 * Its buffers grow to the largest sequence taken and are used again by the next.
 */
export class TransducerLattice {
  frames = 0;
  /** n + 1: nodes of a frame, and the length of a row of the tables. */
  width = 0;
  /** b(t, u), `[frames, width]`, to be filled after `take`. */
  blank = new Float64Array(0);
  /** l(t, u), `[frames, width]`, to be filled after `take`; its last column is not read. */
  label = new Float64Array(0);
  /** Probability that an alignment takes the blank edge, after `posterior`. */
  blankPosterior = new Float64Array(0);
  /** Probability that an alignment takes the label edge, after `posterior`. */
  labelPosterior = new Float64Array(0);

  private front = new Float64Array(0);
  /** β of the frame after, then of this one. */
  private after = new Float64Array(0);
  private here = new Float64Array(0);
  private readonly moved = new CompensatedSum();

  /** Makes room for a sequence of `count` labels; fill `blank` and `label` next, neither with NaN nor +∞. */
  take(frames: number, count: number): void {
    this.frames = frames;
    this.width = count + 1;
    const size = frames * this.width;
    if (this.here.length < this.width) {
      this.after = new Float64Array(this.width);
      this.here = new Float64Array(this.width);
    }
    if (this.front.length >= size) return;
    this.blank = new Float64Array(size);
    this.label = new Float64Array(size);
    this.blankPosterior = new Float64Array(size);
    this.labelPosterior = new Float64Array(size);
    this.front = new Float64Array(size);
  }

  /** log Σ over alignments of Π their probabilities; −∞ where there is none. */
  logProbability(): number {
    return this.forward(logAdd);
  }

  /** Fills both posteriors; follows a finite `logProbability`. */
  posterior(): void {
    const { frames, width, blank, label, front, blankPosterior, labelPosterior, after, here } = this;
    after.fill(Number.NEGATIVE_INFINITY, 0, width);
    after[width - 1] = 0;
    for (let t = frames - 1; t >= 0; t--) {
      const row = t * width;
      for (let u = width - 1; u >= 0; u--) {
        const viaBlank = blank[row + u]! + after[u]!;
        const viaLabel = u + 1 < width ? label[row + u]! + here[u + 1]! : Number.NEGATIVE_INFINITY;
        here[u] = logAdd(viaBlank, viaLabel);
        blankPosterior[row + u] = front[row + u]! + viaBlank;
        labelPosterior[row + u] = front[row + u]! + viaLabel;
      }
      const total = logSum(blankPosterior, row, row + width);
      for (let u = row; u < row + width; u++) {
        blankPosterior[u] = exp(blankPosterior[u]! - total);
        labelPosterior[u] = exp(labelPosterior[u]! - total);
      }
      after.set(here.subarray(0, width));
      settle(after, 0, width);
    }
  }

  /**
   * The most probable alignment.
   *
   * @param into - receives the frame in which each label is emitted, where there is an alignment; of equals, the one
   * that emits later
   * @returns its log-probability, −∞ where there is none
   */
  bestPath(into: Int32Array): number {
    const { frames, width, blank, label, front } = this;
    const score = this.forward(Math.max);
    if (score === Number.NEGATIVE_INFINITY) return score;
    let t = frames - 1;
    for (let u = width - 1; u > 0; ) {
      const at = t * width + u;
      const viaLabel = front[at - 1]! + label[at - 1]!;
      const viaBlank = t > 0 ? front[at - width]! + blank[at - width]! : Number.NEGATIVE_INFINITY;
      if (viaLabel >= viaBlank) into[--u] = t;
      else t--;
    }
    return score;
  }

  private forward(join: (a: number, b: number) => number): number {
    const { frames, width, blank, label, front, moved } = this;
    if (frames === 0) return width === 1 ? 0 : Number.NEGATIVE_INFINITY;
    moved.clear();
    for (let t = 0; t < frames; t++) {
      const row = t * width;
      for (let u = 0; u < width; u++) {
        const start = t === 0 && u === 0 ? 0 : Number.NEGATIVE_INFINITY;
        const viaBlank = t > 0 ? front[row - width + u]! + blank[row - width + u]! : start;
        const viaLabel = u > 0 ? front[row + u - 1]! + label[row + u - 1]! : Number.NEGATIVE_INFINITY;
        front[row + u] = join(viaBlank, viaLabel);
      }
      // The way back of `bestPath` compares entries of two rows, so that there they stay where they are.
      const move = join === logAdd ? settle(front, row, row + width) : 0;
      if (move === Number.NEGATIVE_INFINITY) return move;
      moved.add(move);
    }
    const last = frames * width - 1;
    return front[last]! + blank[last]! + moved.value;
  }
}
