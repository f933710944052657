// Losses over rows of logits. A row whose loss is not finite, or that must be spoken of, is left to the reference: its
// byte in ODD is set, nothing of it is summed, and its gradient row is not written.
export { distillation, klDivergence } from "./divergence";
export { drain, sumWeights } from "./sum";
import { fewClasses } from "./few-classes";
import { FACTORS, factorOf, FLAGS, input, LABELS, LOSSES, ODD, output, parameter, table, WEIGHTS, weightOf, WIDTH, word } from "./operands";
import { adjustRow, loadPart, multiplyRow, others, peak, rescale, rest, ROW_BLOCK, scaleRow, softmax, storePart, top } from "./rows";
import { at, FAR, HAS_TARGETS, leaveRow, partMask, referencesOf, scratchRow } from "./scratch";
import { addExact } from "./sum";
import { markOdd } from "./terms";
import { lower, total, upper } from "./vector";

// What a call asks for beside logits and a hard label.
/** Logits go through soft cap, temperature or shifts first. */
const ADJUSTS: usize = 1;
/** The target is a weight for each class: smoothing, or targets. */
const WEIGHS: usize = 2;
/** Few classes: rows are computed four at a time. */
const FEW: usize = 8;

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

