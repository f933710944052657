import { CompensatedSum } from "./compensated-sum.js";
import { logAddThree, settle, softmaxOf } from "./log-sum.js";

/** Joins what comes into a state: the sum over alignments, or the best of them. */
type Join = (stay: number, step: number, skip: number) => number;

/**
 * Every alignment of one label sequence with one run of frames, as CTC has it.
 *
 * The n labels y stand between blanks, ∅ y₁ ∅ y₂ … y_n ∅: 2n + 1 states. A frame stays in its state, steps to the
 * next, or skips a blank between two labels that differ; an alignment begins in one of the first two states and ends in
 * one of the last two. With e_t(s) the log-probability of state s's class in frame t:
 *   α_t(s) = e_t(s) + log (e^α_{t−1}(s) + e^α_{t−1}(s−1) + [skip] e^α_{t−1}(s−2))
 *   β_t(s) = log (e^{β_{t+1}(s) + e_{t+1}(s)} + … the same two states ahead)
 *   γ_t(s) = e^{α_t(s) + β_t(s)} / Σ_s the same: the posterior of state s in frame t
 * Each frame of α and β is moved to a largest entry of 0 and the moves are summed with compensation, so that nothing
 * underflows and no digit is lost over 10,000 frames. Graves et al. 2006, section 4.1.
 *
 * Its buffers grow to the largest sequence taken and are used again by the next.
 */
export class CtcLattice {
  /** 2n + 1. */
  states = 0;
  frames = 0;

  private scores: Float64Array = new Float64Array(0);
  private classes = 0;
  /** The class of each state. */
  private symbols = new Int32Array(0);
  /** Whether a state is reached from two before it. */
  private skips = new Uint8Array(0);
  /** α, a row a frame; γ after `posterior`. */
  private front = new Float64Array(0);
  private back = new Float64Array(0);
  private ahead = new Float64Array(0);
  private readonly moved = new CompensatedSum();

  constructor(private readonly blank: number) {}

  /**
   * Takes a sequence; its arrays must stay as they are until the next one.
   *
   * @param scores - log-probabilities `[frames, classes]`, neither NaN nor +∞; more frames than those are not read
   * @param labels - the first `count` of them, none the blank
   */
  take(scores: Float64Array, classes: number, frames: number, labels: Int32Array, count: number): void {
    const states = 2 * count + 1;
    if (this.symbols.length < states) {
      this.symbols = new Int32Array(states);
      this.skips = new Uint8Array(states);
      this.back = new Float64Array(states);
      this.ahead = new Float64Array(states);
    }
    for (let s = 0; s < states; s++) {
      const isLabel = s % 2 === 1;
      this.symbols[s] = isLabel ? labels[(s - 1) / 2]! : this.blank;
      this.skips[s] = Number(isLabel && s > 1 && this.symbols[s] !== this.symbols[s - 2]);
    }
    Object.assign(this, { scores, classes, frames, states });
  }

  /** The class of a state. */
  symbol(state: number): number {
    return this.symbols[state]!;
  }

  /** log Σ over alignments of Π their probabilities; −∞ where there is none. */
  logProbability(): number {
    return this.forward(logAddThree);
  }

  /**
   * γ, `[frames, states]` row-major, each row of sum 1. Follows a finite `logProbability` and takes the place of what
   * it left; read it before the next sequence.
   */
  posterior(): Float64Array {
    const { front, back, ahead, states, skips, symbols, scores, classes } = this;
    back.fill(Number.NEGATIVE_INFINITY, 0, states).fill(0, Math.max(states - 2, 0), states);
    for (let t = this.frames - 1; t >= 0; t--) {
      const here = t * states;
      for (let s = 0; s < states; s++) front[here + s] = front[here + s]! + back[s]!;
      softmaxOf(front, here, here + states);
      for (let s = 0; s < states; s++) ahead[s] = back[s]! + scores[t * classes + symbols[s]!]!;
      for (let s = 0; s < states; s++) {
        const step = s + 1 < states ? ahead[s + 1]! : Number.NEGATIVE_INFINITY;
        const skip = s + 2 < states && skips[s + 2] ? ahead[s + 2]! : Number.NEGATIVE_INFINITY;
        back[s] = logAddThree(ahead[s]!, step, skip);
      }
      settle(back, 0, states);
    }
    return front;
  }

  /**
   * The most probable alignment.
   *
   * @param into - receives the state of each frame, where there is an alignment; of equals, the one that is further
   * behind at the end
   * @returns its log-probability, −∞ where there is none
   */
  bestPath(into: Int32Array): number {
    const score = this.forward(best);
    const { front, states, skips, frames } = this;
    if (score === Number.NEGATIVE_INFINITY) return score;
    const entry = (t: number, s: number) => (s < 0 ? Number.NEGATIVE_INFINITY : front[t * states + s]!);
    let state = states - 1;
    if (entry(frames - 1, state - 1) >= entry(frames - 1, state)) state--;
    for (let t = frames - 1; t >= 0; t--) {
      into[t] = state;
      if (t === 0) break;
      const [stay, step] = [entry(t - 1, state), entry(t - 1, state - 1)];
      const skip = skips[state] ? entry(t - 1, state - 2) : Number.NEGATIVE_INFINITY;
      if (skip >= stay && skip >= step) state -= 2;
      else if (step >= stay) state--;
    }
    return score;
  }

  /** Fills α and joins what arrives in the last two states. */
  private forward(join: Join): number {
    const { frames, states, skips, symbols, scores, classes, moved } = this;
    if (frames === 0) return states === 1 ? 0 : Number.NEGATIVE_INFINITY;
    if (this.front.length < frames * states) this.front = new Float64Array(frames * states);
    const { front } = this;
    moved.clear();
    front.fill(Number.NEGATIVE_INFINITY, 0, states);
    for (let s = 0; s < Math.min(states, 2); s++) front[s] = scores[symbols[s]!]!;
    for (let t = 0; t < frames; t++) {
      const here = t * states;
      const before = here - states;
      for (let s = 0; t > 0 && s < states; s++) {
        const step = s > 0 ? front[before + s - 1]! : Number.NEGATIVE_INFINITY;
        const skip = skips[s] ? front[before + s - 2]! : Number.NEGATIVE_INFINITY;
        front[here + s] = join(front[before + s]!, step, skip) + scores[t * classes + symbols[s]!]!;
      }
      const move = settle(front, here, here + states);
      if (move === Number.NEGATIVE_INFINITY) return move;
      moved.add(move);
    }
    const end = frames * states;
    const beforeLast = states > 1 ? front[end - 2]! : Number.NEGATIVE_INFINITY;
    return join(front[end - 1]!, beforeLast, Number.NEGATIVE_INFINITY) + moved.value;
  }
}

/** The frames that an alignment needs at least: one a label, and a blank between two that are equal. */
export function framesNeeded(labels: Int32Array, count: number): number {
  let needed = count;
  for (let i = 1; i < count; i++) if (labels[i] === labels[i - 1]) needed++;
  return needed;
}

function best(stay: number, step: number, skip: number): number {
  return Math.max(stay, step, skip);
}
