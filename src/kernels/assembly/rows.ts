// Rows of any length, four numbers at a time: what every loss of a softmax begins with.
//
// With t the largest entry and S = Σ_{k≠t} exp(x_k − x_t) nothing cancels: −log p_k = log1p(S) + (x_t − x_k), both
// terms never negative, and 1 − p_t = S / (1 + S). A row is walked in blocks that stay in the first cache: the block's
// maximum, then its exponentials, relative to the largest entry so far, then their sum without the largest entry. What
// each block was relative to is kept, so that the last pass rescales it: one exponential an entry.
import { exponentialBelow, exponentialsBelow, largest, log1p, lower, tanh, tanhSlope, total, upper } from "./vector";

/** Entries of a block. */
export const ROW_BLOCK: usize = 2048;

/** From here on, the sum of others is good to float32 with the largest entry's 1 in it. */
const NEAR: f64 = 4;

/** What {@link softmax} found of the row last given: the largest entry and its place, S, and log1p(S). */
export let peak: f32 = 0;
export let top: usize = 0;
export let others: f64 = 0;
export let rest: f64 = 0;

/** Bytes of a row of float32 in scratch, vectors whole. */
@inline
export function rowBytes(width: usize): usize {
  return ((width + 15) & ~15) << 2;
}

/** One to three numbers, with `filler` beside them. */
@inline
export function loadPart(at: usize, count: usize, filler: f32): v128 {
  let v = f32x4.replace_lane(f32x4.splat(filler), 0, load<f32>(at));
  if (count > 1) v = f32x4.replace_lane(v, 1, load<f32>(at, 4));
  if (count > 2) v = f32x4.replace_lane(v, 2, load<f32>(at, 8));
  return v;
}

@inline
export function storePart(at: usize, count: usize, v: v128): void {
  store<f32>(at, f32x4.extract_lane(v, 0));
  if (count > 1) store<f32>(at, f32x4.extract_lane(v, 1), 4);
  if (count > 2) store<f32>(at, f32x4.extract_lane(v, 2), 8);
}

/** The largest of `count` numbers; NaN is passed over, or comes out. */
function peakOf(x: usize, count: usize): f32 {
  const low = f32x4.splat(-Infinity);
  let a = low;
  let b = low;
  let c = low;
  let d = low;
  const sixteens = x + ((count & ~15) << 2);
  let at = x;
  for (; at < sixteens; at += 64) {
    a = f32x4.pmax(a, v128.load(at));
    b = f32x4.pmax(b, v128.load(at, 16));
    c = f32x4.pmax(c, v128.load(at, 32));
    d = f32x4.pmax(d, v128.load(at, 48));
  }
  const fours = x + ((count & ~3) << 2);
  for (; at < fours; at += 16) a = f32x4.pmax(a, v128.load(at));
  if (count & 3) a = f32x4.pmax(a, loadPart(at, count & 3, -Infinity));
  return largest(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
}

/** Writes exp(x − m) and gives their sum; a last vector that is not full has zeros beside it. */
function exponentials(x: usize, count: usize, m: f32, out: usize, ahead: usize, behind: usize): f64 {
  const shift = f32x4.splat(m);
  const whole = (count & ~3) << 2;
  const sum = exponentialsBelow(x, whole, shift, out, ahead, behind);
  if ((count & 3) == 0) return sum;
  const rest = exponentialBelow(loadPart(x + whole, count & 3, -Infinity), shift);
  v128.store(out + whole, rest);
  return sum + total(f64x2.add(lower(rest), upper(rest)));
}

/** The sum of float32 numbers, four vectors in float32 and then float64; a last vector may have zeros beside it. */
export function sumOf(x: usize, count: usize): f64 {
  let left = f64x2.splat(0);
  let right = f64x2.splat(0);
  const sixteens = x + ((count & ~15) << 2);
  let at = x;
  for (; at < sixteens; at += 64) {
    const v = f32x4.add(
      f32x4.add(v128.load(at), v128.load(at, 16)),
      f32x4.add(v128.load(at, 32), v128.load(at, 48)),
    );
    left = f64x2.add(left, lower(v));
    right = f64x2.add(right, upper(v));
  }
  const end = x + (((count + 3) & ~3) << 2);
  for (; at < end; at += 16) {
    const v = v128.load(at);
    left = f64x2.add(left, lower(v));
    right = f64x2.add(right, upper(v));
  }
  return total(f64x2.add(left, right));
}

function placeOf(x: usize, count: usize, value: f32): usize {
  const wanted = f32x4.splat(value);
  let k: usize = 0;
  for (const fours = count & ~3; k < fours; k += 4) {
    const bits = i32x4.bitmask(f32x4.eq(v128.load(x + (k << 2)), wanted));
    if (bits) return k + (ctz(bits) as usize);
  }
  while (k < count && load<f32>(x + (k << 2)) != value) k++;
  return k;
}

/**
 * Takes a row of `width` entries: leaves `peak`, `top`, `others`, `rest`, writes exponentials to `out` (`rowBytes`
 * long) and what each block of them is relative to, as float64, to `references`. False for a row that has no softmax:
 * NaN, +∞, or −∞ alone.
 *
 * @param end - where the rows end that follow this one, so that the next can be brought near; x itself for none
 * @param gradient - where the row's gradient will be written; x itself for none
 */
export function softmax(x: usize, width: usize, out: usize, references: usize, end: usize, gradient: usize): bool {
  let m: f32 = -Infinity;
  let sum: f64 = 0;
  let place: usize = 0;
  for (let from: usize = 0, block: usize = 0; from < width; from += ROW_BLOCK, block++) {
    const count = min(width - from, ROW_BLOCK);
    const at = x + (from << 2);
    const into = out + (from << 2);
    const highest = peakOf(at, count);
    const isNew = highest > m;
    if (isNew) {
      // What was summed so far, with its own largest entry, was relative to less.
      if (from > 0 && m > -Infinity) sum = (sum + 1) * NativeMath.exp((m as f64) - (highest as f64));
      m = highest;
    }
    store<f64>(references + (block << 3), m as f64);
    if (m == -Infinity) {
      // Forbidden classes alone, so far; but a NaN must be seen.
      if (peakIsNaN(at, count)) return false;
      memory.fill(into, 0, ((count + 3) & ~3) << 2);
      continue;
    }
    const bytes = count << 2;
    const ahead = at + bytes;
    const next = ahead + bytes <= end ? ahead : at;
    let ofBlock = exponentials(at, count, m, into, next, gradient + (from << 2));
    if (isNew) {
      const found = placeOf(at, count, m);
      place = from + found;
      ofBlock -= 1;
      if (!(ofBlock >= NEAR)) {
        // Beside the largest entry's 1 the others lost digits: they are summed without it.
        store<f32>(into + (found << 2), 0);
        ofBlock = sumOf(into, count);
        store<f32>(into + (found << 2), 1);
      }
    }
    sum += ofBlock;
  }
  if (!(abs<f32>(m) < Infinity) || sum != sum) return false;
  peak = m;
  top = place;
  others = sum;
  rest = NativeMath.log1p(sum);
  return true;
}

function peakIsNaN(x: usize, count: usize): bool {
  for (let k: usize = 0; k < count; k++) {
    const value = load<f32>(x + (k << 2));
    if (value != value) return true;
  }
  return false;
}

/** exp(reference of a block − peak): what its exponentials are to be multiplied by. */
@inline
export function rescale(references: usize, block: usize, highest: f32): f64 {
  const difference = load<f64>(references + (block << 3)) - (highest as f64);
  return difference == 0 ? 1 : NativeMath.exp(difference);
}

/** Writes out = factor_b · e over the blocks of a row. */
export function scaleRow(e: usize, width: usize, references: usize, highest: f32, factor: f64, out: usize): void {
  for (let from: usize = 0, block: usize = 0; from < width; from += ROW_BLOCK, block++) {
    const count = min(width - from, ROW_BLOCK);
    const c = f32x4.splat((factor * rescale(references, block, highest)) as f32);
    const left = e + (from << 2);
    const to = out + (from << 2);
    const sixteens = (count & ~15) << 2;
    let at: usize = 0;
    for (; at < sixteens; at += 64) {
      v128.store(to + at, f32x4.mul(v128.load(left + at), c));
      v128.store(to + at, f32x4.mul(v128.load(left + at, 16), c), 16);
      v128.store(to + at, f32x4.mul(v128.load(left + at, 32), c), 32);
      v128.store(to + at, f32x4.mul(v128.load(left + at, 48), c), 48);
    }
    const fours = (count & ~3) << 2;
    for (; at < fours; at += 16) v128.store(to + at, f32x4.mul(v128.load(left + at), c));
    if (count & 3) storePart(to + at, count & 3, f32x4.mul(v128.load(left + at), c));
  }
}

/** a · tanh(x / a) where `cap` is above 0, then / T, then + the shifts of the classes; slopes of the first, over T. */
@inline
function adjust(x: v128, cap: v128, temperature: v128, isCapped: bool): v128 {
  if (isCapped) {
    const capped = f32x4.mul(cap, tanh(f32x4.div(x, cap)));
    // An infinite logit stays what it says.
    x = v128.bitselect(capped, x, f32x4.lt(f32x4.abs(x), f32x4.splat(Infinity)));
  }
  return f32x4.div(x, temperature);
}

@inline
function slopeOf(x: v128, cap: v128): v128 {
  const isFinite = f32x4.lt(f32x4.abs(x), f32x4.splat(Infinity));
  return v128.bitselect(tanhSlope(f32x4.div(x, cap)), f32x4.splat(1), isFinite);
}

/** Writes the scores the softmax sees, and with a cap the slopes of the capping (without 1/T). */
export function adjustRow(
  x: usize,
  width: usize,
  cap: f32,
  temperature: f32,
  shifts: usize,
  out: usize,
  slopes: usize,
): void {
  const isCapped = cap > 0;
  const caps = f32x4.splat(cap);
  const temperatures = f32x4.splat(temperature);
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) {
    const given = v128.load(x + at);
    let score = adjust(given, caps, temperatures, isCapped);
    if (shifts != 0) score = f32x4.add(score, v128.load(shifts + at));
    v128.store(out + at, score);
    if (isCapped) v128.store(slopes + at, slopeOf(given, caps));
  }
  if (width & 3) {
    const given = loadPart(x + at, width & 3, 0);
    let score = adjust(given, caps, temperatures, isCapped);
    if (shifts != 0) score = f32x4.add(score, loadPart(shifts + at, width & 3, 0));
    v128.store(out + at, score);
    if (isCapped) v128.store(slopes + at, slopeOf(given, caps));
  }
}

/** Multiplies a row by another, entry by entry. */
export function multiplyRow(out: usize, by: usize, width: usize): void {
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) v128.store(out + at, f32x4.mul(v128.load(out + at), v128.load(by + at)));
  if (width & 3) storePart(out + at, width & 3, f32x4.mul(loadPart(out + at, width & 3, 0), v128.load(by + at)));
}
