import { CompensatedSum } from "./compensated-sum.js";
import { largest, logSum, settle, softmaxOf, topOf } from "./log-sum.js";

/** Potentials of a chain of K labels. */
export interface ChainPotentials {
  readonly labels: number;
  /** `[K, K]`, from the row's label to the column's. */
  readonly transitions: Float64Array | Float32Array;
  /** `[K]`: of the first and of the last label; without them 0. */
  readonly start: Float64Array | Float32Array | undefined;
  readonly end: Float64Array | Float32Array | undefined;
}

/**
 * Every labeling of a run of positions, as a linear-chain conditional random field scores it.
 *
 *   score(y) = start(y₁) + Σ_t emission_t(y_t) + Σ_t transition(y_{t−1}, y_t) + end(y_n)
 *   α_t(j) = emission_t(j) + log Σ_i e^{α_{t−1}(i) + transition(i, j)}
 *   β_t(i) = log Σ_j e^{transition(i, j) + emission_{t+1}(j) + β_{t+1}(j)}
 * All scores are taken relative to a reference labeling: each potential less that of the reference at its place. So
 * log Z − score(reference) is one log-sum, and keeps its digits where the reference is nearly certain and the two
 * nearly equal. Each position of α and β is moved to a largest entry of 0, as in `CtcLattice`.
 * Lafferty, McCallum and Pereira 2001; Sutton and McCallum 2012, section 4.
 *
 * Its buffers grow to the longest run taken and are used again by the next.
 */
export class ChainLattice {
  length = 0;

  private emissions: Float64Array = new Float64Array(0);
  private reference: Int32Array | undefined;
  /** α, a row a position; the posterior of each label after `posterior`. */
  private front = new Float64Array(0);
  private readonly back: Float64Array;
  private readonly terms: Float64Array;
  /** Posterior of each pair of neighbors, `[K, K]`. */
  private readonly pairs: Float64Array;
  private readonly moved = new CompensatedSum();

  constructor(private readonly potentials: ChainPotentials) {
    const { labels } = potentials;
    this.back = new Float64Array(labels);
    this.terms = new Float64Array(labels);
    this.pairs = new Float64Array(labels * labels);
  }

  /**
   * Takes a run of positions; its arrays must stay as they are until the next one.
   *
   * @param emissions - `[length, K]`, neither NaN nor +∞, as no potential may be; more positions are not read
   * @param reference - a labeling of finite score that all scores are relative to; without it they are plain
   */
  take(emissions: Float64Array, length: number, reference?: Int32Array): void {
    Object.assign(this, { emissions, length, reference });
    const size = length * this.potentials.labels;
    if (this.front.length < size) this.front = new Float64Array(size);
  }

  /** log Σ_y e^score(y), of which the reference is e⁰; 0 for no positions. */
  logPartition(): number {
    return this.forward(logSum);
  }

  /**
   * The posterior of each label, `[length, K]` row-major, each row of sum 1. Follows a finite `logPartition` and takes
   * the place of what it left; read it before the next run.
   *
   * @param visit - receives the posterior of each pair of neighbors, `[K, K]`, of position and the one before it; to be
   * read at once
   */
  posterior(visit?: (position: number, pairs: Float64Array) => void): Float64Array {
    const { front, back, terms, pairs, length, emissions, potentials } = this;
    const { labels, transitions, end } = potentials;
    for (let i = 0; i < labels; i++) back[i] = end ? end[i]! - this.endOfReference() : 0;
    for (let t = length - 1; t >= 0; t--) {
      const here = t * labels;
      const [step, base] = [this.stepOfReference(t), this.emissionOfReference(t)];
      if (t > 0) {
        for (let j = 0; j < labels; j++) terms[j] = emissions[here + j]! - base + back[j]!;
        for (let i = 0; i < labels; i++) {
          const from = i * labels;
          for (let j = 0; j < labels; j++) pairs[from + j] = transitions[from + j]! - step + terms[j]!;
        }
      }
      for (let j = 0; j < labels; j++) front[here + j] = front[here + j]! + back[j]!;
      softmaxOf(front, here, here + labels);
      if (t === 0) break;
      for (let i = 0; i < labels; i++) back[i] = logSum(pairs, i * labels, (i + 1) * labels);
      settle(back, 0, labels);
      if (!visit) continue;
      for (let i = 0; i < labels; i++) {
        const before = front[here - labels + i]!;
        for (let j = i * labels; j < (i + 1) * labels; j++) pairs[j] = pairs[j]! + before;
      }
      softmaxOf(pairs, 0, pairs.length);
      visit(t, pairs);
    }
    return front;
  }

  /**
   * The labeling of the highest score.
   *
   * @param into - receives its labels; of equals, the lower label, the last position first
   * @returns its score, relative to the reference; −∞ where every labeling is forbidden
   */
  bestPath(into: Int32Array): number {
    const { front, terms, back, length, potentials } = this;
    const { labels, transitions, end } = potentials;
    const score = this.forward(largest);
    if (length === 0 || score === Number.NEGATIVE_INFINITY) return score;
    const last = (length - 1) * labels;
    for (let j = 0; j < labels; j++) back[j] = front[last + j]! + (end ? end[j]! - this.endOfReference() : 0);
    let label = topOf(back, 0, labels);
    into[length - 1] = label;
    for (let t = length - 1; t > 0; t--) {
      const before = (t - 1) * labels;
      const step = this.stepOfReference(t);
      for (let i = 0; i < labels; i++) terms[i] = front[before + i]! + (transitions[i * labels + label]! - step);
      label = topOf(terms, 0, labels);
      into[t - 1] = label;
    }
    return score;
  }

  /** Fills α and joins its last row. */
  private forward(join: (values: Float64Array, from: number, to: number) => number): number {
    const { front, terms, length, emissions, moved, potentials } = this;
    const { labels, transitions, start, end } = potentials;
    if (length === 0) return 0;
    moved.clear();
    for (let t = 0; t < length; t++) {
      const here = t * labels;
      const [step, base] = [this.stepOfReference(t), this.emissionOfReference(t)];
      for (let j = 0; j < labels; j++) {
        let arriving = t === 0 && start ? start[j]! - step : 0;
        if (t > 0) {
          for (let i = 0; i < labels; i++) {
            terms[i] = front[here - labels + i]! + (transitions[i * labels + j]! - step);
          }
          arriving = join(terms, 0, labels);
        }
        front[here + j] = arriving + (emissions[here + j]! - base);
      }
      const move = settle(front, here, here + labels);
      if (move === Number.NEGATIVE_INFINITY) return move;
      moved.add(move);
    }
    const last = (length - 1) * labels;
    for (let j = 0; j < labels; j++) terms[j] = front[last + j]! + (end ? end[j]! - this.endOfReference() : 0);
    return join(terms, 0, labels) + moved.value;
  }

  /** The reference's transition into a position, its start at the first. */
  private stepOfReference(position: number): number {
    const { reference, potentials } = this;
    if (!reference) return 0;
    const { labels, transitions, start } = potentials;
    if (position === 0) return start ? start[reference[0]!]! : 0;
    return transitions[reference[position - 1]! * labels + reference[position]!]!;
  }

  private emissionOfReference(position: number): number {
    const { reference, emissions, potentials } = this;
    return reference ? emissions[position * potentials.labels + reference[position]!]! : 0;
  }

  private endOfReference(): number {
    const { reference, potentials, length } = this;
    return reference && potentials.end ? potentials.end[reference[length - 1]!]! : 0;
  }
}
