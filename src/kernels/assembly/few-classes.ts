// Cross entropy of a hard label among few classes: four rows at once, a class a vector.
import { FACTORS, factorOf, input, LABELS, LOSSES, ODD, output, parameter, WEIGHTS, weightOf, WIDTH, word } from "./operands";
import { at, FEW_CLASSES, FEW_ROWS, TERMS } from "./scratch";
import { addTerms } from "./terms";
import { exponentialBelow, exponentialsBelow, log1p } from "./vector";

/** From so many classes on, columns are taken and given in squares; below, number by number. */
const SQUARES: usize = 8;

@inline
function fourOf(base: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  let v = v128.load32_zero(base + a);
  v = v128.load32_lane(base + b, v, 1);
  v = v128.load32_lane(base + c, v, 2);
  return v128.load32_lane(base + d, v, 3);
}

/**
 * Takes four rows, at distances b, c and d from the first, as columns: a vector a class. Four classes at a time are a
 * square of vectors turned over; the last square may lie over the one before it. For 4 classes or more.
 */
function takeColumns(rows: usize, b: usize, c: usize, d: usize, width: usize, out: usize): void {
  for (let k: usize = 0; ; k = min(k + 4, width - 4)) {
    const at = rows + (k << 2);
    const r0 = v128.load(at);
    const r1 = v128.load(at + b);
    const r2 = v128.load(at + c);
    const r3 = v128.load(at + d);
    const low = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
    const high = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const low2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const high2 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    const to = out + (k << 4);
    v128.store(to, v128.shuffle<f32>(low, low2, 0, 1, 4, 5));
    v128.store(to, v128.shuffle<f32>(low, low2, 2, 3, 6, 7), 16);
    v128.store(to, v128.shuffle<f32>(high, high2, 0, 1, 4, 5), 32);
    v128.store(to, v128.shuffle<f32>(high, high2, 2, 3, 6, 7), 48);
    if (k + 4 >= width) return;
  }
}

/** Writes columns times a factor a row back into four rows. */
function giveColumns(e: usize, factor: v128, width: usize, rows: usize, b: usize, c: usize, d: usize): void {
  for (let k: usize = 0; ; k = min(k + 4, width - 4)) {
    const from = e + (k << 4);
    const c0 = f32x4.mul(v128.load(from), factor);
    const c1 = f32x4.mul(v128.load(from, 16), factor);
    const c2 = f32x4.mul(v128.load(from, 32), factor);
    const c3 = f32x4.mul(v128.load(from, 48), factor);
    const low = v128.shuffle<f32>(c0, c1, 0, 4, 1, 5);
    const high = v128.shuffle<f32>(c0, c1, 2, 6, 3, 7);
    const low2 = v128.shuffle<f32>(c2, c3, 0, 4, 1, 5);
    const high2 = v128.shuffle<f32>(c2, c3, 2, 6, 3, 7);
    const at = rows + (k << 2);
    v128.store(at, v128.shuffle<f32>(low, low2, 0, 1, 4, 5));
    v128.store(at + b, v128.shuffle<f32>(low, low2, 2, 3, 6, 7));
    v128.store(at + c, v128.shuffle<f32>(high, high2, 0, 1, 4, 5));
    v128.store(at + d, v128.shuffle<f32>(high, high2, 2, 3, 6, 7));
    if (k + 4 >= width) return;
  }
}

/** Up to 16 classes and a hard label: four rows at once, a class a vector. */
export function fewClasses(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const logits = input(record, 0);
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const labels = word(record, LABELS);
  const odd = word(record, ODD);
  const terms = scratch + TERMS;
  const scores = scratch + FEW_ROWS;
  const e = scores + FEW_CLASSES * 16;
  const isUniform = weights == 0 && factors == 0;
  const one = f32x4.splat(1);
  const bytes = width << 2;
  let found = 0;
  for (let start = from; start < to; start += 256) {
    const count = min(to - start, 256);
    for (let i: usize = 0; i < count; i += 4) {
      const row = start + i;
      const last = to - 1;
      // Rows that are not there are the last one again.
      const b = min(row + 1, last);
      const c = min(row + 2, last);
      const d = min(row + 3, last);
      const base = logits + row * bytes;
      const bAt = (b - row) * bytes;
      const cAt = (c - row) * bytes;
      const dAt = (d - row) * bytes;
      let highest: v128;
      if (width < SQUARES) {
        highest = fourOf(base, 0, bAt, cAt, dAt);
        v128.store(scores, highest);
        for (let k: usize = 1; k < width; k++) {
          const x = fourOf(base + (k << 2), 0, bAt, cAt, dAt);
          v128.store(scores + (k << 4), x);
          highest = f32x4.pmax(highest, x);
        }
        for (let k: usize = 0; k < width; k++) {
          v128.store(e + (k << 4), exponentialBelow(v128.load(scores + (k << 4)), highest));
        }
      } else {
        takeColumns(base, bAt, cAt, dAt, width, scores);
        highest = v128.load(scores);
        for (let k: usize = 1; k < width; k++) highest = f32x4.pmax(highest, v128.load(scores + (k << 4)));
        exponentialsBelow(scores, width << 4, highest, e, scores, scores);
      }
      let sum = f32x4.splat(0);
      let seen = f32x4.splat(0);
      for (let k: usize = 0; k < width; k++) {
        const x = v128.load(scores + (k << 4));
        const exponential = v128.load(e + (k << 4));
        const isTop = v128.andnot(f32x4.eq(x, highest), seen);
        seen = v128.or(seen, isTop);
        sum = f32x4.add(sum, v128.andnot(exponential, isTop));
      }
      // NaN where the largest score is no number that others can be relative to.
      sum = f32x4.add(sum, f32x4.mul(highest, f32x4.splat(0)));
      const l0 = labelOf(labels, row);
      const l1 = labelOf(labels, b);
      const l2 = labelOf(labels, c);
      const l3 = labelOf(labels, d);
      const y0 = l0 << 4;
      const y1 = (l1 << 4) + 4;
      const y2 = (l2 << 4) + 8;
      const y3 = (l3 << 4) + 12;
      const ofLabel = fourOf(scores, y0, y1, y2, y3);
      const loss = f32x4.add(log1p(sum), f32x4.sub(highest, ofLabel));
      v128.store(terms + (i << 2), loss);
      if (out == 0) continue;
      const inverse = f32x4.div(one, f32x4.add(one, sum));
      // Where the label is the largest, 1 − p is the others' mass.
      const mass = f32x4.mul(sum, inverse);
      const short = f32x4.sub(one, f32x4.mul(fourOf(e, y0, y1, y2, y3), inverse));
      const complement = v128.bitselect(mass, short, f32x4.eq(ofLabel, highest));
      let factor: v128;
      if (isUniform) factor = f32x4.splat(parameter(record, 0) as f32);
      else {
        factor = f32x4.splat(factorOrZero(record, factors, weights, row) as f32);
        factor = f32x4.replace_lane(factor, 1, factorOrZero(record, factors, weights, b) as f32);
        factor = f32x4.replace_lane(factor, 2, factorOrZero(record, factors, weights, c) as f32);
        factor = f32x4.replace_lane(factor, 3, factorOrZero(record, factors, weights, d) as f32);
      }
      const entry = f32x4.neg(f32x4.mul(complement, factor));
      const scale = f32x4.mul(factor, inverse);
      const into = out + row * bytes;
      // Dead rows, and rows for the reference, take the slow way.
      const good = v128.and(f32x4.ne(factor, f32x4.splat(0)), f32x4.lt(loss, f32x4.splat(Infinity)));
      if (i + 4 <= count && i32x4.all_true(good)) {
        if (width < SQUARES) {
          for (let k: usize = 0; k < width; k++) {
            const slope = f32x4.mul(v128.load(e + (k << 4)), scale);
            const at = into + (k << 2);
            v128.store32_lane(at, slope, 0);
            v128.store32_lane(at + bAt, slope, 1);
            v128.store32_lane(at + cAt, slope, 2);
            v128.store32_lane(at + dAt, slope, 3);
          }
        } else giveColumns(e, scale, width, into, bAt, cAt, dAt);
        v128.store32_lane(into + (l0 << 2), entry, 0);
        v128.store32_lane(into + bAt + (l1 << 2), entry, 1);
        v128.store32_lane(into + cAt + (l2 << 2), entry, 2);
        v128.store32_lane(into + dAt + (l3 << 2), entry, 3);
      } else {
        v128.store(scores, scale);
        v128.store(scores + 16, entry);
        v128.store(scores + 32, factor);
        const lanes = min(count - i, 4);
        for (let lane: usize = 0; lane < lanes; lane++) {
          const offset = lane << 2;
          const at = into + lane * bytes;
          if (load<f32>(scores + 32 + offset) == 0) {
            memory.fill(at, 0, bytes);
            continue;
          }
          if (!(load<f32>(terms + (i << 2) + offset) < Infinity)) continue;
          const scaled = load<f32>(scores + offset);
          for (let k: usize = 0; k < width; k++) {
            store<f32>(at + (k << 2), load<f32>(e + (k << 4) + offset) * scaled);
          }
          store<f32>(at + (labelOf(labels, row + lane) << 2), load<f32>(scores + 16 + offset));
        }
      }
    }
    for (let i = count; i & 3; i++) store<f32>(terms + (i << 2), 0);
    if (weights != 0) {
      for (let i: usize = 0; i < count; i++) {
        if (load<f64>(weights + ((start + i) << 3)) == 0) store<f32>(terms + (i << 2), 0);
      }
    }
    if (losses != 0) {
      for (let i: usize = 0; i < count; i++) store<f64>(losses + ((start + i) << 3), at(terms, i));
    }
    found = addTerms(scratch, terms, weights, odd, from, to, start, count as i32, found);
  }
  return found;
}

/** The label of a row; 0 in place of none, which only dead rows have. */
@inline
function labelOf(labels: usize, row: usize): usize {
  return max(load<i32>(labels + (row << 2)), 0) as usize;
}

@inline
function factorOrZero(record: usize, factors: usize, weights: usize, row: usize): f64 {
  return weightOf(weights, row) == 0 ? 0 : factorOf(record, factors, row);
}
