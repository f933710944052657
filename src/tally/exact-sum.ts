import { LosswrightError } from "../errors/index.js";

/**
 * The exact sum of float64 numbers, rounded once when it is read.
 *
 * The sum is held as one wide integer in units of 2^−1074, the smallest float64: 69 limbs of 32 bits, of which 66
 * cover every finite float64 and three are headroom, enough for 2^109 terms of the largest magnitude. Nothing is
 * ever rounded or dropped before `value`, so adding is associative and commutative to the bit and any split of the
 * terms merges to the same sum. Infinities and NaN are counted beside the limbs and win as in an ordinary sum.
 *
 * Kulisch, "Computer Arithmetic and Validity"; Neal 2015, "Fast exact summation using small and large
 * superaccumulators". The limbs are float64 integers that carry late: a term adds three pieces below 2^33, so 2^19
 * terms stay below 2^53 between two carries.
 */

const LIMBS = 69;
const TOP = LIMBS - 1;
const LIMB = 4294967296;
const TERMS_BETWEEN_CARRIES = 1 << 19;
/** Lanes of the integer form: the limbs, then the counts of NaN, +∞ and −∞. */
export const LANES = LIMBS + 3;

const scratch = new Float64Array(1);
const words = new Uint32Array(scratch.buffer);
/** Which word of a float64 holds sign and exponent depends on the byte order of the machine. */
const [LOW, HIGH] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** Limbs of nothing. A list of float64 from the start (it held halves), copied in a tenth of what a typed array costs. */
const EMPTY: readonly number[] = /*#__PURE__*/ new Array<number>(LIMBS).fill(0.5).fill(0);

export interface ExactSumJson {
  /** Odd integer (or "0x0") in hexadecimal: the sum is mantissa · 2^exponent. */
  readonly mantissa: string;
  readonly exponent: number;
  readonly nan?: number;
  readonly inf?: number;
  readonly "-inf"?: number;
}

export class ExactSum {
  /** Made with the first term that is no whole number: most sums are counts, and a new sum is often empty. */
  private wide: number[] | undefined;
  /** Whole numbers, added up as they are while they stay below 2^53. */
  private whole = 0;
  private uncarried = 0;
  private nans = 0;
  private positiveInfinities = 0;
  private negativeInfinities = 0;

  /** Adds one term, exactly. */
  add(term: number): void {
    if (this.wide === undefined && Number.isSafeInteger(term) && Number.isSafeInteger(this.whole + term)) {
      this.whole += term;
      return;
    }
    scratch[0] = term;
    this.addScratch();
  }

  /** Adds the first number of a cell: a number handed over in memory is never boxed on its way. */
  addCell(cell: Float64Array): void {
    scratch[0] = cell[0]!;
    this.addScratch();
  }

  private addScratch(): void {
    const low = words[LOW]!;
    const high = words[HIGH]!;
    const biased = (high >>> 20) & 0x7ff;
    if (biased === 0x7ff) {
      this.addSpecial(scratch[0]!);
      return;
    }
    // A subnormal has no implied bit and the exponent of the smallest normal number.
    const top = biased === 0 ? high & 0xfffff : (high & 0xfffff) | 0x100000;
    const bit = biased === 0 ? 0 : biased - 1;
    const shift = bit & 31;
    const at = bit >>> 5;
    // x >>> 1 >>> (31 − s) is x >>> (32 − s), right for s = 0 too.
    const first = (low << shift) >>> 0;
    const second = ((low >>> 1) >>> (31 - shift)) + ((top << shift) >>> 0);
    const third = (top >>> 1) >>> (31 - shift);
    const limbs = this.wide ?? this.limbs;
    if (high >>> 31 === 0) {
      limbs[at]! += first;
      limbs[at + 1]! += second;
      limbs[at + 2]! += third;
    } else {
      limbs[at]! -= first;
      limbs[at + 1]! -= second;
      limbs[at + 2]! -= third;
    }
    if (++this.uncarried >= TERMS_BETWEEN_CARRIES) this.carry();
  }

  /** The limbs, into which the whole numbers go first. */
  private get limbs(): number[] {
    if (this.wide) return this.wide;
    this.wide = EMPTY.slice();
    const { whole } = this;
    this.whole = 0;
    if (whole !== 0) {
      const kept = scratch[0]!;
      scratch[0] = whole;
      this.addScratch();
      scratch[0] = kept;
    }
    return this.wide;
  }

  /** Adds another sum, exactly; the other is unchanged in value. */
  merge(other: ExactSum): this {
    if (!other.wide && !this.wide && Number.isSafeInteger(this.whole + other.whole)) {
      this.whole += other.whole;
      return this.mergeSpecials(other);
    }
    other.carry();
    const [mine, theirs] = [this.limbs, other.limbs];
    for (let i = 0; i < LIMBS; i++) mine[i]! += theirs[i]!;
    if (++this.uncarried >= TERMS_BETWEEN_CARRIES) this.carry();
    return this.mergeSpecials(other);
  }

  private mergeSpecials(other: ExactSum): this {
    this.nans += other.nans;
    this.positiveInfinities += other.positiveInfinities;
    this.negativeInfinities += other.negativeInfinities;
    return this;
  }

  clone(): ExactSum {
    return new ExactSum().merge(this);
  }

  /** Back to the empty sum, for reuse. */
  clear(): void {
    this.wide?.fill(0);
    this.whole = 0;
    this.uncarried = 0;
    this.nans = 0;
    this.positiveInfinities = 0;
    this.negativeInfinities = 0;
  }

  /** The float64 nearest to the exact sum, ties to even; the empty sum is +0. */
  get value(): number {
    const special = this.special();
    if (special !== undefined) return special;
    if (!this.wide) return this.whole;
    this.carry();
    const negative = this.limbs[TOP]! < 0;
    const magnitude = negative ? negated(this.limbs) : this.limbs;
    let top = TOP;
    while (top > 0 && magnitude[top] === 0) top--;
    const leading = 31 - Math.clz32(magnitude[top]!);
    if (leading < 0) return 0;
    const absolute = rounded(magnitude, 32 * top + leading);
    return negative ? -absolute : absolute;
  }

  /** The sum as `mantissa · 2^exponent`, the one form of its value. */
  toJSON(): ExactSumJson {
    this.carry();
    let integer = 0n;
    for (let i = TOP; i >= 0; i--) integer = integer * BigInt(LIMB) + BigInt(this.limbs[i]!);
    let exponent = integer === 0n ? 0 : -1074;
    while (integer !== 0n && (integer & 0xffffffffn) === 0n) [integer, exponent] = [integer >> 32n, exponent + 32];
    while (integer !== 0n && (integer & 1n) === 0n) [integer, exponent] = [integer >> 1n, exponent + 1];
    const mantissa = integer < 0n ? `-0x${(-integer).toString(16)}` : `0x${integer.toString(16)}`;
    return {
      mantissa,
      exponent,
      ...(this.nans && { nan: this.nans }),
      ...(this.positiveInfinities && { inf: this.positiveInfinities }),
      ...(this.negativeInfinities && { "-inf": this.negativeInfinities }),
    };
  }

  /** @throws `argument` for anything that `toJSON` does not write */
  static fromJSON(json: ExactSumJson): ExactSum {
    const { mantissa, exponent, nan = 0, inf = 0, "-inf": negativeInf = 0 } = json ?? {};
    const counts = [nan, inf, negativeInf];
    const readable =
      typeof mantissa === "string" &&
      /^-?0x[0-9a-f]{1,560}$/.test(mantissa) &&
      Number.isInteger(exponent) &&
      exponent >= -1074 &&
      exponent <= 1200 &&
      counts.every((count) => Number.isSafeInteger(count) && count >= 0);
    const magnitude = readable ? BigInt(mantissa.replace("-", "")) << BigInt(exponent + 1074) : 0n;
    if (!readable || magnitude >> BigInt(32 * LIMBS - 2) !== 0n) {
      throw new LosswrightError({
        code: "argument",
        where: "ExactSum.fromJSON",
        found: JSON.stringify(json)?.slice(0, 120) ?? String(json),
        expected: 'the JSON of an exact sum: { "mantissa": "0x…", "exponent": … }',
      });
    }
    const sum = new ExactSum();
    const sign = mantissa.startsWith("-") ? -1 : 1;
    for (let i = 0, rest = magnitude; rest !== 0n; i++, rest >>= 32n) sum.limbs[i] = sign * Number(rest & 0xffffffffn);
    sum.uncarried = 1;
    [sum.nans, sum.positiveInfinities, sum.negativeInfinities] = [nan, inf, negativeInf];
    return sum;
  }

  /**
   * Writes the fixed integer form into `LANES` lanes: limbs below 2^32 (the last one signed), then the counts.
   * Lanes of up to 2^31 sums may be added as 64-bit integers, by an all-reduce for instance, and read as one sum.
   */
  toLanes(lanes: BigInt64Array, offset: number): void {
    this.carry();
    for (let i = 0; i < LIMBS; i++) lanes[offset + i] = BigInt(this.limbs[i]!);
    lanes[offset + LIMBS] = BigInt(this.nans);
    lanes[offset + LIMBS + 1] = BigInt(this.positiveInfinities);
    lanes[offset + LIMBS + 2] = BigInt(this.negativeInfinities);
  }

  static fromLanes(lanes: BigInt64Array, offset: number): ExactSum {
    const sum = new ExactSum();
    let carried = 0n;
    for (let i = 0; i < LIMBS; i++) {
      const lane = lanes[offset + i]! + carried;
      const kept = i === TOP ? lane : BigInt.asUintN(32, lane);
      carried = (lane - kept) >> 32n;
      sum.limbs[i] = Number(kept);
    }
    sum.nans = Number(lanes[offset + LIMBS]);
    sum.positiveInfinities = Number(lanes[offset + LIMBS + 1]);
    sum.negativeInfinities = Number(lanes[offset + LIMBS + 2]);
    return sum;
  }

  /**
   * Adds a sum in the form kernels keep it: `LANES` float64 integers, limbs below 2^32 (the last one signed), then the
   * counts.
   */
  addLanes(lanes: Float64Array, offset: number): void {
    // What is added to nothing has carried already.
    if (this.wide || this.whole !== 0) this.uncarried++;
    const { limbs } = this;
    for (let i = 0; i < LIMBS; i++) {
      const lane = lanes[offset + i]!;
      if (lane !== 0) limbs[i]! += lane;
    }
    this.nans += lanes[offset + LIMBS]!;
    this.positiveInfinities += lanes[offset + LIMBS + 1]!;
    this.negativeInfinities += lanes[offset + LIMBS + 2]!;
    if (this.uncarried >= TERMS_BETWEEN_CARRIES) this.carry();
  }

  private addSpecial(term: number): void {
    if (Number.isNaN(term)) this.nans++;
    else if (term > 0) this.positiveInfinities++;
    else this.negativeInfinities++;
  }

  private special(): number | undefined {
    if (this.nans || (this.positiveInfinities && this.negativeInfinities)) return Number.NaN;
    if (this.positiveInfinities) return Number.POSITIVE_INFINITY;
    return this.negativeInfinities ? Number.NEGATIVE_INFINITY : undefined;
  }

  /** Brings every limb but the last into [0, 2^32). */
  private carry(): void {
    const { limbs } = this;
    if (this.uncarried === 0) return;
    for (let i = 0; i < TOP; i++) {
      const carried = Math.floor(limbs[i]! / LIMB);
      if (carried === 0) continue;
      limbs[i]! -= carried * LIMB;
      limbs[i + 1]! += carried;
    }
    this.uncarried = 0;
  }
}

/** The limbs of −x for carried limbs of x < 0. */
function negated(limbs: readonly number[]): number[] {
  const out = EMPTY.slice();
  let borrow = 0;
  for (let i = 0; i < LIMBS; i++) {
    const limb = -limbs[i]! - borrow;
    borrow = i < TOP && limb < 0 ? 1 : 0;
    out[i] = limb + borrow * LIMB;
  }
  return out;
}

/** Rounds carried, non-negative limbs whose highest set bit is `highest` to the nearest float64, ties to even. */
function rounded(limbs: readonly number[], highest: number): number {
  const shift = highest - 52;
  // Up to 53 bits: an integer in units of 2^−1074, subnormal or not, is exact.
  if (shift <= 0) return (limbs[1]! * LIMB + limbs[0]!) * Number.MIN_VALUE;
  if (highest > 2097) return Number.POSITIVE_INFINITY;
  const kept = bitsAt(limbs, shift + 32, 21) * LIMB + bitsAt(limbs, shift, 32);
  const half = bitsAt(limbs, shift - 1, 1) === 1;
  const up = half && (kept % 2 === 1 || anyBitBelow(limbs, shift - 1));
  return (up ? kept + 1 : kept) * powerOfTwo(shift - 1074);
}

/** `count` ≤ 32 bits of the wide integer, from bit `offset` up, as a number. */
function bitsAt(limbs: readonly number[], offset: number, count: number): number {
  const at = offset >>> 5;
  const shift = offset & 31;
  const low = limbs[at]! >>> shift;
  const high = shift === 0 ? 0 : (limbs[at + 1] ?? 0) << (32 - shift);
  const word = (low | high) >>> 0;
  return count === 32 ? word : word & ((1 << count) - 1);
}

function anyBitBelow(limbs: readonly number[], bit: number): boolean {
  const at = bit >>> 5;
  for (let i = 0; i < at; i++) if (limbs[i] !== 0) return true;
  return (limbs[at]! & ((1 << (bit & 31)) - 1)) !== 0;
}

/** 2^exponent for −1074 ≤ exponent ≤ 971, exactly; below −1022 it is one bit of a subnormal. */
function powerOfTwo(exponent: number): number {
  const bit = exponent + 1074;
  words[LOW] = exponent < -1022 && bit < 32 ? 1 << bit : 0;
  words[HIGH] = exponent >= -1022 ? (exponent + 1023) << 20 : bit < 32 ? 0 : 1 << (bit - 32);
  return scratch[0]!;
}
