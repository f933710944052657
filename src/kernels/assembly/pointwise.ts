export { drain, sumWeights } from "./sum";
// Losses of single elements: residuals, logits against probabilities, pairs of scores.
//
// Vector losses are float32 throughout, four elements at once, in blocks of 256 whose terms are summed exactly; scalar
// ones are float64. An element whose loss is not finite, or whose target lies outside its domain, is left to the
// reference: its byte in ODD is set, and nothing of it is summed.
import {
  FACTORS,
  factorOf,
  FIRST,
  input,
  LOSSES,
  ODD,
  output,
  parameter,
  table,
  WEIGHTS,
  WIDTH,
  word,
} from "./operands";
import { addExact, BLOCK } from "./sum";
import { addTerms, markOdd } from "./terms";
import {
  choose,
  exponentialsOfMinusSize,
  expOfNegative,
  half,
  log1p,
  log1pOfUnit,
  log1psOfUnit,
  minusSize,
  minusTwo,
  negative,
  one,
  sign,
  size,
  sixth,
  three,
} from "./vector";

// The scratch of a thread: accumulator, terms, slopes, what phases leave, a vector of each input's tail, padded.
const TERMS: usize = 640;
const SLOPES: usize = TERMS + 1024;
const EXPONENTIALS: usize = SLOPES + 1024;
const LOGARITHMS: usize = EXPONENTIALS + 1024;
const TAILS: usize = LOGARITHMS + 1024;

// What a loss reads beside its elements, four copies each. Globals, since every thread has its own instance.
let p1: v128 = f32x4.splat(0);
let p2: v128 = f32x4.splat(0);
let p3: v128 = f32x4.splat(0);

abstract class VectorLoss {
  abstract prepare(record: usize): void;
  /**
   * Stores the losses of four elements, and their slopes by the first input times `factor`; p, q and s are what
   * `prepare` left, e and tail what the phases did: exp(−|a|) and log(1 + e).
   */
  abstract compute(
    terms: usize,
    slopes: usize,
    a: v128,
    b: v128,
    c: v128,
    factor: v128,
    p: v128,
    q: v128,
    s: v128,
    e: v128,
    tail: v128,
  ): void;
}

/** A loss of logits: its exponentials and logarithms are computed over the whole block first. */
abstract class PhasedLoss extends VectorLoss {}

@inline
function clamp(x: v128, bound: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, bound), negative(bound));
}

class SquaredError extends VectorLoss {
  @inline
  prepare(record: usize): void {}
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    v128.store(terms, f32x4.mul(r, r));
    v128.store(slopes, f32x4.mul(f32x4.mul(r, minusTwo()), factor));
  }
}

class AbsoluteError extends VectorLoss {
  @inline
  prepare(record: usize): void {}
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const back = f32x4.sub(a, b);
    v128.store(terms, size(back));
    // The sign of −r, 0 where r is.
    const pull = v128.or(one(), v128.and(back, sign()));
    v128.store(slopes, f32x4.mul(v128.and(pull, f32x4.ne(back, f32x4.splat(0))), factor));
  }
}

/** c (|r| − c/2) with c = min(|r|, δ) is both branches at once. */
class Huber extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const back = f32x4.sub(a, b);
    const length = size(back);
    const short = f32x4.pmin(length, p);
    v128.store(terms, f32x4.mul(short, f32x4.sub(length, f32x4.mul(short, half()))));
    // The clamped −r has the size of the short one.
    v128.store(slopes, f32x4.mul(v128.or(short, v128.and(back, sign())), factor));
  }
}

class SmoothL1 extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
    p2 = f32x4.splat((1 / parameter(record, 1)) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const back = f32x4.sub(a, b);
    const length = size(back);
    const short = f32x4.pmin(length, p);
    const share = f32x4.mul(short, q);
    v128.store(terms, f32x4.mul(share, f32x4.sub(length, f32x4.mul(short, half()))));
    v128.store(slopes, f32x4.mul(v128.or(share, v128.and(back, sign())), factor));
  }
}

/** r²/(1 + √(1 + q²)): nothing cancels. Beyond q = 2^16 it is δ(|r| − δ), before q² overflows. */
class PseudoHuber extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    const ratio = f32x4.div(r, p);
    const root = f32x4.sqrt(f32x4.add(one(), f32x4.mul(ratio, ratio)));
    const length = size(r);
    const isFar = f32x4.gt(size(ratio), f32x4.splat(65536));
    const near = f32x4.mul(r, f32x4.div(r, f32x4.add(one(), root)));
    v128.store(terms, choose(isFar, f32x4.mul(p, f32x4.sub(length, p)), near));
    const slope = choose(isFar, v128.or(p, v128.and(r, sign())), f32x4.div(r, root));
    v128.store(slopes, f32x4.mul(negative(slope), factor));
  }
}

class Quantile extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
    p2 = f32x4.splat((parameter(record, 1) - 1) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    const zero = f32x4.splat(0);
    const side = v128.and(choose(f32x4.gt(r, zero), p, q), f32x4.ne(r, zero));
    v128.store(terms, f32x4.mul(side, r));
    v128.store(slopes, f32x4.mul(negative(side), factor));
  }
}

class Expectile extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
    p2 = f32x4.splat((1 - parameter(record, 1)) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    const pull = f32x4.mul(choose(f32x4.lt(r, f32x4.splat(0)), q, p), r);
    v128.store(terms, f32x4.mul(pull, r));
    v128.store(slopes, f32x4.mul(f32x4.mul(minusTwo(), pull), factor));
  }
}

class Cauchy extends VectorLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
    p2 = f32x4.splat((parameter(record, 1) * parameter(record, 1)) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    const ratio = f32x4.div(r, p);
    const square = f32x4.mul(f32x4.mul(ratio, ratio), half());
    v128.store(terms, f32x4.mul(q, log1p(square)));
    v128.store(slopes, f32x4.mul(negative(f32x4.div(r, f32x4.add(one(), square))), factor));
  }
}

class Tukey extends VectorLoss {
  @inline
  prepare(record: usize): void {
    const cutoff = parameter(record, 1);
    p1 = f32x4.splat(cutoff as f32);
    p2 = f32x4.splat(((cutoff * cutoff) / 6) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, a: v128, b: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const r = f32x4.sub(b, a);
    const isFar = f32x4.gt(size(r), p);
    const ratio = f32x4.div(r, p);
    const x = f32x4.mul(ratio, ratio);
    const shape = f32x4.sub(three(), f32x4.mul(x, f32x4.sub(three(), x)));
    const near = f32x4.mul(f32x4.mul(f32x4.mul(r, r), shape), sixth());
    v128.store(terms, choose(isFar, q, near));
    const rest = f32x4.mul(f32x4.sub(one(), ratio), f32x4.add(one(), ratio));
    const slope = negative(f32x4.mul(r, f32x4.mul(rest, rest)));
    v128.store(slopes, f32x4.mul(v128.andnot(slope, isFar), factor));
  }
}

/** All ones, a NaN, where a target is no probability: outside [0, 1], or NaN. */
@inline
function outsideUnit(y: v128, other: v128): v128 {
  // As integers, the bits of both y and 1 − y are at most those of 1; a sign or a NaN is above.
  return i32x4.gt_u(i32x4.max_u(y, other), one());
}

/** a log(1 + e^−z) + b log(1 + e^z) with a = c y and b = 1 − y. */
class BinaryCrossEntropy extends PhasedLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat((1 - parameter(record, 2)) as f32);
    p2 = f32x4.splat((parameter(record, 2) / 2) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, z: v128, target: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const zero = f32x4.splat(0);
    const y = f32x4.add(f32x4.mul(target, p), q);
    const ofZero = f32x4.sub(one(), y);
    const ofOne = f32x4.mul(c, y);
    const inverse = f32x4.div(one(), f32x4.add(one(), e));
    const middle = f32x4.mul(tail, f32x4.add(ofOne, ofZero));
    const sides = f32x4.sub(f32x4.mul(ofZero, f32x4.pmax(z, zero)), f32x4.mul(ofOne, f32x4.pmin(z, zero)));
    v128.store(terms, v128.or(f32x4.add(middle, sides), outsideUnit(target, f32x4.sub(one(), target))));
    // σ(z) is 1/(1 + e) above 0 and e/(1 + e) below; σ(−z) the other way round.
    const isNegative = f32x4.lt(z, zero);
    const smaller = choose(isNegative, ofZero, ofOne);
    const larger = choose(isNegative, ofOne, ofZero);
    const pull = f32x4.mul(f32x4.sub(larger, f32x4.mul(smaller, e)), inverse);
    v128.store(slopes, f32x4.mul(v128.xor(pull, v128.and(isNegative, sign())), factor));
  }
}

/** (a m^γ) ℓ for γ = 1 and 2, γ being in s: m^(γ − 1) is 1 or m. */
class BinaryFocal extends PhasedLoss {
  @inline
  prepare(record: usize): void {
    p1 = f32x4.splat(parameter(record, 1) as f32);
    p2 = f32x4.splat(parameter(record, 2) as f32);
    p3 = f32x4.splat(parameter(record, 3) as f32);
  }
  @inline
  compute(terms: usize, slopes: usize, z: v128, y: v128, c: v128, factor: v128, p: v128, q: v128, s: v128, e: v128, tail: v128): void {
    const zero = f32x4.splat(0);
    const other = f32x4.sub(one(), y);
    const inverse = f32x4.div(one(), f32x4.add(one(), e));
    const small = f32x4.mul(e, inverse);
    const isNegative = f32x4.lt(z, zero);
    const up = choose(isNegative, small, inverse);
    const down = choose(isNegative, inverse, small);
    const sides = f32x4.sub(f32x4.mul(other, f32x4.pmax(z, zero)), f32x4.mul(y, f32x4.pmin(z, zero)));
    const likelihood = f32x4.add(tail, sides);
    const ofZero = f32x4.mul(up, other);
    const ofOne = f32x4.mul(down, y);
    const mass = f32x4.add(ofZero, ofOne);
    const scale = f32x4.add(f32x4.mul(p, y), f32x4.mul(q, other));
    const lower = choose(f32x4.gt(s, one()), mass, one());
    const scaled = f32x4.mul(scale, lower);
    v128.store(terms, v128.or(f32x4.mul(f32x4.mul(scaled, mass), likelihood), outsideUnit(y, other)));
    // a m^γ ((p − y) + γ (dm/dz) ℓ / m), the division done in the power.
    const turn = f32x4.mul(f32x4.mul(up, down), f32x4.sub(other, y));
    const through = f32x4.mul(f32x4.mul(s, turn), likelihood);
    const straight = f32x4.mul(mass, f32x4.sub(ofZero, ofOne));
    v128.store(slopes, f32x4.mul(f32x4.mul(scaled, f32x4.add(straight, through)), factor));
  }
}

/** Rows of the third input that vary along the last axis: its entry of an element, or 1. */
@inline
function perEntry(entries: usize, count: usize, element: usize): v128 {
  if (count == 1) return v128.load32_splat(entries);
  let v = f32x4.splat(load<f32>(entries + ((element % count) << 2)));
  v = f32x4.replace_lane(v, 1, load<f32>(entries + (((element + 1) % count) << 2)));
  v = f32x4.replace_lane(v, 2, load<f32>(entries + (((element + 2) % count) << 2)));
  return f32x4.replace_lane(v, 3, load<f32>(entries + (((element + 3) % count) << 2)));
}

function walkVector<T extends VectorLoss>(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const loss = changetype<T>(0);
  loss.prepare(record);
  const a = input(record, 0);
  const b = input(record, 1);
  const entries = table(record, 0);
  const entryCount = word(record, WIDTH);
  const first = word(record, FIRST);
  const out = output(record, 0);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const odd = word(record, ODD);
  const terms = scratch + TERMS;
  const isPhased = loss instanceof PhasedLoss;
  const exponentials = scratch + EXPONENTIALS;
  const logarithms = scratch + LOGARITHMS;
  const shared = v128.load32_splat(entries);
  const p = p1;
  const q = p2;
  const s = p3;
  const isUniform = weights == 0 && factors == 0;
  const factor = f32x4.splat(isUniform ? (parameter(record, 0) as f32) : 1);
  let found = 0;
  for (let start = from; start < to; start += BLOCK) {
    const count = min(to - start, BLOCK as usize) as i32;
    const whole = count & ~3;
    const slopes = out != 0 && isUniform ? out + (start << 2) : scratch + SLOPES;
    const left = a + (start << 2);
    const right = b + (start << 2);
    const bytes = (whole as usize) << 2;
    if (isPhased) {
      exponentialsOfMinusSize(left, bytes, exponentials);
      log1psOfUnit(exponentials, bytes, logarithms);
    }
    for (let at: usize = 0; at < bytes; at += 16) {
      const c = entryCount == 1 ? shared : perEntry(entries, entryCount, first + start + (at >> 2));
      const e = isPhased ? v128.load(exponentials + at) : shared;
      const tail = isPhased ? v128.load(logarithms + at) : shared;
      loss.compute(terms + at, slopes + at, v128.load(left + at), v128.load(right + at), c, factor, p, q, s, e, tail);
    }
    if (whole < count) {
      // The last one to three elements, in a vector of their own with zeros beside them.
      const rest = ((count - whole) as usize) << 2;
      const tails = scratch + TAILS;
      memory.fill(tails, 0, 48);
      memory.copy(tails, left + bytes, rest);
      memory.copy(tails + 16, right + bytes, rest);
      const c = perEntry(entries, entryCount, first + start + whole);
      const a = v128.load(tails);
      const e = expOfNegative(minusSize(a));
      loss.compute(terms + bytes, tails + 32, a, v128.load(tails, 16), c, factor, p, q, s, e, log1pOfUnit(e));
      memory.fill(terms + bytes + rest, 0, 16 - rest);
      memory.copy(slopes + bytes, tails + 32, rest);
    }
    if (!isUniform) {
      for (let i: usize = 0; i < (count as usize); i++) {
        const row = start + i;
        const weight = weights == 0 ? 1.0 : load<f64>(weights + (row << 3));
        if (weight == 0) store<f32>(terms + (i << 2), 0);
        if (out != 0) {
          const f = weight == 0 ? 0.0 : factorOf(record, factors, row);
          // A factor of 0 leaves no trace, not even of a NaN.
          store<f32>(out + (row << 2), f == 0 ? 0 : load<f32>(slopes + (i << 2)) * (f as f32));
        }
      }
    }
    if (losses != 0) {
      for (let i: usize = 0; i < (count as usize); i++) {
        store<f64>(losses + ((start + i) << 3), load<f32>(terms + (i << 2)) as f64);
      }
    }
    found = addTerms(scratch, terms, weights, odd, from, to, start, count, found);
  }
  return found;
}

export function squaredError(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<SquaredError>(record, from, to, scratch);
}
export function absoluteError(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<AbsoluteError>(record, from, to, scratch);
}
export function huber(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<Huber>(record, from, to, scratch);
}
export function smoothL1(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<SmoothL1>(record, from, to, scratch);
}
export function pseudoHuber(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<PseudoHuber>(record, from, to, scratch);
}
export function quantile(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<Quantile>(record, from, to, scratch);
}
export function expectile(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<Expectile>(record, from, to, scratch);
}
export function cauchy(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<Cauchy>(record, from, to, scratch);
}
export function tukey(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<Tukey>(record, from, to, scratch);
}
export function binaryCrossEntropy(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<BinaryCrossEntropy>(record, from, to, scratch);
}
export function binaryFocal(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkVector<BinaryFocal>(record, from, to, scratch);
}

// Scalar losses: float64, one element at a time.

let lossOf: f64 = 0;
let slopeOf: f64 = 0;
let otherSlopeOf: f64 = 0;

abstract class ScalarLoss {
  /** Leaves the loss and its slopes by the first two inputs in `lossOf`, `slopeOf`, `otherSlopeOf`. */
  abstract compute(record: usize, row: usize): void;
}

@inline
function entry(record: usize, i: i32, row: usize): f64 {
  return load<f32>(input(record, i) + (row << 2)) as f64;
}

/** log(1 + e^x) as max(x, 0) + log1p(e^−|x|). */
@inline
function log1pExp(x: f64): f64 {
  return max(x, 0.0) + NativeMath.log1p(NativeMath.exp(-abs(x)));
}

@inline
function sigmoid(x: f64): f64 {
  const e = NativeMath.exp(-abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

class LogCosh extends ScalarLoss {
  @inline
  compute(record: usize, row: usize): void {
    const r = entry(record, 1, row) - entry(record, 0, row);
    const size = abs(r);
    if (size < 1) {
      const e = NativeMath.expm1(-size);
      lossOf = NativeMath.log1p((e * e) / (2 * (1 + e)));
    } else lossOf = size + (NativeMath.log1p(NativeMath.exp(-2 * size)) - NativeMath.LN2);
    slopeOf = -NativeMath.tanh(r);
  }
}

/** Barron's loss for finite alpha but 0 and 2: b (ℓ/2) expm1(z)/z with ℓ = log(1 + q²/b), z = αℓ/2. */
class Barron extends ScalarLoss {
  @inline
  compute(record: usize, row: usize): void {
    const alpha = parameter(record, 1);
    const scale = parameter(record, 2);
    const r = entry(record, 1, row) - entry(record, 0, row);
    const q = abs(r) / scale;
    const b = abs(alpha - 2);
    const x = (q * q) / b;
    const half = NativeMath.log1p(x) / 2;
    const z = alpha * half;
    lossOf = b * half * (z == 0 ? 1.0 : NativeMath.expm1(z) / z);
    const slope = q * NativeMath.exp((alpha / 2 - 1) * 2 * half);
    slopeOf = r == 0 ? 0 : r > 0 ? -slope / scale : slope / scale;
  }
}

class BinaryFocalOfAnyPower extends ScalarLoss {
  @inline
  compute(record: usize, row: usize): void {
    const z = entry(record, 0, row);
    const y = entry(record, 1, row);
    // What is infinite may hide behind a weight of 0.
    if (!(y >= 0 && y <= 1) || !(abs(z) < Infinity)) {
      lossOf = NaN;
      return;
    }
    const gamma = parameter(record, 3);
    const up = sigmoid(z);
    const down = sigmoid(-z);
    const mass = up * (1 - y) + down * y;
    const scale = parameter(record, 1) * y + parameter(record, 2) * (1 - y);
    const likelihood = (y == 0 ? 0 : y * log1pExp(-z)) + (y == 1 ? 0 : (1 - y) * log1pExp(z));
    const factor = scale * (gamma == 0 ? 1 : mass == 0 ? 0 : NativeMath.pow(mass, gamma));
    lossOf = factor * likelihood;
    const turn = up * down * (1 - 2 * y);
    const through = turn == 0 ? 0 : (gamma * turn * likelihood) / mass;
    slopeOf = factor * ((1 - y) * up - y * down + through);
  }
}

/** (1 − ε)(−log σ(z)) + ε(−log σ(−z)), and its derivative by z. */
@inline
function logistic(z: f64, smoothing: f64): void {
  const e = NativeMath.exp(-abs(z));
  const tail = NativeMath.log1p(e);
  const ofRight = max(-z, 0.0) + tail;
  const ofWrong = max(z, 0.0) + tail;
  const up = z >= 0 ? 1 / (1 + e) : e / (1 + e);
  const down = z >= 0 ? e / (1 + e) : 1 / (1 + e);
  lossOf = smoothing == 0 ? ofRight : (1 - smoothing) * ofRight + smoothing * ofWrong;
  slopeOf = smoothing == 0 ? -down : smoothing * up - (1 - smoothing) * down;
}

class PairwiseLogistic extends ScalarLoss {
  @inline
  compute(record: usize, row: usize): void {
    const chosen = entry(record, 0, row);
    const rejected = entry(record, 1, row);
    const margin = input(record, 2) == 0 ? 0.0 : entry(record, 2, row);
    logistic(chosen - rejected - margin, parameter(record, 1));
    const coefficient = parameter(record, 2);
    const slope = slopeOf;
    const sum = chosen + rejected;
    const center = coefficient == 0 ? 0.0 : 2 * coefficient * sum;
    if (coefficient != 0) lossOf += coefficient * sum * sum;
    slopeOf = center + slope;
    otherSlopeOf = center - slope;
  }
}

/** The kinds of `dpo` that see a pair's margin alone: 0 sigmoid, 1 hinge, 2 ipo. */
class Dpo extends ScalarLoss {
  @inline
  compute(record: usize, row: usize): void {
    const policy = entry(record, 0, row) - entry(record, 1, row);
    const margin = input(record, 2) == 0 ? policy : policy - (entry(record, 2, row) - entry(record, 3, row));
    const beta = parameter(record, 2);
    const kind = parameter(record, 3);
    if (kind == 0) {
      logistic(beta * margin, parameter(record, 1));
      slopeOf = beta * slopeOf;
    } else if (kind == 1) {
      lossOf = margin != margin ? NaN : max(0.0, 1 - beta * margin);
      slopeOf = beta * margin < 1 ? -beta : 0;
    } else {
      const gap = margin - 1 / (2 * beta);
      lossOf = gap * gap;
      slopeOf = 2 * gap;
    }
    otherSlopeOf = -slopeOf;
  }
}

function walkScalar<T extends ScalarLoss>(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const loss = changetype<T>(0);
  const out = output(record, 0);
  const other = output(record, 1);
  const losses = word(record, LOSSES);
  const weights = word(record, WEIGHTS);
  const factors = word(record, FACTORS);
  const odd = word(record, ODD);
  let found = 0;
  for (let row = from; row < to; row++) {
    const weight = weights == 0 ? 1.0 : load<f64>(weights + (row << 3));
    const factor = weight == 0 ? 0.0 : factorOf(record, factors, row);
    let slope: f64 = 0;
    let otherSlope: f64 = 0;
    let value: f64 = 0;
    if (weight != 0) {
      loss.compute(record, row);
      if (abs(lossOf) < Infinity) {
        value = lossOf;
        addExact(scratch, weight * value);
        // A factor of 0 leaves no trace.
        if (factor != 0) {
          slope = slopeOf * factor;
          otherSlope = otherSlopeOf * factor;
        }
      } else found = markOdd(odd, from, to, row, found);
    }
    if (losses != 0) store<f64>(losses + (row << 3), value);
    if (out != 0) store<f32>(out + (row << 2), slope as f32);
    if (other != 0) store<f32>(other + (row << 2), otherSlope as f32);
  }
  return found;
}

export function logCosh(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkScalar<LogCosh>(record, from, to, scratch);
}
export function barron(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkScalar<Barron>(record, from, to, scratch);
}
export function binaryFocalOfAnyPower(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkScalar<BinaryFocalOfAnyPower>(record, from, to, scratch);
}
export function pairwiseLogistic(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkScalar<PairwiseLogistic>(record, from, to, scratch);
}
export function dpo(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return walkScalar<Dpo>(record, from, to, scratch);
}
