// Connectionist temporal classification over whole sequences: every alignment of labels with frames, forwards and back.
//
// Label i and the blank before it share an index: b_i, l_i for i = 0..n, where l_n does not exist and stays 0. Frame by
// frame, with e the exponentials of a frame's scores relative to the largest among the classes of the lattice,
//   α:  b_i ← (b_i + l_{i−1}) e(∅)           l_i ← (l_i + b_i + [skip] l_{i−1}) e(y_i)
//   β:  b_i ← b_i + l_i                      l_i ← l_i + b_{i+1} + [skip] l_{i+1}       then times e
// in linear space: a multiplication and an addition where log space has exponentials and logarithms. What keeps it from
// running out of float64 is an exponent F of each state: α(s) = 2^F(s) · (what is stored). The transitions carry the
// ratios 2^(F(s') − F(s)). Exponents are taken anew (`settleForward`, `settleBackward`) before anything stored could
// have left 2^±450, which follows from the frames' gaps and the transitions' ratios; after that every state that is not
// 0 lies in [1, 2). So each state keeps all its digits however far it lags behind the others, as in log space, and
// nothing is dropped that could matter later. Where two neighbors or two classes of a frame lie further apart than
// 2^450 the sequence is left to the reference, and so is one whose loss is so near 0 that linear space cuts its digits.
export { drain } from "./sum";
import { loadPart, peak, rescale, ROW_BLOCK, rowBytes, scaleRow, softmax, sumOf, top } from "./rows";
import { markOdd } from "./terms";
import { lower, total, upper } from "./vector";

// Words of a job's record; `kernels/ctc.ts` has the same. Steps are bytes from one frame to the next, strides from one
// sequence to the next.
const CLASSES: usize = 0;
const BLANK: usize = 4;
const FLAGS: usize = 8;
/** Frames of the scores: what the gradient has of every sequence. */
const ALL_FRAMES: usize = 12;
const SCORES: usize = 16;
const SCORE_STEP: usize = 20;
const SCORE_STRIDE: usize = 24;
/** 0 where no gradient is asked. */
const GRADIENT: usize = 28;
const GRADIENT_STEP: usize = 32;
const GRADIENT_STRIDE: usize = 36;
/** int32: the frames of each sequence, −1 for one that is not read, −2 for one that is left to the reference. */
const LENGTHS: usize = 40;
/** int32: where the labels of each sequence begin, and where the last ones end. */
const STARTS: usize = 44;
const LABELS: usize = 48;
/** float64: what each gradient is multiplied by, and the losses, unweighted. */
const FACTORS: usize = 52;
const LOSSES: usize = 56;
/** Bytes: 1 for a sequence left to the reference, 2 where its loss stands. */
const ODD: usize = 60;

@inline
function word(record: usize, offset: usize): usize {
  return load<u32>(record + offset) as usize;
}

/** Scores are log-probabilities, taken as they are. */
const NORMALIZED: usize = 1;
/** The gradient lies over the scores: nothing of a sequence is written before all of it is computed. */
const IN_PLACE: usize = 2;

/** The byte of a sequence of which the reference computes the gradient alone: its loss stands. */
const GRADIENT_ONLY: u8 = 2;

/** Bits that anything stored may lie above or below 1. */
const LIMIT: i32 = 450;
/** The exponent of a state that nothing reaches. */
const NOWHERE: i32 = -0x20000000;
/** Exponents of longer sequences would come near it. */
const MOST_FRAMES: i32 = 1_000_000;
/** A loss below this much a frame has lost digits that log space has. */
const SMALLEST_LOSS: f64 = 1e-9;

const LOG2: f64 = 0.6931471805599453;

/** Pairs of one float64, aligned for a vector load. */
const D: usize = memory.data<f64>(
  [
    // 0: 1 / ln 2
    1.4426950408889634, 1.4426950408889634,
    // 16: 1.5 · 2^52, which rounds to whole numbers when added and leaves them in the low bits
    6755399441055744.0, 6755399441055744.0,
    // 32: ln 2 in two parts; the first has zeros enough that whole numbers times it are exact
    0.693147180369123816490, 0.693147180369123816490,
    // 48
    1.90821492927058770002e-10, 1.90821492927058770002e-10,
    // 64: 1/11! down to 1/2!: the exponential's series over |r| ≤ ln 2 / 2 ends within 7e-15
    2.505210838544172e-8, 2.505210838544172e-8,
    2.755731922398589e-7, 2.755731922398589e-7,
    2.7557319223985893e-6, 2.7557319223985893e-6,
    2.48015873015873e-5, 2.48015873015873e-5,
    1.984126984126984e-4, 1.984126984126984e-4,
    1.388888888888889e-3, 1.388888888888889e-3,
    8.333333333333333e-3, 8.333333333333333e-3,
    4.1666666666666664e-2, 4.1666666666666664e-2,
    1.6666666666666666e-1, 1.6666666666666666e-1,
    0.5, 0.5,
    // 224: 1
    1.0, 1.0,
    // 240: −600
    -600.0, -600.0,
  ],
  16,
);

/** e^x of two float64 numbers for x ≤ 0, within 1e-14; 0 below −600. */
@inline
function expOfPair(x: v128): v128 {
  const isFar = f64x2.lt(x, v128.load(D, 240));
  x = f64x2.pmax(v128.load(D, 240), x);
  const t = f64x2.add(f64x2.mul(x, v128.load(D)), v128.load(D, 16));
  const n = f64x2.sub(t, v128.load(D, 16));
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(n, v128.load(D, 32))), f64x2.mul(n, v128.load(D, 48)));
  let p = f64x2.add(f64x2.mul(v128.load(D, 64), r), v128.load(D, 80));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 96));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 112));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 128));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 144));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 160));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 176));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 192));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 208));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 224));
  p = f64x2.add(f64x2.mul(p, r), v128.load(D, 224));
  return v128.andnot(i64x2.add(p, i64x2.shl(t, 52)), isFar);
}

// What a sequence needs of a thread's scratch, carved anew for each; `scratchBytes` in `kernels/ctc.ts` adds it up.
/** n and T. */
let labelCount: usize = 0;
let frames: usize = 0;
/** Indices of states, even, and the bytes of a row of them with two zeros on either side. */
let width: usize = 0;
let rowSize: usize = 0;
/** Whether α, e and exponents of all frames are kept for the way back. */
let keeps: bool = false;

/** Classes of the lattice, the blank first, each once; how many; and the place of each among them, by class. */
let classes: usize = 0;
let classCount: usize = 0;
let places: usize = 0;
/** Of each label: 8 times the place of its class. */
let symbols: usize = 0;

/** e of the classes, a row a frame; then the gradient of their scores. */
let emissions: usize = 0;
let emissionSize: usize = 0;
/** e of the labels in one frame. */
let labelEmissions: usize = 0;
/** α, two rows a frame: labels, then blanks. */
let alpha: usize = 0;
/** Exponents of α: first frame they hold for, then two rows of int32; and how many were taken. */
let exponents: usize = 0;
let exponentSize: usize = 0;
let settled: i32 = 0;
/** Ratios of the transitions label → blank, blank → label, label → label. */
let toBlank: usize = 0;
let toLabel: usize = 0;
let skipping: usize = 0;
/** β and its exponents, two rows each; what αβ is multiplied by to be γ, two rows; γ of the labels and of classes. */
let beta: usize = 0;
let betaExponents: usize = 0;
let scales: usize = 0;
let labelPosterior: usize = 0;
let posterior: usize = 0;
/**
 * Of each frame: what e is multiplied by to be a probability, 1 − p of the top class, Σ e relative to the top class, gap
 * and hole, place of the top.
 */
let marks: usize = 0;
const MARK: usize = 32;
/** Exponentials of a row of scores, and what their blocks are relative to. */
let exponentials: usize = 0;
let references: usize = 0;

/** What the frame last gathered has: largest score of the lattice, bits to the least finite one, whether any is −∞. */
let highest: f64 = 0;
let gap: i32 = 0;
let hasHole: bool = false;

/** Bits by which one step may grow what is stored, and whether two neighbors lie too far apart. */
let growth: i32 = 0;
let isWild: bool = false;

@inline
function padded(bytes: usize): usize {
  return (bytes + 15) & ~15;
}

/** Lays out the scratch of a sequence of `n` labels and `count` frames; rows of one frame begin as zeros. */
function carve(scratch: usize, n: usize, count: usize, width_: usize): void {
  labelCount = n;
  frames = count;
  width = (n + 2) & ~1;
  rowSize = (width + 4) << 3;
  const kept = keeps ? count : 2;
  let at = scratch;
  references = at;
  at += padded((width_ / ROW_BLOCK + 1) << 3);
  exponentials = at;
  at += rowBytes(width_);
  places = at;
  at += padded(width_ << 2);
  classes = at;
  at += padded((n + 2) << 2);
  symbols = at;
  at += padded((n + 2) << 2);
  labelEmissions = at + 16;
  toBlank = labelEmissions + rowSize;
  toLabel = toBlank + rowSize;
  skipping = toLabel + rowSize;
  beta = skipping + rowSize;
  scales = beta + 2 * rowSize;
  labelPosterior = scales + 2 * rowSize;
  posterior = labelPosterior + rowSize;
  at += 10 * rowSize;
  betaExponents = at + 8;
  at += rowSize;
  memory.fill(labelEmissions - 16, 0, at - (labelEmissions - 16));
  marks = at;
  at += padded(kept * MARK);
  exponents = at;
  exponentSize = 16 + rowSize;
  at += kept * exponentSize;
  alpha = at + 16;
  at += kept * 2 * rowSize;
  emissions = at;
}

/** α of a frame. */
@inline
function alphaOf(t: usize): usize {
  return alpha + (keeps ? t : t & 1) * 2 * rowSize;
}

@inline
function emissionsOf(t: usize): usize {
  return emissions + (keeps ? t * emissionSize : 0);
}

@inline
function markOf(t: usize): usize {
  return marks + (keeps ? t : t & 1) * MARK;
}

/** First index of a frame from which the last label can still be reached, rounded down to even. */
@inline
function lowOf(t: usize): usize {
  return labelCount + t > frames ? (labelCount + t - frames) & ~1 : 0;
}

/** One more than the last index that a frame can have reached, rounded up to even. */
@inline
function highOf(t: usize): usize {
  return (min(labelCount, t) + 2) & ~1;
}

/** Finds the classes of the lattice and their places; returns how many frames an alignment needs. */
function takeLabels(labels: usize, blank: u32): usize {
  store<u32>(classes, blank);
  store<u32>(places + ((blank as usize) << 2), 0);
  classCount = 1;
  let needed = labelCount;
  for (let i: usize = 0; i < labelCount; i++) {
    const label = load<u32>(labels + (i << 2));
    // A place that was left by another sequence points at another class, or beyond.
    let place = load<u32>(places + ((label as usize) << 2)) as usize;
    if (place >= classCount || load<u32>(classes + (place << 2)) != label) {
      place = classCount++;
      store<u32>(classes + (place << 2), label);
      store<u32>(places + ((label as usize) << 2), place as u32);
    }
    store<u32>(symbols + (i << 2), (place << 3) as u32);
    if (i > 0 && label == load<u32>(labels + ((i - 1) << 2))) needed++;
  }
  emissionSize = ((classCount + 1) & ~1) << 3;
  return needed;
}

/** Whether an alignment may go from label i − 1 to label i without a blank. */
@inline
function skips(i: usize): bool {
  return i > 0 && i < labelCount && load<u32>(symbols + (i << 2)) != load<u32>(symbols + ((i - 1) << 2));
}

/** Writes e of the classes of the lattice; false where they are all −∞. */
function gather(x: usize, into: usize): bool {
  const first = load<f32>(x + ((load<u32>(classes) as usize) << 2)) as f64;
  let most = f64x2.splat(-Infinity);
  let least = f64x2.splat(Infinity);
  let holes = i64x2.splat(0);
  for (let k: usize = 0; k < classCount; k += 2) {
    const a = load<f32>(x + ((load<u32>(classes + (k << 2)) as usize) << 2)) as f64;
    const b = k + 1 < classCount ? (load<f32>(x + ((load<u32>(classes + (k << 2), 4) as usize) << 2)) as f64) : first;
    const v = f64x2.replace_lane(f64x2.splat(a), 1, b);
    v128.store(into + (k << 3), v);
    const isHole = f64x2.eq(v, f64x2.splat(-Infinity));
    holes = v128.or(holes, isHole);
    most = f64x2.pmax(most, v);
    least = f64x2.pmin(least, v128.or(v, isHole));
  }
  highest = max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1));
  if (!(highest > -Infinity)) return false;
  hasHole = v128.any_true(holes);
  const bits = (highest - min(lowestOf(least, 0), lowestOf(least, 1))) * 1.4426950408889634;
  gap = bits < (LIMIT as f64) ? ((bits as i32) + 1) : LIMIT + 1;
  const shift = f64x2.splat(highest);
  for (let at = into; at < into + emissionSize; at += 16) {
    v128.store(at, expOfPair(f64x2.sub(v128.load(at), shift)));
  }
  return true;
}

/** A lane of the least scores, or the highest where the lane saw holes alone. */
@inline
function lowestOf(least: v128, lane: u8): f64 {
  const value = lane == 0 ? f64x2.extract_lane(least, 0) : f64x2.extract_lane(least, 1);
  return value < Infinity ? value : highest;
}

/** Spreads e of the classes over the labels from..to − 1. */
function spread(from: usize, to: usize, row: usize): void {
  for (let i = from; i < to; i++) {
    store<f64>(labelEmissions + (i << 3), load<f64>(row + (load<u32>(symbols + (i << 2)) as usize)));
  }
}

/** Transitions between states of equal exponents. */
function resetRatios(isForward: bool): void {
  for (let i: usize = 0; i < width; i++) {
    const off = i << 3;
    store<f64>(toBlank + off, 1);
    store<f64>(toLabel + off, 1);
    store<f64>(skipping + off, skips(isForward ? i : i + 1) ? 1 : 0);
  }
  growth = 2;
}

/** Brings a number that is not 0 into [1, 2) and returns its exponent added to `before`; `fallback` for 0. */
@inline
function settle(at: usize, before: i32, fallback: i32): i32 {
  const bits = load<u64>(at);
  if (bits == 0) return fallback;
  store<u64>(at, (bits & 0xfffffffffffff) | 0x3ff0000000000000);
  return before + ((bits >> 52) as i32) - 1023;
}

/** 2^difference; 0 where it is too little ever to count before exponents are taken again. */
@inline
function ratio(difference: i32): f64 {
  if (difference < -1000) return 0;
  if (difference > LIMIT) {
    isWild = true;
    return 1;
  }
  growth = max(growth, difference + 2);
  return reinterpret<f64>(((difference + 1023) as u64) << 52);
}

/**
 * Takes exponents of α anew after frame t, in place. `before` holds the ones it had, `after` receives those it has. A
 * state of 0 gets the exponent of what may fill it.
 */
function settleForward(t: usize, before: usize, after: usize): void {
  const row = alphaOf(t);
  const low = lowOf(t);
  const high = highOf(t);
  growth = 2;
  // What lies before is dead by now.
  let lastLabel = NOWHERE;
  for (let i = low; i < width; i++) {
    const off = i << 3;
    const slot = i << 2;
    const isReached = i < high;
    const blankFrom = lastLabel;
    const b = isReached ? settle(row + rowSize + off, load<i32>(before + slot, 0), blankFrom) : blankFrom;
    const canSkip = skips(i);
    const labelFrom = canSkip ? max(b, lastLabel) : b;
    const l = isReached ? settle(row + off, load<i32>(before + (rowSize >> 1) + slot), labelFrom) : labelFrom;
    store<i32>(after + slot, b);
    store<i32>(after + (rowSize >> 1) + slot, l);
    store<f64>(toBlank + off, ratio(lastLabel - b));
    store<f64>(toLabel + off, ratio(b - l));
    store<f64>(skipping + off, canSkip ? ratio(lastLabel - l) : 0);
    lastLabel = l;
  }
}

/** The same for β after frame t, in place of the exponents it had. */
function settleBackward(t: usize): void {
  const low = lowOf(t);
  growth = 2;
  let nextBlank = NOWHERE;
  let nextLabel = NOWHERE;
  for (let j = highOf(t); j > 0; j--) {
    const i = j - 1;
    const off = i << 3;
    const slot = betaExponents + (i << 2);
    const isReached = i >= low;
    const canSkip = skips(i + 1);
    const labelFrom = canSkip ? max(nextBlank, nextLabel) : nextBlank;
    const l = isReached ? settle(beta + off, load<i32>(slot + (rowSize >> 1)), labelFrom) : labelFrom;
    const b = isReached ? settle(beta + rowSize + off, load<i32>(slot), l) : l;
    store<i32>(slot, b);
    store<i32>(slot + (rowSize >> 1), l);
    store<f64>(toBlank + off, ratio(l - b));
    store<f64>(toLabel + off, ratio(nextBlank - l));
    store<f64>(skipping + off, canSkip ? ratio(nextLabel - l) : 0);
    nextBlank = b;
    nextLabel = l;
  }
}

/** One step of α from frame t − 1 to t. */
function stepForward(t: usize, blankEmission: f64): void {
  const from = alphaOf(t - 1);
  const to = alphaOf(t);
  const low = lowOf(t) << 3;
  const high = highOf(t) << 3;
  const e = f64x2.splat(blankEmission);
  for (let at = low; at < high; at += 16) {
    const l = v128.load(from + at);
    const b = v128.load(from + rowSize + at);
    const before = v128.load(from + at - 8);
    const blank = f64x2.mul(f64x2.add(b, f64x2.mul(v128.load(toBlank + at), before)), e);
    const stay = f64x2.add(l, f64x2.mul(v128.load(toLabel + at), b));
    const label = f64x2.add(stay, f64x2.mul(v128.load(skipping + at), before));
    v128.store(to + rowSize + at, blank);
    v128.store(to + at, f64x2.mul(label, v128.load(labelEmissions + at)));
  }
  closeWindow(to, low, high);
}

/** Zeros beside the window, as far as the next frame reads. */
@inline
function closeWindow(row: usize, low: usize, high: usize): void {
  store<f64>(row + low - 8, 0);
  v128.store(row + high, f64x2.splat(0));
  v128.store(row + rowSize + high, f64x2.splat(0));
}

/** The state of the whole way forward: bits above and below 1 since exponents were last taken. */
let above: i32 = 0;
let below: i32 = 0;

@inline
function mustSettle(hadHole: bool): bool {
  return hadHole || below + gap > LIMIT || above + growth > LIMIT;
}

/** The exponents α has now; there is one set to begin with. */
@inline
function exponentsOf(entry: i32): usize {
  return exponents + ((keeps ? entry : entry & 1) as usize) * exponentSize + 8;
}

/** Adds a frame to α; false where two states lie too far apart, or a class of the frame does. */
function forward(t: usize, row: usize, hadHole: bool): bool {
  if (gap > LIMIT) return false;
  spread(lowOf(t), min(highOf(t), labelCount), row);
  const blankEmission = load<f64>(row);
  if (t == 0) {
    const to = alphaOf(0);
    v128.store(to, f64x2.replace_lane(f64x2.splat(0), 0, load<f64>(labelEmissions)));
    v128.store(to + rowSize, f64x2.replace_lane(f64x2.splat(0), 0, blankEmission));
    closeWindow(to, 0, 16);
    above = 1;
    below = gap;
    return true;
  }
  if (mustSettle(hadHole)) {
    const before = exponentsOf(settled);
    settled++;
    const after = exponentsOf(settled);
    store<i32>(after - 8, (t - 1) as i32);
    settleForward(t - 1, before, after);
    if (isWild) return false;
    above = 1;
    below = 0;
  }
  stepForward(t, blankEmission);
  above += growth;
  below += gap;
  return true;
}

/** Z as 2^exponent · mantissa, the mantissa in [1, 2); 0 where no alignment arrives. */
let massExponent: i32 = 0;
let mass: f64 = 0;

function joinEnds(): void {
  const row = alphaOf(frames - 1);
  const held = exponentsOf(settled);
  const b = load<f64>(row + rowSize + (labelCount << 3));
  const l = labelCount > 0 ? load<f64>(row + ((labelCount - 1) << 3)) : 0;
  mass = 0;
  if (b == 0 && l == 0) return;
  const forBlank = b == 0 ? NOWHERE : load<i32>(held + (labelCount << 2));
  const forLabel = l == 0 ? NOWHERE : load<i32>(held + (rowSize >> 1) + ((labelCount - 1) << 2));
  const most = max(forBlank, forLabel);
  const sum = b * powerOf(forBlank - most) + l * powerOf(forLabel - most);
  const bits = reinterpret<u64>(sum);
  massExponent = most + ((bits >> 52) as i32) - 1023;
  mass = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
}

/** 2^exponent, 0 below the normal numbers, and never so large that 0 times it is no number. */
@inline
function powerOf(exponent: i32): f64 {
  if (exponent < -1022) return 0;
  return reinterpret<f64>(((min(exponent, 1020) + 1023) as u64) << 52);
}

/** What αβ of each state is multiplied by to be its posterior, under the exponents both have. */
function rescaleProducts(held: usize, low: usize, high: usize): void {
  const share = 1 / mass;
  for (let i = low; i < high; i++) {
    const slot = i << 2;
    const other = rowSize >> 1;
    const b = load<i32>(held + slot) + load<i32>(betaExponents + slot) - massExponent;
    const l = load<i32>(held + other + slot) + load<i32>(betaExponents + other + slot) - massExponent;
    store<f64>(scales + rowSize + (i << 3), powerOf(b) * share);
    store<f64>(scales + (i << 3), powerOf(l) * share);
  }
}

/** One step of β to frame t; leaves γ of the labels and returns that of the blank. */
function stepBackward(t: usize, blankEmission: f64): f64 {
  const front = alphaOf(t);
  const low = lowOf(t) << 3;
  const high = highOf(t) << 3;
  const e = f64x2.splat(blankEmission);
  let blanks = f64x2.splat(0);
  for (let at = low; at < high; at += 16) {
    const l = v128.load(beta + at);
    const b = v128.load(beta + rowSize + at);
    const nextLabel = v128.load(beta + at, 8);
    const nextBlank = v128.load(beta + rowSize + at, 8);
    const blank = f64x2.add(b, f64x2.mul(v128.load(toBlank + at), l));
    const stay = f64x2.add(l, f64x2.mul(v128.load(toLabel + at), nextBlank));
    const label = f64x2.add(stay, f64x2.mul(v128.load(skipping + at), nextLabel));
    const blankProduct = f64x2.mul(v128.load(front + rowSize + at), blank);
    const labelProduct = f64x2.mul(v128.load(front + at), label);
    blanks = f64x2.add(blanks, f64x2.mul(blankProduct, v128.load(scales + rowSize + at)));
    v128.store(labelPosterior + at, f64x2.mul(labelProduct, v128.load(scales + at)));
    v128.store(beta + rowSize + at, f64x2.mul(blank, e));
    v128.store(beta + at, f64x2.mul(label, v128.load(labelEmissions + at)));
  }
  v128.store(beta + high, f64x2.splat(0));
  v128.store(beta + rowSize + high, f64x2.splat(0));
  return total(blanks);
}

/**
 * Goes back over all frames and puts d loss / d score of the lattice's classes where their e were; false where two
 * states lie too far apart.
 */
function backward(isNormalized: bool): bool {
  // Frames that follow the last one are all in the last blank.
  store<f64>(beta + rowSize + (labelCount << 3), 1);
  resetRatios(false);
  above = 1;
  below = 0;
  let hadHole = false;
  let entry = settled;
  let held = exponentsOf(entry);
  let isStale = true;
  for (let t = frames; t-- > 0; ) {
    const mark = markOf(t);
    const row = emissionsOf(t);
    gap = load<i32>(mark, 24) & 0xffff;
    if (mustSettle(hadHole)) {
      settleBackward(t + 1);
      if (isWild) return false;
      above = 1;
      below = 0;
      isStale = true;
    }
    if ((t as i32) < load<i32>(held - 8)) {
      entry--;
      held = exponentsOf(entry);
      isStale = true;
    }
    const low = lowOf(t);
    const high = highOf(t);
    // What a frame further back begins with, it has under the same exponents.
    if (isStale) rescaleProducts(held, startOf(held), high);
    isStale = false;
    spread(low, min(high, labelCount), row);
    const blank = stepBackward(t, load<f64>(row));
    above += growth;
    below += gap;
    hadHole = load<i32>(mark, 24) >= 0x10000;
    memory.fill(posterior, 0, emissionSize);
    for (let i = low; i < min(high, labelCount); i++) {
      const at = posterior + (load<u32>(symbols + (i << 2)) as usize);
      store<f64>(at, load<f64>(at) + load<f64>(labelPosterior + (i << 3)));
    }
    store<f64>(posterior, load<f64>(posterior) + blank);
    if (isNormalized) negate(row);
    else subtract(row, load<f64>(mark), load<f64>(mark, 8), load<i32>(mark, 28));
  }
  return true;
}

/** The first index that a set of exponents of α speaks of. */
@inline
function startOf(held: usize): usize {
  return lowOf(load<i32>(held - 8) as usize);
}

function negate(row: usize): void {
  for (let at: usize = 0; at < emissionSize; at += 16) {
    v128.store(row + at, f64x2.sub(f64x2.splat(0), v128.load(posterior + at)));
  }
}

/**
 * p − γ. The top class, where the lattice has it, gets what its own others leave: as a difference it would lose its
 * digits wherever p and γ are both near 1.
 */
function subtract(row: usize, share: f64, tail: f64, place: i32): void {
  const shares = f64x2.splat(share);
  for (let at: usize = 0; at < emissionSize; at += 16) {
    v128.store(row + at, f64x2.sub(f64x2.mul(v128.load(row + at), shares), v128.load(posterior + at)));
  }
  if (place < 0) return;
  let sum: f64 = 0;
  for (let k: usize = 0; k < classCount; k++) {
    if (k != (place as usize)) sum += load<f64>(posterior + (k << 3));
  }
  store<f64>(row + ((place as usize) << 3), sum - tail);
}

/** Whether log-probabilities are what they say: neither NaN nor above 0 by more than rounding. */
function areLogProbabilities(x: usize, count: usize): bool {
  const most = f32x4.splat(1e-6);
  let fine = i32x4.splat(-1);
  const fours = x + ((count & ~3) << 2);
  let at = x;
  for (; at < fours; at += 16) fine = v128.and(fine, f32x4.le(v128.load(at), most));
  if (count & 3) fine = v128.and(fine, f32x4.le(loadPart(at, count & 3, 0), most));
  return i32x4.all_true(fine);
}

/** Place of a class in the lattice, or −1. */
@inline
function placeOf(found: usize): i32 {
  const place = load<u32>(places + (found << 2)) as usize;
  return place < classCount && (load<u32>(classes + (place << 2)) as usize) == found ? (place as i32) : -1;
}

/** CTC of sequences. A sequence that is left to the reference has undefined gradients, but where they lie over scores. */
export function ctc(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const flags = word(record, FLAGS);
  const isNormalized = (flags & NORMALIZED) != 0;
  const isInPlace = (flags & IN_PLACE) != 0;
  const count = word(record, CLASSES);
  const losses = word(record, LOSSES);
  const factors = word(record, FACTORS);
  const odd = word(record, ODD);
  const blank = word(record, BLANK) as u32;
  const scoreStep = word(record, SCORE_STEP);
  const gradientStep = word(record, GRADIENT_STEP);
  const allFrames = word(record, ALL_FRAMES);
  const out = word(record, GRADIENT);
  keeps = out != 0;
  let found = 0;
  for (let unit = from; unit < to; unit++) {
    const into = out + unit * word(record, GRADIENT_STRIDE);
    const scores = word(record, SCORES) + unit * word(record, SCORE_STRIDE);
    const length = load<i32>(word(record, LENGTHS) + (unit << 2));
    if (length <= 0) {
      // Nothing to be read, or no frame: then the one alignment is that of no labels.
      const start = word(record, STARTS) + (unit << 2);
      if (length < -1 || (length == 0 && load<i32>(start) != load<i32>(start, 4))) {
        found = markOdd(odd, from, to, unit, found);
        continue;
      }
      store<f64>(losses + (unit << 3), 0);
      if (out != 0) clear(into, gradientStep, 0, allFrames, count);
      continue;
    }
    const start = load<i32>(word(record, STARTS) + (unit << 2)) as usize;
    const end = load<i32>(word(record, STARTS) + (unit << 2), 4) as usize;
    carve(scratch, end - start, length as usize, count);
    const needed = takeLabels(word(record, LABELS) + (start << 2), blank);
    const factor = out == 0 ? 0.0 : load<f64>(factors + (unit << 3));
    const rows = out == 0 || isNormalized || isInPlace || factor == 0 ? (0 as usize) : into;
    if (
      length > MOST_FRAMES ||
      needed > frames ||
      !align(scores, scoreStep, rows, gradientStep, count, factor, isNormalized)
    ) {
      found = markOdd(odd, from, to, unit, found);
      continue;
    }
    store<f64>(losses + (unit << 3), loss);
    if (out == 0) continue;
    if (factor == 0) {
      clear(into, gradientStep, 0, allFrames, count);
      continue;
    }
    if (!backward(isNormalized)) {
      found = markOdd(odd, from, to, unit, found);
      store<u8>(odd + unit, GRADIENT_ONLY);
      continue;
    }
    if (isNormalized) clear(into, gradientStep, 0, frames, count);
    for (let t: usize = 0; t < frames; t++) {
      const row = into + t * gradientStep;
      if (isInPlace && !isNormalized) {
        // What the first pass found is no longer there.
        softmax(scores + t * scoreStep, count, exponentials, references, scores, scores + t * scoreStep);
        scaleRow(exponentials, count, references, peak, factor / load<f64>(markOf(t), 16), row);
      }
      const entries = emissionsOf(t);
      for (let k: usize = 0; k < classCount; k++) {
        const entry = load<f64>(entries + (k << 3)) * factor;
        store<f32>(row + ((load<u32>(classes + (k << 2)) as usize) << 2), entry as f32);
      }
    }
    clear(into, gradientStep, frames, allFrames, count);
  }
  return found;
}

function clear(into: usize, step: usize, from: usize, to: usize, count: usize): void {
  for (let t = from; t < to; t++) memory.fill(into + t * step, 0, count << 2);
}

let loss: f64 = 0;

/**
 * Σ e of all classes but the top, relative to it. Those of the lattice come from float64, since their digits cancel in
 * the loss where many alignments share it; what lies outside the lattice is lost to every alignment. Leaves zeros in
 * the exponentials of the lattice, whose entries of the gradient are written later.
 */
function othersOf(count: usize, row: usize, share: f64, place: i32): f64 {
  let inside: f64 = 0;
  for (let k: usize = 0; k < classCount; k++) {
    store<f32>(exponentials + ((load<u32>(classes + (k << 2)) as usize) << 2), 0);
    if (k != (place as usize)) inside += load<f64>(row + (k << 3));
  }
  const atTop = exponentials + (top << 2);
  if (place < 0) store<f32>(atTop, 0);
  let outside: f64 = 0;
  for (let from: usize = 0, block: usize = 0; from < count; from += ROW_BLOCK, block++) {
    outside += sumOf(exponentials + (from << 2), min(count - from, ROW_BLOCK)) * rescale(references, block, peak);
  }
  if (place < 0) store<f32>(atTop, 1);
  return outside + inside * share;
}

/**
 * The way forward: softmax, emissions and α of every frame, and the loss; with `rows` it writes probabilities times the
 * factor there. False for a sequence that is left to the reference.
 */
function align(
  scores: usize,
  scoreStep: usize,
  rows: usize,
  rowStep: usize,
  count: usize,
  factor: f64,
  isNormalized: bool,
): bool {
  let sum: f64 = 0;
  let hadHole = false;
  settled = 0;
  isWild = false;
  // The first exponents are 0.
  memory.fill(exponents, 0, exponentSize);
  resetRatios(true);
  for (let t: usize = 0; t < frames; t++) {
    const x = scores + t * scoreStep;
    const row = emissionsOf(t);
    const mark = markOf(t);
    if (isNormalized) {
      if (!areLogProbabilities(x, count) || !gather(x, row)) return false;
      sum -= highest;
    } else {
      if (!softmax(x, count, exponentials, references, x, x) || !gather(x, row)) return false;
      const drop = (peak as f64) - highest;
      const share = drop == 0 ? 1 : NativeMath.exp(-drop);
      const place = placeOf(top);
      const rest = othersOf(count, row, share, place);
      if (rows != 0) {
        scaleRow(exponentials, count, references, peak, factor / (1 + rest), rows + t * rowStep);
      }
      sum += NativeMath.log1p(rest) + drop;
      if (keeps) {
        store<f64>(mark, share / (1 + rest));
        store<f64>(mark, rest / (1 + rest), 8);
        store<f64>(mark, 1 + rest, 16);
        store<i32>(mark, place, 28);
      }
    }
    store<i32>(mark, gap | (hasHole ? 0x10000 : 0), 24);
    if (!forward(t, row, hadHole)) return false;
    hadHole = hasHole;
  }
  joinEnds();
  if (mass == 0) return false;
  loss = sum - ((massExponent as f64) * LOG2 + NativeMath.log(mass));
  return abs(loss) < Infinity && abs(loss) >= SMALLEST_LOSS * (frames as f64);
}
