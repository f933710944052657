import { pow } from "../../numerics/index.js";
import { normOf } from "../norm.js";

/**
 * The p-norm of left − right + shift, with its slopes.
 *   d            = (Σ_k |x_k|^p)^(1/p),   max |x_k| for p = ∞,   x = left − right + shift
 *   d d/d left_k = sign(x_k) (|x_k|/d)^(p−1),   0 everywhere where d = 0;   for right its negative
 * For p = ∞ the entries that attain the maximum share the slope evenly, as torch has it.
 * Entries are scaled by the largest, so that nothing overflows on the way. An infinite entry gives d = +∞ with NaN as
 * its slope.
 */
export class Distance {
  /** d distance / d left of the pair last measured, written by `updateSlopes`. */
  readonly slopes: Float64Array;
  value = 0;
  private readonly differences: Float64Array;
  private readonly p: number;
  private readonly shift: number;

  constructor(width: number, p: number, shift: number) {
    this.slopes = new Float64Array(width);
    this.differences = new Float64Array(width);
    this.p = p;
    this.shift = shift;
  }

  /** The distance of two rows. */
  between(left: Float64Array, right: Float64Array): number {
    const { differences, shift } = this;
    for (let k = 0; k < differences.length; k++) differences[k] = left[k]! - right[k]! + shift;
    this.value = normOfOrder(differences, this.p);
    return this.value;
  }

  updateSlopes(): void {
    const { differences, slopes, p, value } = this;
    let ties = 1;
    if (p === Number.POSITIVE_INFINITY) {
      ties = 0;
      for (let k = 0; k < slopes.length; k++) if (Math.abs(differences[k]!) === value) ties++;
    }
    for (let k = 0; k < slopes.length; k++) {
      const x = differences[k]!;
      if (value === 0) slopes[k] = 0;
      else if (p === 2) slopes[k] = x / value;
      else if (Number.isNaN(value)) slopes[k] = Number.NaN;
      else if (p === Number.POSITIVE_INFINITY) slopes[k] = Math.abs(x) === value ? Math.sign(x) / ties : 0;
      else slopes[k] = p === 1 ? Math.sign(x) : Math.sign(x) * pow(Math.abs(x) / value, p - 1);
    }
  }
}

function normOfOrder(x: Float64Array, p: number): number {
  if (p === 2) return normOf(x, 0, x.length);
  let sum = 0;
  let largest = 0;
  for (let k = 0; k < x.length; k++) {
    sum += Math.abs(x[k]!);
    largest = Math.max(largest, Math.abs(x[k]!));
  }
  if (p === 1) return sum;
  if (p === Number.POSITIVE_INFINITY || !(largest > 0 && largest < Number.POSITIVE_INFINITY)) return largest;
  let powers = 0;
  for (let k = 0; k < x.length; k++) powers += pow(Math.abs(x[k]!) / largest, p);
  return largest * pow(powers, 1 / p);
}
