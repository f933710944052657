// Cross entropy of a hard label among few classes: four rows at once, a class a vector.
//
// A row alone is one long chain of dependent operations. So rows take each step together, 64 at a time: exponentials and
// their sums, then gradients, then logarithms. Where less than four rows are left, the last stands in for those that are
// not there.
import { FACTORS, input, LABELS, LOSSES, ODD, output, parameter, WEIGHTS, WIDTH, word } from "./operands";
import { at, FEW_ROWS, FEW_SUMS, FEW_TOGETHER, TERMS } from "./scratch";
import { addTerms } from "./terms";
import { choose, exponentialBelow, exponentialsBelow, log1p, log1pOfUnit, minusSize, negative, one } from "./vector";

/** Up to 16 classes and a hard label. */
export function fewClasses(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const odd = word(record, ODD);
  const givesGradient = output(record, 0) != 0;
  const terms = scratch + TERMS;
  const e = scratch + FEW_ROWS;
  const sums = scratch + FEW_SUMS;
  let found = 0;
  for (let start = from; start < to; start += 256) {
    const count = min(to - start, 256);
    for (let i: usize = 0; i < count; i += FEW_TOGETHER) {
      const first = start + i;
      const end = min(first + FEW_TOGETHER, to);
      const apart = terms + (i << 2);
      if (width == 2) {
        compareTwo(record, first, end, sums, apart);
        if (givesGradient) giveTwo(record, first, end, sums, apart, e);
        addLogsOfUnit(sums, end - first, apart);
      } else {
        compare(record, first, end, e, sums, apart);
        if (givesGradient) give(record, first, end, e, sums, apart);
        addLogs(sums, end - first, apart);
      }
      if (weights != 0) dropDead(weights, first, end, apart);
    }
    for (let i = count; i & 3; i++) store<f32>(terms + (i << 2), 0);
    if (losses != 0) {
      for (let i: usize = 0; i < count; i++) store<f64>(losses + ((start + i) << 3), at(terms, i));
    }
    found = addTerms(scratch, terms, weights, odd, from, to, start, count as i32, found);
  }
  return found;
}

/** Makes losses of what the label lies below the largest entry: adds log1p of the sum of the others. */
function addLogs(sums: usize, rows: usize, apart: usize): void {
  const bytes = rows << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(apart + at, f32x4.add(log1p(v128.load(sums + at)), v128.load(apart + at)));
  }
}

function addLogsOfUnit(sums: usize, rows: usize, apart: usize): void {
  const bytes = rows << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(apart + at, f32x4.add(log1pOfUnit(v128.load(sums + at)), v128.load(apart + at)));
  }
}

/** Sets the terms of rows that weigh nothing to 0, whatever they are. */
function dropDead(weights: usize, first: usize, end: usize, terms: usize): void {
  for (let row = first; row < end; row += 4, terms += 16) {
    v128.store(terms, v128.and(v128.load(terms), livesOf(weights, row, end - 1)));
  }
}

/** Of two classes: e^−|x1 − x0|, which is the sum without the larger one's 1, and how far the label lies below it. */
function compareTwo(record: usize, first: usize, end: usize, sums: usize, apart: usize): void {
  const logits = input(record, 0);
  const labels = word(record, LABELS);
  const zero = f32x4.splat(0);
  for (let row = first; row < end; row += 4, sums += 16, apart += 16) {
    const base = logits + (row << 3);
    let x0: v128;
    let x1: v128;
    if (row + 4 <= end) {
      const low = v128.load(base);
      const high = v128.load(base, 16);
      x0 = v128.shuffle<f32>(low, high, 0, 2, 4, 6);
      x1 = v128.shuffle<f32>(low, high, 1, 3, 5, 7);
    } else {
      const last = (end - 1 - row) << 3;
      x0 = fourOf(base, 0, min(8, last), min(16, last), last);
      x1 = fourOf(base + 4, 0, min(8, last), min(16, last), last);
    }
    const ofLabel = choose(i32x4.gt_s(labelsOf(labels, row, end - 1), zero), x1, x0);
    v128.store(apart, f32x4.sub(f32x4.pmax(x0, x1), ofLabel));
    v128.store(sums, exponentialBelow(minusSize(f32x4.sub(x1, x0)), zero));
  }
}

/** Gradients of two classes: what the label's entry falls by, the other's rises. `columns` is room for two vectors. */
function giveTwo(record: usize, first: usize, end: usize, sums: usize, apart: usize, columns: usize): void {
  const labels = word(record, LABELS);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const out = output(record, 0);
  const zero = f32x4.splat(0);
  const infinity = f32x4.splat(Infinity);
  let factor = f32x4.splat(parameter(record, 0) as f32);
  let isLive = f32x4.ne(factor, zero);
  for (let row = first; row < end; row += 4, sums += 16, apart += 16) {
    if ((weights | factors) != 0) {
      factor = factorsOf(record, factors, weights, row, end - 1);
      isLive = f32x4.ne(factor, zero);
    }
    const smaller = v128.load(sums);
    const distance = v128.load(apart);
    const other = choose(f32x4.eq(distance, zero), smaller, one());
    const slope = f32x4.mul(f32x4.div(other, f32x4.add(one(), smaller)), factor);
    const isSecond = i32x4.shl(labelsOf(labels, row, end - 1), 31);
    const second = v128.xor(slope, isSecond);
    const g0 = v128.and(negative(second), isLive);
    const g1 = v128.and(second, isLive);
    const isFinite = f32x4.lt(f32x4.add(smaller, distance), infinity);
    const into = out + (row << 3);
    if (row + 4 <= end && i32x4.all_true(isFinite)) {
      v128.store(into, v128.shuffle<f32>(g0, g1, 0, 4, 1, 5));
      v128.store(into, v128.shuffle<f32>(g0, g1, 2, 6, 3, 7), 16);
    } else {
      v128.store(columns, g0);
      v128.store(columns, g1, 16);
      giveOneByOne(columns, 2, isLive, isFinite, into, end - row);
    }
  }
}

/**
 * Writes e^(x − t) of every class, t being a row's largest entry; their sum without t's own 1; and how far the label
 * lies below t.
 */
function compare(record: usize, first: usize, end: usize, e: usize, sums: usize, apart: usize): void {
  const width = word(record, WIDTH);
  const logits = input(record, 0);
  const labels = word(record, LABELS);
  const bytes = width << 2;
  const columnBytes = bytes << 2;
  const zero = f32x4.splat(0);
  let b: usize = 1;
  let c: usize = 2;
  let d: usize = 3;
  for (let row = first, columns = e; row < end; row += 4, columns += columnBytes, apart += 16) {
    if (row + 4 > end) {
      b = min(b, end - 1 - row);
      c = min(c, end - 1 - row);
      d = min(d, end - 1 - row);
    }
    const base = logits + row * bytes;
    const bAt = b * bytes;
    const cAt = c * bytes;
    const dAt = d * bytes;
    let highest: v128;
    if (width >= 4) highest = takeColumns(base, bAt, cAt, dAt, width, columns);
    else {
      highest = fourOf(base, 0, bAt, cAt, dAt);
      v128.store(columns, highest);
      for (let k: usize = 1; k < width; k++) {
        const x = fourOf(base + (k << 2), 0, bAt, cAt, dAt);
        v128.store(columns + (k << 4), x);
        highest = f32x4.pmax(highest, x);
      }
    }
    const own = labels + (row << 2);
    const ofLabel = fourOf(
      base,
      labelAt(own) << 2,
      bAt + (labelAt(own + (b << 2)) << 2),
      cAt + (labelAt(own + (c << 2)) << 2),
      dAt + (labelAt(own + (d << 2)) << 2),
    );
    v128.store(apart, f32x4.sub(highest, ofLabel));
    for (let at: usize = 0; at < columnBytes; at += 16) {
      v128.store(columns + at, f32x4.sub(v128.load(columns + at), highest));
    }
  }
  const all = ((end - first + 3) >> 2) * columnBytes;
  exponentialsBelow(e, all, zero, e, e, e);
  const ones = one();
  for (const stop = e + all; e < stop; sums += 16) {
    let sum = zero;
    let tops = zero;
    for (const next = e + columnBytes; e < next; e += 16) {
      const exponential = v128.load(e);
      const isOne = f32x4.eq(exponential, ones);
      sum = f32x4.add(sum, v128.andnot(exponential, isOne));
      tops = i32x4.add(tops, isOne);
    }
    // Entries as large as the largest are 1 each, and one of them is the largest itself. A mask is −1.
    v128.store(sums, f32x4.add(sum, f32x4.convert_i32x4_s(v128.not(tops))));
  }
}

/** Gradients of what {@link compare} left: p, and −(1 − p) of the label. */
function give(record: usize, first: usize, end: usize, e: usize, sums: usize, apart: usize): void {
  const width = word(record, WIDTH);
  const labels = word(record, LABELS);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const out = output(record, 0);
  const bytes = width << 2;
  const zero = f32x4.splat(0);
  const infinity = f32x4.splat(Infinity);
  let factor = f32x4.splat(parameter(record, 0) as f32);
  let isLive = f32x4.ne(factor, zero);
  for (let row = first; row < end; row += 4, e += bytes << 2, sums += 16, apart += 16) {
    if ((weights | factors) != 0) {
      factor = factorsOf(record, factors, weights, row, end - 1);
      isLive = f32x4.ne(factor, zero);
    }
    const last = end - 1;
    const l0 = labelAt(labels + (row << 2));
    const l1 = labelAt(labels + (min(row + 1, last) << 2));
    const l2 = labelAt(labels + (min(row + 2, last) << 2));
    const l3 = labelAt(labels + (min(row + 3, last) << 2));
    const y0 = e + (l0 << 4);
    const y1 = e + (l1 << 4) + 4;
    const y2 = e + (l2 << 4) + 8;
    const y3 = e + (l3 << 4) + 12;
    const sum = v128.load(sums);
    const distance = v128.load(apart);
    const inverse = f32x4.div(one(), f32x4.add(one(), sum));
    // Where the label is the largest, 1 − p is the others' mass.
    const mass = f32x4.mul(sum, inverse);
    const short = f32x4.sub(one(), f32x4.mul(fourOf(0, y0, y1, y2, y3), inverse));
    const complement = choose(f32x4.eq(distance, zero), mass, short);
    const entry = v128.and(negative(f32x4.mul(complement, factor)), isLive);
    const scale = f32x4.mul(factor, inverse);
    const isFinite = f32x4.lt(f32x4.add(sum, distance), infinity);
    const into = out + row * bytes;
    if (row + 4 <= end && i32x4.all_true(isFinite)) {
      if (width >= 4) giveColumns(e, scale, width, into, bytes, 2 * bytes, 3 * bytes);
      else {
        for (let k: usize = 0; k < width; k++) {
          const p = f32x4.mul(v128.load(e + (k << 4)), scale);
          const to = into + (k << 2);
          v128.store32_lane(to, p, 0);
          v128.store32_lane(to + bytes, p, 1);
          v128.store32_lane(to + 2 * bytes, p, 2);
          v128.store32_lane(to + 3 * bytes, p, 3);
        }
      }
      v128.store32_lane(into + (l0 << 2), entry, 0);
      v128.store32_lane(into + bytes + (l1 << 2), entry, 1);
      v128.store32_lane(into + 2 * bytes + (l2 << 2), entry, 2);
      v128.store32_lane(into + 3 * bytes + (l3 << 2), entry, 3);
    } else {
      for (let k: usize = 0; k < width; k++) v128.store(e + (k << 4), f32x4.mul(v128.load(e + (k << 4)), scale));
      v128.store32_lane(y0, entry, 0);
      if (row < last) v128.store32_lane(y1, entry, 1);
      if (row + 1 < last) v128.store32_lane(y2, entry, 2);
      if (row + 2 < last) v128.store32_lane(y3, entry, 3);
      giveOneByOne(e, width, isLive, isFinite, into, end - row);
    }
  }
}

/** Writes up to four rows of columns: zeros for a dead row, nothing for one that is left to the reference. */
function giveOneByOne(columns: usize, width: usize, isLive: v128, isFinite: v128, into: usize, rows: usize): void {
  const live = i32x4.bitmask(isLive);
  const finite = i32x4.bitmask(isFinite);
  const bytes = width << 2;
  for (let i: usize = 0; i < min(rows, 4); i++, into += bytes, columns += 4) {
    const bit = 1 << (i as i32);
    if (!(live & bit)) memory.fill(into, 0, bytes);
    else if (finite & bit) {
      for (let k: usize = 0; k < width; k++) store<f32>(into + (k << 2), load<f32>(columns + (k << 4)));
    }
  }
}

/** A label at an address; 0 in place of none, which only dead rows have. */
@inline
function labelAt(address: usize): usize {
  return max(load<i32>(address), 0) as usize;
}

/** Labels of four rows. */
@inline
function labelsOf(labels: usize, row: usize, last: usize): v128 {
  if (row + 3 <= last) return v128.load(labels + (row << 2));
  return fourOf(labels, row << 2, min(row + 1, last) << 2, min(row + 2, last) << 2, last << 2);
}

/** Two float64 numbers of a list. */
@inline
function twoOf(numbers: usize, a: usize, b: usize): v128 {
  return v128.load64_lane(numbers + (b << 3), v128.load64_zero(numbers + (a << 3)), 1);
}

/** All ones for those of four rows that weigh something. */
@inline
function livesOf(weights: usize, row: usize, last: usize): v128 {
  const zero = f64x2.splat(0);
  const low = f64x2.ne(twoOf(weights, row, min(row + 1, last)), zero);
  const high = f64x2.ne(twoOf(weights, min(row + 2, last), min(row + 3, last)), zero);
  return v128.shuffle<f32>(low, high, 0, 2, 4, 6);
}

/** What the gradients of four rows are multiplied by; 0 for dead rows. */
function factorsOf(record: usize, factors: usize, weights: usize, row: usize, last: usize): v128 {
  let factor = f32x4.splat(parameter(record, 0) as f32);
  if (factors != 0) {
    const low = f32x4.demote_f64x2_zero(twoOf(factors, row, min(row + 1, last)));
    const high = f32x4.demote_f64x2_zero(twoOf(factors, min(row + 2, last), min(row + 3, last)));
    factor = v128.shuffle<f32>(low, high, 0, 1, 4, 5);
  }
  return weights == 0 ? factor : v128.and(factor, livesOf(weights, row, last));
}

@inline
function fourOf(base: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  let v = v128.load32_zero(base + a);
  v = v128.load32_lane(base + b, v, 1);
  v = v128.load32_lane(base + c, v, 2);
  return v128.load32_lane(base + d, v, 3);
}

/**
 * Takes four rows, at distances b, c and d from the first, as columns: a vector a class. Gives the largest of each row.
 * Four classes at a time are a square of vectors turned over; the last square may lie over the one before it. For 4
 * classes or more.
 */
function takeColumns(rows: usize, b: usize, c: usize, d: usize, width: usize, out: usize): v128 {
  let highest = v128.load32_splat(rows);
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
    const c0 = v128.shuffle<f32>(low, low2, 0, 1, 4, 5);
    const c1 = v128.shuffle<f32>(low, low2, 2, 3, 6, 7);
    const c2 = v128.shuffle<f32>(high, high2, 0, 1, 4, 5);
    const c3 = v128.shuffle<f32>(high, high2, 2, 3, 6, 7);
    const to = out + (k << 4);
    v128.store(to, c0);
    v128.store(to, c1, 16);
    v128.store(to, c2, 32);
    v128.store(to, c3, 48);
    const ofFour = f32x4.pmax(f32x4.pmax(c0, c1), f32x4.pmax(c2, c3));
    highest = k == 0 ? ofFour : f32x4.pmax(highest, ofFour);
    if (k + 4 >= width) break;
  }
  return highest;
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
