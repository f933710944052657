// Losses over rows of logits. A row whose loss is not finite, or that must be spoken of, is left to the reference: its
// byte in ODD is set, nothing of it is summed, and its gradient row is not written.
export { drain, sumWeights } from "./sum";
import {
  FACTORS,
  factorOf,
  FLAGS,
  input,
  LABELS,
  LOSSES,
  ODD,
  output,
  parameter,
  table,
  WEIGHTS,
  weightOf,
  WIDTH,
  word,
} from "./operands";
import {
  adjustRow,
  loadPart,
  multiplyRow,
  others,
  peak,
  ROW_BLOCK,
  rescale,
  rest,
  rowBytes,
  scaleRow,
  softmax,
  storePart,
  top,
} from "./rows";
import { addExact } from "./sum";
import { addTerms, markOdd } from "./terms";
import { exponentialBelow, exponentialsBelow, expRemainder, log, log1p, lower, total, upper } from "./vector";

// What a call asks for beside logits and a hard label.
/** Logits go through soft cap, temperature or shifts first. */
const ADJUSTS: usize = 1;
/** The target is a weight for each class: smoothing, or targets. */
const WEIGHS: usize = 2;
/** Those weights come from a row of targets, not from a label. */
const HAS_TARGETS: usize = 4;
/** Few classes: rows are computed four at a time. */
const FEW: usize = 8;

const FEW_CLASSES: usize = 16;
/** Logits so large are left to the reference where differences of sums of them count. */
const FAR: f64 = 1e9;
/** From so many classes on, columns are taken and given in squares; below, number by number. */
const SQUARES: usize = 8;

// Scratch of a thread: accumulator, terms of a block of rows, references of a row's blocks, then rows of the width.
const TERMS: usize = 640;
const FEW_ROWS: usize = TERMS + 1024;
const REFERENCES: usize = FEW_ROWS + 2 * FEW_CLASSES * 16;

@inline
function referenceBytes(width: usize): usize {
  return (((width / ROW_BLOCK + 1) << 3) + 15) & ~15;
}

/** The scratch row of a number: exponentials, weights, scores, slopes … */
@inline
function scratchRow(scratch: usize, width: usize, i: usize): usize {
  return scratch + REFERENCES + 3 * referenceBytes(width) + i * rowBytes(width);
}

@inline
function referencesOf(scratch: usize, width: usize, i: usize): usize {
  return scratch + REFERENCES + i * referenceBytes(width);
}

@inline
function at(row: usize, k: usize): f64 {
  return load<f32>(row + (k << 2)) as f64;
}

/** Ends a row that counts nowhere: a gradient and a loss of 0. */
@inline
function leaveRow(out: usize, width: usize, row: usize, losses: usize): void {
  if (out != 0) memory.fill(out + ((row * width) << 2), 0, width << 2);
  if (losses != 0) store<f64>(losses + (row << 3), 0);
}

/**
 * Cross entropy. Input 0 logits, input 1 targets; table 0 shifts of the classes, table 1 weights of the classes under
 * WEIGHS. Parameters: 1 smoothing, 2 temperature, 3 z-loss, 4 soft cap or 0, 5 whether the z-loss is weighted by class.
 */
export function crossEntropy(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const flags = word(record, FLAGS);
  if (flags & FEW) return fewClasses(record, from, to, scratch);
  const width = word(record, WIDTH);
  const logits = input(record, 0);
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const labels = word(record, LABELS);
  const odd = word(record, ODD);
  const temperature = parameter(record, 2);
  const zLoss = parameter(record, 3);
  const cap = parameter(record, 4) as f32;
  const references = referencesOf(scratch, width, 0);
  const e = scratchRow(scratch, width, 0);
  const target = scratchRow(scratch, width, 1);
  const adjusted = scratchRow(scratch, width, 2);
  const slopes = scratchRow(scratch, width, 3);
  const end = logits + ((to * width) << 2);
  let found = 0;
  for (let row = from; row < to; row++) {
    const weight = weightOf(weights, row);
    if (weight == 0) {
      leaveRow(out, width, row, losses);
      continue;
    }
    const given = logits + ((row * width) << 2);
    let x = given;
    if (flags & ADJUSTS) {
      adjustRow(given, width, cap, temperature as f32, table(record, 0), adjusted, slopes);
      x = adjusted;
    }
    if (!softmax(x, width, e, references, x == given ? end : x, out == 0 ? x : out + ((row * width) << 2))) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    const label = labels == 0 ? (0 as usize) : (load<i32>(labels + (row << 2)) as usize);
    const logSumExp = (peak as f64) + rest;
    let zWeight: f64 = 1;
    let loss: f64;
    if (flags & WEIGHS) {
      if (!fillTarget(record, flags, row, label, x, width, target)) {
        found = markOdd(odd, from, to, row, found);
        continue;
      }
      loss = rest * targetMass + targetGap;
      if (parameter(record, 5) != 0) zWeight = at(table(record, 1), label);
    } else loss = label == top ? rest : rest + ((peak as f64) - at(x, label));
    if (zLoss != 0) loss += zLoss * zWeight * logSumExp * logSumExp;
    // Beyond FAR the slopes of the z-loss leave float32.
    if (!(abs(loss) < Infinity) || (zLoss != 0 && abs(logSumExp) > FAR)) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    addExact(scratch, weight * loss);
    if (losses != 0) store<f64>(losses + (row << 3), loss);
    if (out == 0) continue;
    const factor = factorOf(record, factors, row);
    const to_ = out + ((row * width) << 2);
    if (factor == 0) {
      memory.fill(to_, 0, width << 2);
      continue;
    }
    const ofZ = zLoss == 0 ? 0.0 : 2 * zLoss * zWeight * logSumExp;
    const scaled = factor / temperature;
    const special = flags & WEIGHS ? top : label;
    // The entry where the difference would cancel is formed from the others' mass.
    const mass = 1 + others;
    let entry: f64;
    if (flags & WEIGHS) {
      const w = at(target, top);
      entry = ((targetMass - w) / mass - (w * others) / mass + ofZ / mass) * scaled;
      weightedRow(e, target, width, references, (targetMass + ofZ) / mass, scaled, to_);
    } else {
      const p = (at(e, label) * rescale(references, label / ROW_BLOCK, peak)) / mass;
      const complement = label == top ? others / mass : 1 - p;
      entry = (ofZ * p - complement) * scaled;
      scaleRow(e, width, references, peak, (scaled * (1 + ofZ)) / mass, to_);
    }
    store<f32>(to_ + (special << 2), entry as f32);
    if (cap > 0) multiplyRow(to_, slopes, width);
  }
  return found;
}

/** Σ w and Σ w (peak − x) of the target last filled. */
let targetMass: f64 = 0;
let targetGap: f64 = 0;

/**
 * Writes w_k = c_k ((1 − ε) q_k + ε/K) of a row. False where a target is negative or not finite, or where targets sum
 * above 1 and that must be said.
 */
function fillTarget(
  record: usize,
  flags: usize,
  row: usize,
  label: usize,
  x: usize,
  width: usize,
  out: usize,
): bool {
  const smoothing = parameter(record, 1);
  const classes = table(record, 1);
  const spread = f32x4.splat((smoothing / (width as f64)) as f32);
  const keep = f32x4.splat((1 - smoothing) as f32);
  const highest = f32x4.splat(peak);
  const zero = f32x4.splat(0);
  const targets = flags & HAS_TARGETS ? input(record, 1) + ((row * width) << 2) : 0;
  let raw = f64x2.splat(0);
  let mass = f64x2.splat(0);
  let gap = f64x2.splat(0);
  let bad = zero;
  for (let k: usize = 0; k < width; k += 4) {
    const part = width - k;
    const offset = k << 2;
    let w = spread;
    if (targets != 0) {
      const q = part >= 4 ? v128.load(targets + offset) : loadPart(targets + offset, part, 0);
      bad = v128.or(bad, v128.not(f32x4.ge(q, zero)));
      raw = f64x2.add(raw, f64x2.add(lower(q), upper(q)));
      w = f32x4.add(f32x4.mul(q, keep), spread);
    }
    if (classes != 0) w = f32x4.mul(w, part >= 4 ? v128.load(classes + offset) : loadPart(classes + offset, part, 0));
    const score = part >= 4 ? v128.load(x + offset) : loadPart(x + offset, part, peak);
    if (part < 4) w = v128.and(w, partMask(part));
    // A class of weight 0 is silent, also where its score is −∞.
    const apart = v128.and(f32x4.mul(w, f32x4.sub(highest, score)), f32x4.ne(w, zero));
    v128.store(out + offset, w);
    mass = f64x2.add(mass, f64x2.add(lower(w), upper(w)));
    gap = f64x2.add(gap, f64x2.add(lower(apart), upper(apart)));
  }
  targetMass = total(mass);
  targetGap = total(gap);
  if (targets != 0) return !v128.any_true(bad) && total(raw) <= 1 + 1e-6;
  const weight = (1 - smoothing) * (classes == 0 ? 1.0 : at(classes, label));
  if (weight == 0) return true;
  // What is added is what the rounded weight gained: mass and weights stay those of one distribution.
  const before = at(out, label);
  store<f32>(out + (label << 2), (before + weight) as f32);
  const gained = at(out, label) - before;
  targetMass += gained;
  targetGap += gained * ((peak as f64) - at(x, label));
  return true;
}

/** All ones in the first `count` of four lanes. */
@inline
function partMask(count: usize): v128 {
  return i32x4.gt_s(i32x4.splat(count as i32), i32x4(0, 1, 2, 3));
}

/** Writes factor · (mass · p − w), p being rescaled exponentials. */
function weightedRow(
  e: usize,
  w: usize,
  width: usize,
  references: usize,
  mass: f64,
  factor: f64,
  out: usize,
): void {
  const f = f32x4.splat(factor as f32);
  for (let from: usize = 0, block: usize = 0; from < width; from += ROW_BLOCK, block++) {
    const end = min(from + ROW_BLOCK, width);
    const c = f32x4.splat((mass * rescale(references, block, peak)) as f32);
    for (let k = from; k < end; k += 4) {
      const offset = k << 2;
      const difference = f32x4.sub(f32x4.mul(v128.load(e + offset), c), v128.load(w + offset));
      const slope = f32x4.mul(difference, f);
      if (end - k >= 4) v128.store(out + offset, slope);
      else storePart(out + offset, end - k, slope);
    }
  }
}

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
function fewClasses(record: usize, from: usize, to: usize, scratch: usize): i32 {
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

/**
 * Focal loss of a hard label. Table 1: α of the classes, or none. Parameters: 1 γ, 2 whether (1 − p)^γ is held constant
 * in the gradient.
 */
export function focal(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const logits = input(record, 0);
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const labels = word(record, LABELS);
  const odd = word(record, ODD);
  const alphas = table(record, 1);
  const gamma = parameter(record, 1);
  const references = referencesOf(scratch, width, 0);
  const e = scratchRow(scratch, width, 0);
  let found = 0;
  for (let row = from; row < to; row++) {
    const weight = weightOf(weights, row);
    if (weight == 0) {
      leaveRow(out, width, row, losses);
      continue;
    }
    const x = logits + ((row * width) << 2);
    if (!softmax(x, width, e, references, x, out == 0 ? x : out + ((row * width) << 2))) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    const label = load<i32>(labels + (row << 2)) as usize;
    const negativeLog = label == top ? rest : rest + ((peak as f64) - at(x, label));
    const p = (at(e, label) * rescale(references, label / ROW_BLOCK, peak)) / (1 + others);
    const complement = label == top ? others / (1 + others) : 1 - p;
    const alpha = alphas == 0 ? 1.0 : at(alphas, label);
    const modulation = gamma == 0 ? 1.0 : complement == 0 ? 0.0 : NativeMath.pow(complement, gamma);
    const loss = alpha == 0 || modulation == 0 ? 0.0 : alpha * modulation * negativeLog;
    if (!(negativeLog < Infinity)) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    addExact(scratch, weight * loss);
    if (losses != 0) store<f64>(losses + (row << 3), loss);
    if (out == 0) continue;
    const factor = factorOf(record, factors, row);
    const into = out + ((row * width) << 2);
    if (factor == 0) {
      memory.fill(into, 0, width << 2);
      continue;
    }
    const ratio = complement == 0 ? 1.0 : negativeLog / complement;
    const through = parameter(record, 2) != 0 || p == 0 ? 0.0 : gamma * p * ratio;
    const slope = alpha * modulation * (1 + through) * factor;
    scaleRow(e, width, references, peak, slope / (1 + others), into);
    store<f32>(into + (label << 2), (-complement * slope) as f32);
  }
  return found;
}

// Divergences. Model and target are each a row with exponentials, or the target a row of probabilities.

/** d = log p − log q of the row last walked is kept where the gradient needs it again. */
let divergence: f64 = 0;
let excess: f64 = 0;

/**
 * With the softmax of the model just taken, walks KL(q‖p), or KL(p‖q) when `isReverse`, for p = E · c and q = E' · c' (or given), and writes q (e^d − 1) or its
 * like to `gradient`: p − q forward, p (d − mean) in a second pass for reverse. Leaves the divergence.
 *
 * The parts from (e^d − 1 − d) are never negative: where both are alike nothing cancels.
 */
function diverge(
  x: usize,
  e: usize,
  references: usize,
  y: usize,
  f: usize,
  targetReferences: usize,
  targetPeak: f32,
  targetOthers: f64,
  targetRest: f64,
  isGiven: bool,
  isReverse: bool,
  width: usize,
  difference: usize,
  probabilities: usize,
): bool {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  // log p − log q = (x − y) + this.
  const apart = f64x2.splat((targetPeak as f64) + targetRest - ((peak as f64) + rest));
  const alone = f64x2.splat(-((peak as f64) + rest));
  let sum = f64x2.splat(0);
  let mass = f64x2.splat(0);
  let along = f64x2.splat(0);
  let bad = zero;
  for (let from: usize = 0, block: usize = 0; from < width; from += ROW_BLOCK, block++) {
    const end = min(from + ROW_BLOCK, width);
    const cp = f32x4.splat((rescale(references, block, peak) / (1 + others)) as f32);
    const cq = isGiven
      ? one
      : f32x4.splat((rescale(targetReferences, block, targetPeak) / (1 + targetOthers)) as f32);
    for (let k = from; k < end; k += 4) {
      const offset = k << 2;
      const part = end - k;
      const score = part >= 4 ? v128.load(x + offset) : loadPart(x + offset, part, 0);
      let p = f32x4.mul(v128.load(e + offset), cp);
      let q: v128;
      let other = zero;
      let low: v128;
      let high: v128;
      if (isGiven) {
        q = part >= 4 ? v128.load(y + offset) : loadPart(y + offset, part, 0);
        bad = v128.or(bad, v128.not(f32x4.ge(q, zero)));
        mass = f64x2.add(mass, f64x2.add(lower(q), upper(q)));
        const logarithm = log(q);
        low = f64x2.sub(f64x2.add(lower(score), alone), lower(logarithm));
        high = f64x2.sub(f64x2.add(upper(score), alone), upper(logarithm));
      } else {
        other = part >= 4 ? v128.load(y + offset) : loadPart(y + offset, part, 0);
        q = f32x4.mul(v128.load(f + offset), cq);
        low = f64x2.add(f64x2.sub(lower(score), lower(other)), apart);
        high = f64x2.add(f64x2.sub(upper(score), upper(other)), apart);
      }
      if (part < 4) {
        const mask = partMask(part);
        p = v128.and(p, mask);
        q = v128.and(q, mask);
      }
      const d = v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
      const isNear = f32x4.lt(f32x4.abs(d), one);
      if (!isReverse) {
        // KL(q‖p): q (e^d − 1 − d), p where q = 0.
        const square = f32x4.mul(f32x4.mul(d, d), expRemainder(d));
        const far = f32x4.sub(f32x4.sub(p, q), f32x4.mul(q, d));
        let term = v128.bitselect(f32x4.mul(q, square), far, isNear);
        term = v128.bitselect(p, term, f32x4.eq(q, zero));
        sum = f64x2.add(sum, f64x2.add(lower(term), upper(term)));
        if (difference != 0) {
          const near = f32x4.mul(q, f32x4.add(d, square));
          const usable = v128.and(isNear, f32x4.ne(q, zero));
          v128.store(difference + offset, v128.bitselect(near, f32x4.sub(p, q), usable));
          if (isGiven) v128.store(probabilities + offset, p);
        }
      } else {
        // KL(p‖q): p (e^−d − 1 + d), q where p = 0.
        const back = f32x4.neg(d);
        const square = f32x4.mul(f32x4.mul(d, d), expRemainder(back));
        const far = f32x4.add(f32x4.sub(q, p), f32x4.mul(p, d));
        let term = v128.bitselect(f32x4.mul(p, square), far, isNear);
        const isNone = f32x4.eq(p, zero);
        term = v128.bitselect(q, term, isNone);
        // A class that the target forbids and the model does not, however unlikely it finds it.
        const isForbidden = isGiven ? f32x4.eq(q, zero) : f32x4.eq(other, f32x4.splat(-Infinity));
        const isAllowed = v128.and(f32x4.gt(score, f32x4.splat(-Infinity)), partMask(part));
        bad = v128.or(bad, v128.and(isForbidden, isAllowed));
        sum = f64x2.add(sum, f64x2.add(lower(term), upper(term)));
        if (difference != 0) {
          v128.store(difference + offset, v128.andnot(d, isNone));
          v128.store(probabilities + offset, p);
        }
      }
    }
  }
  excess = isGiven ? total(mass) - 1 : 0;
  divergence = isReverse ? total(sum) - excess : total(sum) + excess;
  if (v128.any_true(bad)) return false;
  if (abs(peak) > FAR || (!isGiven && abs(targetPeak) > FAR)) return false;
  if (isReverse && difference != 0) {
    // d − Σ p d, both relative to the largest class's d: where that class has nearly all mass they would cancel.
    const atTop = f32x4.splat(load<f32>(difference + (top << 2)));
    for (let k: usize = 0; k < width; k += 4) {
      const offset = k << 2;
      const apart = f32x4.sub(v128.load(difference + offset), atTop);
      const pull = f32x4.mul(v128.load(probabilities + offset), apart);
      v128.store(difference + offset, apart);
      along = f64x2.add(along, f64x2.add(lower(pull), upper(pull)));
    }
    const mean = f32x4.splat(total(along) as f32);
    for (let k: usize = 0; k < width; k += 4) {
      const offset = k << 2;
      const apart = v128.load(difference + offset);
      v128.store(difference + offset, f32x4.mul(v128.load(probabilities + offset), f32x4.sub(apart, mean)));
    }
  }
  return !isGiven || excess <= 1e-6;
}

/**
 * KL divergence. Input 0 logits, input 1 logits of the target, or probabilities under HAS_TARGETS. Parameters: 1 whether
 * the direction is reverse.
 */
export function klDivergence(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const isGiven = (word(record, FLAGS) & HAS_TARGETS) != 0;
  const isReverse = parameter(record, 1) != 0;
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const odd = word(record, ODD);
  const references = referencesOf(scratch, width, 0);
  const targetReferences = referencesOf(scratch, width, 1);
  const e = scratchRow(scratch, width, 0);
  const f = scratchRow(scratch, width, 1);
  const difference = scratchRow(scratch, width, 2);
  const probabilities = scratchRow(scratch, width, 3);
  let found = 0;
  for (let row = from; row < to; row++) {
    const weight = weightOf(weights, row);
    if (weight == 0) {
      leaveRow(out, width, row, losses);
      continue;
    }
    const offset = (row * width) << 2;
    const x = input(record, 0) + offset;
    const y = input(record, 1) + offset;
    let isFine = isGiven || softmax(y, width, f, targetReferences, y, y);
    const targetPeak = peak;
    const targetOthers = others;
    const targetRest = rest;
    isFine = isFine && softmax(x, width, e, references, x, x);
    isFine =
      isFine &&
      diverge(
        x,
        e,
        references,
        y,
        f,
        targetReferences,
        targetPeak,
        targetOthers,
        targetRest,
        isGiven,
        isReverse,
        width,
        out == 0 ? 0 : difference,
        probabilities,
      );
    if (!isFine || !(abs(divergence) < Infinity)) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    addExact(scratch, weight * divergence);
    if (losses != 0) store<f64>(losses + (row << 3), divergence);
    if (out == 0) continue;
    const factor = factorOf(record, factors, row);
    if (factor == 0) memory.fill(out + offset, 0, width << 2);
    else {
      // Forward, targets that sum to Σ q pull by (Σ q) p − q.
      const surplus = isGiven && !isReverse ? excess * factor : 0.0;
      combine(out + offset, difference, factor, probabilities, surplus, width);
    }
  }
  return found;
}

/** Writes a · left + b · right; right is not read where b is 0. */
function combine(out: usize, left: usize, a: f64, right: usize, b: f64, width: usize): void {
  const first = f32x4.splat(a as f32);
  const second = f32x4.splat(b as f32);
  for (let k: usize = 0; k < width; k += 4) {
    const offset = k << 2;
    let v = f32x4.mul(v128.load(left + offset), first);
    if (b != 0) v = f32x4.add(v, f32x4.mul(v128.load(right + offset), second));
    if (width - k >= 4) v128.store(out + offset, v);
    else storePart(out + offset, width - k, v);
  }
}

/**
 * Distillation. Input 0 logits, input 1 the teacher's. Parameters: 1 weight of the soft part, 2 weight of the hard part,
 * 3 temperature, 4 the factor of the soft part with its T².
 */
export function distillation(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const labels = word(record, LABELS);
  const odd = word(record, ODD);
  const soft = parameter(record, 1);
  const hard = parameter(record, 2);
  const temperature = parameter(record, 3);
  const scale = parameter(record, 4);
  const references = referencesOf(scratch, width, 0);
  const targetReferences = referencesOf(scratch, width, 1);
  const e = scratchRow(scratch, width, 0);
  const f = scratchRow(scratch, width, 1);
  const difference = scratchRow(scratch, width, 2);
  const student = scratchRow(scratch, width, 3);
  const teacher = scratchRow(scratch, width, 4);
  let found = 0;
  for (let row = from; row < to; row++) {
    const weight = weightOf(weights, row);
    if (weight == 0) {
      leaveRow(out, width, row, losses);
      continue;
    }
    const offset = (row * width) << 2;
    const logits = input(record, 0) + offset;
    const factor = out == 0 ? 0.0 : factorOf(record, factors, row);
    let loss: f64 = 0;
    let isFine = true;
    if (soft != 0) {
      let x = logits;
      let y = input(record, 1) + offset;
      if (temperature != 1) {
        adjustRow(x, width, 0, temperature as f32, 0, student, 0);
        adjustRow(y, width, 0, temperature as f32, 0, teacher, 0);
        x = student;
        y = teacher;
      }
      isFine = softmax(y, width, f, targetReferences, y, y);
      const targetPeak = peak;
      const targetOthers = others;
      const targetRest = rest;
      isFine = isFine && softmax(x, width, e, references, x, x);
      isFine =
        isFine &&
        diverge(
          x,
          e,
          references,
          y,
          f,
          targetReferences,
          targetPeak,
          targetOthers,
          targetRest,
          false,
          false,
          width,
          out == 0 ? 0 : difference,
          0,
        );
      loss = scale * divergence;
    }
    let entry: f64 = 0;
    const label = hard == 0 ? (0 as usize) : (load<i32>(labels + (row << 2)) as usize);
    if (isFine && hard != 0) {
      isFine = softmax(logits, width, e, references, logits, logits);
      if (isFine) {
        loss += hard * (label == top ? rest : rest + ((peak as f64) - at(logits, label)));
        const p = (at(e, label) * rescale(references, label / ROW_BLOCK, peak)) / (1 + others);
        entry = -(label == top ? others / (1 + others) : 1 - p);
      }
    }
    if (!isFine || !(abs(loss) < Infinity)) {
      found = markOdd(odd, from, to, row, found);
      continue;
    }
    addExact(scratch, weight * loss);
    if (losses != 0) store<f64>(losses + (row << 3), loss);
    if (out == 0) continue;
    const into = out + offset;
    if (factor == 0) {
      memory.fill(into, 0, width << 2);
      continue;
    }
    const pull = (scale * factor) / temperature;
    if (hard == 0) {
      combine(into, difference, pull, 0, 0, width);
      continue;
    }
    const c = (hard * factor) / (1 + others);
    scaleRow(e, width, references, peak, c, e);
    store<f32>(e + (label << 2), (entry * hard * factor) as f32);
    if (soft == 0) combine(into, e, 1, 0, 0, width);
    else combine(into, difference, pull, e, 1, width);
  }
  return found;
}
