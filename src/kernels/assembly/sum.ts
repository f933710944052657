// Exact sums: the wide integers of `tally/exact-sum.ts`, limb for limb, so that the host adds them up as they are.
//
// An accumulator is 69 limbs of 64 bits, each worth 2^(32 i − 1074), then the counts of NaN, +∞ and −∞. A term adds
// less than 2^32 to a limb; the host drains an accumulator before 2^31 terms.

import { WEIGHTS, word } from "./operands";

const NANS: usize = 69 * 8;

/** Adds one number, exactly. */
export function addExact(accumulator: usize, x: f64): void {
  const bits = reinterpret<u64>(x);
  const biased = (bits >> 52) & 0x7ff;
  if (biased == 0x7ff) {
    const special = accumulator + NANS + (x != x ? 0 : x > 0 ? 8 : 16);
    store<i64>(special, load<i64>(special) + 1);
    return;
  }
  // A subnormal has no implied bit and the exponent of the smallest normal number.
  const hidden: u64 = biased == 0 ? 0 : 1;
  const mantissa = (bits & 0xfffffffffffff) | (hidden << 52);
  const bit = biased - hidden;
  const shift = bit & 31;
  const at = accumulator + ((bit >> 5) << 3) as usize;
  const first = ((mantissa << shift) & 0xffffffff) as i64;
  // In two steps, since a shift by 64 is none.
  const rest = (mantissa >> 1) >> (31 - shift);
  const second = (rest & 0xffffffff) as i64;
  const third = (rest >> 32) as i64;
  if ((bits as i64) >= 0) {
    store<i64>(at, load<i64>(at) + first);
    store<i64>(at, load<i64>(at, 8) + second, 8);
    store<i64>(at, load<i64>(at, 16) + third, 16);
  } else {
    store<i64>(at, load<i64>(at) - first);
    store<i64>(at, load<i64>(at, 8) - second, 8);
    store<i64>(at, load<i64>(at, 16) - third, 16);
  }
}

/** How many float32 terms {@link addBlock} takes at most. */
export const BLOCK: i32 = 256;

/** Whether the bits of a largest magnitude are those of an infinity or a NaN. */
@inline
function hasOdd(bits: u32): bool {
  return bits >= 0x7f800000;
}

/**
 * Adds `count` ≤ 256 float32 terms, exactly; storage up to the next multiple of 4 must hold zeros. False, and nothing
 * added, where one of them is not finite.
 *
 * In float64 a plain sum of float32 terms is exact while their exponents lie close: n ≤ 2^8 terms that are multiples of
 * 2^(m − 23) and below 2^(M + 1) add up below 2^(M + 9), so M − m ≤ 21 leaves 53 bits. Cut in two halves of 12 bits
 * each, they may lie 33 apart; the few that lie further below are added one by one.
 */
export function addBlock(accumulator: usize, terms: usize, count: i32): bool {
  const end = terms + (((count + 3) & ~3) << 2);
  const magnitude = i32x4.splat(0x7fffffff);
  const one = i32x4.splat(1);
  let highest = i32x4.splat(0);
  let lowest = i32x4.splat(-1);
  for (let at = terms; at < end; at += 16) {
    const bits = v128.and(v128.load(at), magnitude);
    highest = i32x4.max_u(highest, bits);
    // A zero wraps to the largest integer: it lies nowhere.
    lowest = i32x4.min_u(lowest, i32x4.sub(bits, one));
  }
  const top = max(
    max(i32x4.extract_lane(highest, 0) as u32, i32x4.extract_lane(highest, 1) as u32),
    max(i32x4.extract_lane(highest, 2) as u32, i32x4.extract_lane(highest, 3) as u32),
  );
  if (hasOdd(top)) return false;
  const bottom = min(
    min(i32x4.extract_lane(lowest, 0) as u32, i32x4.extract_lane(lowest, 1) as u32),
    min(i32x4.extract_lane(lowest, 2) as u32, i32x4.extract_lane(lowest, 3) as u32),
  );
  if (bottom == 0xffffffff) return true;
  // Subnormals are multiples of the smallest of them, like numbers of exponent 1.
  const spread = max(top >> 23, 1) - max((bottom + 1) >> 23, 1);
  if (spread <= 21) {
    let left = f64x2.splat(0);
    let right = f64x2.splat(0);
    for (let at = terms; at < end; at += 16) {
      left = f64x2.add(left, f64x2.promote_low_f32x4(v128.load64_zero(at)));
      right = f64x2.add(right, f64x2.promote_low_f32x4(v128.load64_zero(at, 8)));
    }
    const both = f64x2.add(left, right);
    addExact(accumulator, f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1));
    return true;
  }
  addFarApart(accumulator, terms, end, top);
  return true;
}

/** How many binades below the largest a term may lie: two halves of 12 bits then add up exactly. */
const REACH: i32 = 33;

/**
 * Adds terms that are not close: those within 33 binades of the largest, cut in two halves whose sums are exact, and the
 * few below them each on its own.
 */
function addFarApart(accumulator: usize, terms: usize, end: usize, top: u32): void {
  const magnitude = i32x4.splat(0x7fffffff);
  const head = i64x2.splat(0xfffffe0000000000 as i64);
  // The bits of 2^(e − 33): below the normal numbers exponents are places of a single bit.
  const exponent = (top >= 0x00800000 ? ((top >> 23) as i32) : 9 - (clz(top) as i32)) - REACH;
  const lowest = i32x4.splat(exponent > 0 ? exponent << 23 : exponent > -23 ? 1 << (22 + exponent) : 0);
  const zero = i32x4.splat(0);
  let high = f64x2.splat(0);
  let low = f64x2.splat(0);
  let high2 = f64x2.splat(0);
  let low2 = f64x2.splat(0);
  for (let at = terms; at < end; at += 16) {
    const x = v128.load(at);
    const bits = v128.and(x, magnitude);
    const isBelow = i32x4.gt_s(lowest, bits);
    const term = v128.andnot(x, isBelow);
    const a = f64x2.promote_low_f32x4(term);
    const b = f64x2.promote_low_f32x4(v128.shuffle<f32>(term, term, 2, 3, 2, 3));
    const aHead = v128.and(a, head);
    const bHead = v128.and(b, head);
    high = f64x2.add(high, aHead);
    low = f64x2.add(low, f64x2.sub(a, aHead));
    high2 = f64x2.add(high2, bHead);
    low2 = f64x2.add(low2, f64x2.sub(b, bHead));
    let left = i32x4.bitmask(v128.and(isBelow, i32x4.gt_s(bits, zero)));
    while (left) {
      addExact(accumulator, load<f32>(at + ((ctz(left) as usize) << 2)) as f64);
      left &= left - 1;
    }
  }
  high = f64x2.add(high, high2);
  low = f64x2.add(low, low2);
  addExact(accumulator, f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1));
  addExact(accumulator, f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1));
}

/** Limbs, then the counts of NaN, +∞ and −∞. */
const LANES: usize = 72;
const TOP: usize = 68;

/**
 * Adds up the accumulators of all threads, brings every limb but the last into [0, 2^32), writes the 72 lanes as
 * float64 and leaves the accumulators empty.
 */
export function drain(accumulators: usize, stride: usize, count: i32, out: usize): void {
  let carried: i64 = 0;
  for (let i: usize = 0; i < LANES; i++) {
    let lane: i64 = 0;
    for (let thread = 0; thread < count; thread++) {
      const at = accumulators + (thread as usize) * stride + (i << 3);
      lane += load<i64>(at);
      store<i64>(at, 0);
    }
    if (i <= TOP) {
      lane += carried;
      carried = 0;
      if (i < TOP) {
        carried = lane >> 32;
        lane &= 0xffffffff;
      }
    }
    store<f64>(out + (i << 3), lane as f64);
  }
}

/** A row kernel that sums the weights of rows themselves. */
export function sumWeights(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const weights = word(record, WEIGHTS);
  for (let row = from; row < to; row++) {
    const weight = load<f64>(weights + (row << 3));
    if (weight != 0) addExact(scratch, weight);
  }
  return 0;
}
