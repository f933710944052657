// Divergences between rows: model and target are each a row of scores, or the target a row of probabilities.
import { FACTORS, factorOf, FLAGS, input, LABELS, LOSSES, ODD, output, parameter, WEIGHTS, weightOf, WIDTH, word } from "./operands";
import { adjustRow, loadPart, others, peak, rescale, rest, ROW_BLOCK, scaleRow, softmax, storePart, top } from "./rows";
import { at, FAR, HAS_TARGETS, leaveRow, partMask, referencesOf, scratchRow } from "./scratch";
import { addExact } from "./sum";
import { markOdd } from "./terms";
import { expRemainder, log, lower, total, upper } from "./vector";

/** The divergence of the row last walked, and Σ q − 1 of targets that were given. */
let divergence: f64 = 0;
let excess: f64 = 0;

/**
 * With the softmax of the model just taken, walks KL(q‖p), or KL(p‖q) when `isReverse`, for p = E · c and q = E' · c' (or
 * given), with d = log p − log q. Leaves the divergence, and writes its gradient by the model's scores to `difference`:
 * p − q forward, p (d − Σ p d) for reverse; what is asked of probabilities beside it to `probabilities`.
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
 * The divergence of a row of scores x from one of scores, or given probabilities, y. Takes the scratch rows 0 to 3: both
 * exponentials, then the gradient and the probabilities beside it. False for a row that is left to the reference.
 */
function compare(
  x: usize,
  y: usize,
  isGiven: bool,
  isReverse: bool,
  width: usize,
  scratch: usize,
  wantsGradient: bool,
): bool {
  const e = scratchRow(scratch, width, 0);
  const f = scratchRow(scratch, width, 1);
  const references = referencesOf(scratch, width, 0);
  const targetReferences = referencesOf(scratch, width, 1);
  if (!isGiven && !softmax(y, width, f, targetReferences, y, y)) return false;
  const targetPeak = peak;
  const targetOthers = others;
  const targetRest = rest;
  return (
    softmax(x, width, e, references, x, x) &&
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
      wantsGradient ? scratchRow(scratch, width, 2) : 0,
      scratchRow(scratch, width, 3),
    )
  );
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
    const isFine = compare(x, y, isGiven, isReverse, width, scratch, out != 0);
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
  const e = scratchRow(scratch, width, 0);
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
      isFine = compare(x, y, false, false, width, scratch, out != 0);
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
