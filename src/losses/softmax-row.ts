import { exp, log1p } from "../numerics/index.js";

/**
 * The softmax of one row of logits, arranged so that nothing cancels.
 *
 * With t the largest entry and S = Σ_{k≠t} exp(z_k − z_t), the mass of the others relative to it:
 *   −log p_k = log1p(S) + (z_t − z_k)      two terms, neither negative
 *   p_k      = exp(z_k − z_t) / (1 + S)
 *   1 − p_t  = S / (1 + S)                 formed from the others' mass, not as 1 − p_t
 * For logits [40, 0, −3] the naive forms give 0 where −log p_0 is 4.46e−18.
 *
 * An entry of −∞ has p = 0. NaN, +∞ or a row of −∞ alone make every result NaN.
 */
export class SoftmaxRow {
  /** exp(z_k − z_t), 1 at the largest entry. */
  readonly exponentials: Float64Array;
  private scores: Float64Array;
  private top = 0;
  private others = 0;
  private rest = 0;

  constructor(classes: number) {
    this.exponentials = new Float64Array(classes);
    this.scores = this.exponentials;
  }

  /** Takes a row; it must stay as it is until the next one. */
  update(scores: Float64Array): void {
    const { exponentials } = this;
    let top = 0;
    for (let k = 1; k < scores.length; k++) if (scores[k]! > scores[top]!) top = k;
    const peak = scores[top]!;
    // The compensated sum keeps S to a rounding or two, however many classes there are.
    let sum = Math.abs(peak) < Number.POSITIVE_INFINITY ? 0 : Number.NaN;
    let lost = 0;
    for (let k = 0; k < scores.length; k++) {
      if (k === top) continue;
      const term = exp(scores[k]! - peak);
      exponentials[k] = term;
      const next = sum + term;
      lost += sum >= term ? sum - next + term : term - next + sum;
      sum = next;
    }
    exponentials[top] = 1;
    this.scores = scores;
    this.top = top;
    this.others = sum + lost;
    this.rest = log1p(this.others);
  }

  /** −log p_k ≥ 0. */
  negativeLog(k: number): number {
    return k === this.top ? this.rest : this.rest + (this.scores[this.top]! - this.scores[k]!);
  }

  /** p_k. */
  probability(k: number): number {
    return this.exponentials[k]! / (1 + this.others);
  }

  /** 1 − p_k. */
  complement(k: number): number {
    return k === this.top ? this.others / (1 + this.others) : 1 - this.probability(k);
  }

  /** log Σ_k exp(z_k). */
  get logSumExp(): number {
    return this.scores[this.top]! + this.rest;
  }

  /** Whether the row could not be normalized: NaN, +∞, or nothing but −∞. */
  get broken(): boolean {
    return Number.isNaN(this.others);
  }
}
