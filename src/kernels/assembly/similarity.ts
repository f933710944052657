// What losses over the similarities of two sides need beside a product of matrices: rows of one side are queries, rows
// of the other keys, and a chunk of queries is scored against all keys at a time.
//
// Scores stand relative to that of the row's positive, which is known in float64: x_j = (s_j − s_y) / τ. A softmax does
// not see the difference, and what lies near the positive, where all the weight is, keeps its digits however large 1/τ
// is. Kernels return how many of their rows have no finite loss: the batch is the reference's then.
export { multiply } from "./matrix";
import {
  loadPart,
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
import { expOfNegative, log1pOfUnit, lower, total, upper } from "./vector";

// Words of the record of a job; `similarity.ts` of the host has the same. Rows are those of the chunk.
/** float32 [rows, columns]: dot products; the gradient by them takes their place. */
const SCORES: usize = 0;
const ROWS: usize = 4;
const COLUMNS: usize = 8;
/** float64 a row: the dot product with its positive. */
const POSITIVES: usize = 12;
/** int32 a row: the key that is its positive. */
const LABELS: usize = 16;
/** Bytes [rows, columns]: 1 for a pair that is not read; or 0. */
const EXCLUDED: usize = 20;
/** float64 a row: what the gradient by its dot products is multiplied by; 0 where no gradients are asked. */
const FACTORS: usize = 24;
/** float64 a row, out. */
const LOSSES: usize = 28;
/** float64 a row, out: Σ gradient · score; then Σ gradient. */
const SUMS: usize = 32;
const BIAS_SUMS: usize = 36;
/** Bytes a row: whether it is to find its positive; 0 where all are. */
const LIVE: usize = 40;
/** Row 0 of the chunk among all rows, and the key whose positive it is; for searches from both sides. */
const FIRST: usize = 44;
// Of the search from the other side, one a column; 0 where there is none.
/** float32: the positive's dot product in two parts, and the largest score relative to it. */
const COLUMN_HIGH: usize = 48;
const COLUMN_LOW: usize = 52;
const COLUMN_PEAKS: usize = 56;
/** float32: what an exponential is multiplied by. */
const COLUMN_FACTORS: usize = 60;
/** float64: the gradient by the positive itself. */
const COLUMN_PULLS: usize = 64;
/** float64: the others' mass relative to the largest. */
const COLUMN_OTHERS: usize = 68;
/** How many scores of a row `searchInParts` joins at a time. */
const PART: usize = 72;
const PARAMETERS: usize = 128;

@inline
function word(record: usize, offset: usize): usize {
  return load<u32>(record + offset) as usize;
}

@inline
function parameter(record: usize, i: usize): f64 {
  return load<f64>(record + PARAMETERS + (i << 3));
}

@inline
function referenceBytes(width: usize): usize {
  return (((width / ROW_BLOCK + 1) << 3) + 15) & ~15;
}

/** Writes ((s − high) − low) · scale: scores relative to the positive's. */
function relate(s: usize, width: usize, high: v128, low: v128, scale: v128, out: usize): void {
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) {
    v128.store(out + at, f32x4.mul(f32x4.sub(f32x4.sub(v128.load(s + at), high), low), scale));
  }
  if (width & 3) {
    const v = loadPart(s + at, width & 3, 0);
    v128.store(out + at, f32x4.mul(f32x4.sub(f32x4.sub(v, high), low), scale));
  }
}

/** Writes `value` where a pair is not read. */
function forbid(x: usize, width: usize, excluded: usize, value: f32): void {
  let j: usize = 0;
  for (const end = width & ~15; j < end; j += 16) {
    if (!v128.any_true(v128.load(excluded + j))) continue;
    for (let k = j; k < j + 16; k++) if (load<u8>(excluded + k)) store<f32>(x + (k << 2), value);
  }
  for (; j < width; j++) if (load<u8>(excluded + j)) store<f32>(x + (j << 2), value);
}

/** Writes a row's scores relative to its positive's: 0 there, −∞ where a pair is not read. */
function scoreRow(record: usize, row: usize, columns: usize, x: usize): void {
  const positive = load<f64>(word(record, POSITIVES) + (row << 3));
  const high = positive as f32;
  const low = (positive - (high as f64)) as f32;
  const scale = f32x4.splat(parameter(record, 0) as f32);
  const excluded = word(record, EXCLUDED);
  relate(word(record, SCORES) + ((row * columns) << 2), columns, f32x4.splat(high), f32x4.splat(low), scale, x);
  if (excluded != 0) forbid(x, columns, excluded + row * columns, -Infinity);
  const label = load<i32>(word(record, LABELS) + (row << 2)) as usize;
  store<f32>(x + (label << 2), 0);
}

/** Σ g · x over the entries where g is not 0; both rows may end in the middle of a vector. */
function along(g: usize, x: usize, width: usize): f64 {
  const zero = f32x4.splat(0);
  let left = f64x2.splat(0);
  let right = f64x2.splat(0);
  for (let k: usize = 0; k < width; k += 4) {
    const at = k << 2;
    const isWhole = width - k >= 4;
    const slope = isWhole ? v128.load(g + at) : loadPart(g + at, width & 3, 0);
    // A forbidden pair has the score −∞.
    const score = v128.and(v128.load(x + at), f32x4.ne(slope, zero));
    left = f64x2.add(left, f64x2.mul(lower(slope), lower(score)));
    right = f64x2.add(right, f64x2.mul(upper(slope), upper(score)));
  }
  return total(f64x2.add(left, right));
}

/**
 * Cross entropy of each row over which key is its positive, and with COLUMN_PEAKS the gradient of the search from the
 * other side besides. Parameter 0 is 1/τ. Items are rows.
 */
export function searchRows(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const columns = word(record, COLUMNS);
  const factors = word(record, FACTORS);
  const live = word(record, LIVE);
  const excluded = word(record, EXCLUDED);
  const isMutual = word(record, COLUMN_PEAKS) != 0;
  const scale = f32x4.splat(parameter(record, 0) as f32);
  const e = scratch + referenceBytes(columns);
  const x = e + rowBytes(columns);
  const back = x + rowBytes(columns);
  const backScores = back + rowBytes(columns);
  let broken = 0;
  for (let row = from; row < to; row++) {
    const s = word(record, SCORES) + ((row * columns) << 2);
    const mask = excluded == 0 ? (0 as usize) : excluded + row * columns;
    const label = load<i32>(word(record, LABELS) + (row << 2)) as usize;
    const isLive = live == 0 || load<u8>(live + row) != 0;
    if (isLive) {
      scoreRow(record, row, columns, x);
      if (!softmax(x, columns, e, scratch, x, x)) {
        broken++;
        continue;
      }
      store<f64>(word(record, LOSSES) + (row << 3), rest + (peak as f64));
    }
    if (factors == 0) continue;
    let sum: f64 = 0;
    let pull: f64 = 0;
    if (isMutual) {
      searchBack(record, s, columns, scale, mask, label, back, backScores);
      sum = along(back, backScores, columns);
      pull = load<f64>(word(record, COLUMN_PULLS) + (label << 3));
    }
    const factor = isLive ? load<f64>(factors + (row << 3)) : 0;
    if (factor == 0) memory.fill(s, 0, columns << 2);
    else {
      const mass = 1 + others;
      const isTop = label == top;
      pull -= factor * (isTop ? others / mass : 1 - NativeMath.exp(-(peak as f64)) / mass);
      scaleRow(e, columns, scratch, peak, factor / mass, s);
      store<f32>(s + (label << 2), 0);
      sum += along(s, x, columns);
    }
    store<f64>(word(record, SUMS) + (row << 3), sum);
    if (isMutual) addRow(s, back, columns);
    store<f32>(s + (label << 2), pull as f32);
  }
  return broken;
}

/** Writes a row of the gradient of the search from the other side, 0 at the positive, and its scores to `x`. */
function searchBack(
  record: usize,
  s: usize,
  columns: usize,
  scale: v128,
  mask: usize,
  label: usize,
  out: usize,
  x: usize,
): void {
  const high = word(record, COLUMN_HIGH);
  const low = word(record, COLUMN_LOW);
  const peaks = word(record, COLUMN_PEAKS);
  const factors = word(record, COLUMN_FACTORS);
  for (let j: usize = 0; j < columns; j += 4) {
    const at = j << 2;
    const dots = columns - j >= 4 ? v128.load(s + at) : loadPart(s + at, columns & 3, 0);
    v128.store(x + at, f32x4.mul(f32x4.sub(f32x4.sub(dots, v128.load(high + at)), v128.load(low + at)), scale));
  }
  if (mask != 0) forbid(x, columns, mask, -Infinity);
  store<f32>(x + (label << 2), 0);
  for (let j: usize = 0; j < columns; j += 4) {
    const at = j << 2;
    const e = expOfNegative(f32x4.sub(v128.load(x + at), v128.load(peaks + at)));
    v128.store(out + at, f32x4.mul(e, v128.load(factors + at)));
  }
  store<f32>(out + (label << 2), 0);
}

/** Adds a row of whole vectors to one that may end in the middle of a vector. */
function addRow(out: usize, by: usize, width: usize): void {
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) v128.store(out + at, f32x4.add(v128.load(out + at), v128.load(by + at)));
  if (width & 3) storePart(out + at, width & 3, f32x4.add(loadPart(out + at, width & 3, 0), v128.load(by + at)));
}

/** Columns that a thread turns into rows at a time. */
const TURNED: usize = 16;

/**
 * The search from the other side: adds the rows of a chunk to the largest score (COLUMN_PEAKS, float32, −∞ at first) and
 * the others' mass of each column. Rows are met in their order, chunk after chunk. Items are sixteen columns each.
 */
export function searchColumns(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const scores = word(record, SCORES);
  const rows = word(record, ROWS);
  const columns = word(record, COLUMNS);
  const first = word(record, FIRST);
  const live = word(record, LIVE);
  const excluded = word(record, EXCLUDED);
  const scale = parameter(record, 0) as f32;
  const e = scratch + referenceBytes(rows);
  const turned = e + rowBytes(rows);
  const length = rowBytes(rows);
  let broken = 0;
  for (let item = from; item < to; item++) {
    const start = item * TURNED;
    const count = min(TURNED, columns - start);
    for (let row: usize = 0; row < rows; row++) {
      const s = scores + ((row * columns + start) << 2);
      for (let j: usize = 0; j < count; j++) {
        store<f32>(turned + j * length + (row << 2), load<f32>(s + (j << 2)));
      }
    }
    for (let j: usize = 0; j < count; j++) {
      const column = start + j;
      if (live != 0 && load<u8>(live + column) == 0) continue;
      const x = turned + j * length;
      const high = f32x4.splat(load<f32>(word(record, COLUMN_HIGH) + (column << 2)));
      const low = f32x4.splat(load<f32>(word(record, COLUMN_LOW) + (column << 2)));
      relate(x, rows, high, low, f32x4.splat(scale), x);
      if (excluded != 0) {
        for (let row: usize = 0; row < rows; row++) {
          if (load<u8>(excluded + row * columns + column)) store<f32>(x + (row << 2), -Infinity);
        }
      }
      if (column >= first && column < first + rows) store<f32>(x + ((column - first) << 2), 0);
      if (softmax(x, rows, e, scratch, x, x)) addColumn(record, column);
      else if (!isForbidden(x, rows)) broken++;
    }
  }
  return broken;
}

/** Joins what `softmax` found of a part of a column with what is known of the parts before it. */
function addColumn(record: usize, column: usize): void {
  const peakAt = word(record, COLUMN_PEAKS) + (column << 2);
  const othersAt = word(record, COLUMN_OTHERS) + (column << 3);
  const known = load<f32>(peakAt);
  const mass = load<f64>(othersAt);
  const apart = NativeMath.exp(-abs((known as f64) - (peak as f64)));
  if (known == -Infinity) store<f64>(othersAt, others);
  else if (peak > known) store<f64>(othersAt, others + (mass + 1) * apart);
  else store<f64>(othersAt, mass + (others + 1) * apart);
  store<f32>(peakAt, max<f32>(known, peak));
}

/**
 * The search from the other side where few columns look for anything: each is a row here, the first of the chunk is
 * column FIRST of what is found, to the bits that `searchColumns` finds over chunks of PART rows, and the gradient by its
 * dot products. Parameter 0 is 1/τ. Items are rows.
 */
export function searchInParts(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const columns = word(record, COLUMNS);
  const part = word(record, PART);
  const first = word(record, FIRST);
  const factors = word(record, FACTORS);
  const e = scratch + referenceBytes(part);
  const x = e + rowBytes(part);
  let broken = 0;
  for (let row = from; row < to; row++) {
    scoreRow(record, row, columns, x);
    for (let start: usize = 0; start < columns; start += part) {
      const count = min(part, columns - start);
      const scores = x + (start << 2);
      if (softmax(scores, count, e, scratch, scores, scores)) addColumn(record, first + row);
      else if (!isForbidden(scores, count)) broken++;
    }
    if (factors == 0) continue;
    const s = word(record, SCORES) + ((row * columns) << 2);
    const factor = load<f64>(factors + (row << 3));
    const highest = load<f32>(word(record, COLUMN_PEAKS) + ((first + row) << 2));
    const massOfOthers = load<f64>(word(record, COLUMN_OTHERS) + ((first + row) << 3));
    const mass = 1 + massOfOthers;
    const label = load<i32>(word(record, LABELS) + (row << 2)) as usize;
    powerRow(x, columns, f32x4.splat(highest), f32x4.splat((factor / mass) as f32), s);
    store<f32>(s + (label << 2), 0);
    store<f64>(word(record, SUMS) + (row << 3), along(s, x, columns));
    // The positive's score is 0; where it is the largest, what is left for the others is known without a difference.
    const complement = highest == 0 ? massOfOthers / mass : 1 - NativeMath.exp(-(highest as f64)) / mass;
    store<f32>(s + (label << 2), (-factor * complement) as f32);
  }
  return broken;
}

/** Writes factor · exp(x − peak) to a row that may end in the middle of a vector. */
function powerRow(x: usize, width: usize, peak: v128, factor: v128, out: usize): void {
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) {
    v128.store(out + at, f32x4.mul(expOfNegative(f32x4.sub(v128.load(x + at), peak)), factor));
  }
  if (width & 3) {
    storePart(out + at, width & 3, f32x4.mul(expOfNegative(f32x4.sub(v128.load(x + at), peak)), factor));
  }
}

function isForbidden(x: usize, count: usize): bool {
  for (let k: usize = 0; k < count; k++) if (load<f32>(x + (k << 2)) != -Infinity) return false;
  return true;
}

/** Far below anything: its exponential is 0, and so is 0 times it. */
const NOWHERE: f32 = -1e30;

/**
 * Σ_j log(1 + exp(−t_j z_j)) of each row, z_j = scale · s_j + bias, t_j = 1 at the positive and −1 elsewhere. Parameters:
 * 0 scale, 1 bias. Items are rows.
 */
export function sigmoidRows(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const columns = word(record, COLUMNS);
  const factors = word(record, FACTORS);
  const excluded = word(record, EXCLUDED);
  const scale = parameter(record, 0);
  const bias = parameter(record, 1);
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const scales = f32x4.splat(scale as f32);
  const biases = f32x4.splat(bias as f32);
  const x = scratch;
  let broken = 0;
  for (let row = from; row < to; row++) {
    const s = word(record, SCORES) + ((row * columns) << 2);
    const label = load<i32>(word(record, LABELS) + (row << 2)) as usize;
    relate(s, columns, zero, zero, scales, x);
    if (excluded != 0) forbid(x, columns, excluded + row * columns, NOWHERE);
    store<f32>(x + (label << 2), NOWHERE);
    // Entries beyond the last column count nowhere.
    for (let k = columns; k & 3; k++) store<f32>(x + (k << 2), NOWHERE);
    const factor = factors == 0 ? 0.0 : load<f64>(factors + (row << 3));
    const f = f32x4.splat(factor as f32);
    let loss = f64x2.splat(0);
    let ofScale = f64x2.splat(0);
    let ofBias = f64x2.splat(0);
    let highest = zero;
    for (let j: usize = 0; j < columns; j += 4) {
      const at = j << 2;
      const scaled = v128.load(x + at);
      const z = f32x4.add(scaled, biases);
      const size = f32x4.abs(z);
      highest = v128.or(highest, v128.not(f32x4.lt(size, f32x4.splat(Infinity))));
      const e = expOfNegative(f32x4.neg(size));
      const term = f32x4.add(f32x4.pmax(zero, z), log1pOfUnit(e));
      loss = f64x2.add(loss, f64x2.add(lower(term), upper(term)));
      if (factors == 0) continue;
      const numerator = v128.bitselect(one, e, f32x4.ge(z, zero));
      const slope = f32x4.div(numerator, f32x4.add(one, e));
      const low = lower(slope);
      const high = upper(slope);
      ofBias = f64x2.add(ofBias, f64x2.add(low, high));
      ofScale = f64x2.add(ofScale, f64x2.add(f64x2.mul(low, lower(scaled)), f64x2.mul(high, upper(scaled))));
      const pull = f32x4.mul(slope, f);
      if (columns - j >= 4) v128.store(s + at, pull);
      else storePart(s + at, columns & 3, pull);
    }
    const own = scale * load<f64>(word(record, POSITIVES) + (row << 3));
    const z = own + bias;
    const e = NativeMath.exp(-abs(z));
    const sum = total(loss) + max(0.0, -z) + NativeMath.log1p(e);
    if (v128.any_true(highest) || !(sum < Infinity)) {
      broken++;
      continue;
    }
    store<f64>(word(record, LOSSES) + (row << 3), sum);
    if (factors == 0) continue;
    if (factor == 0) memory.fill(s, 0, columns << 2);
    const slope = -(z >= 0 ? e : 1.0) / (1 + e);
    store<f32>(s + (label << 2), (factor * slope) as f32);
    store<f64>(word(record, SUMS) + (row << 3), factor * (total(ofScale) + slope * own));
    store<f64>(word(record, BIAS_SUMS) + (row << 3), factor * (total(ofBias) + slope));
  }
  return broken;
}

// Rows of embeddings. Words: the rows, how many numbers each, norms (float64 a row) or 0; then what the kernel says.
const EMBEDDINGS: usize = 0;
const WIDTH: usize = 4;
const NORMS: usize = 8;
const GRADIENTS: usize = 12;
/** Rows of the other side, the row of it that belongs to each row (int32), and where the products go (float64). */
const KEYS: usize = 12;
const KEY_OF: usize = 16;
const PRODUCTS: usize = 20;

/** Below this norm a row is divided by it instead. */
const SMALLEST_NORM: f64 = 1e-12;

function dot(a: usize, b: usize, width: usize): f64 {
  let left = f64x2.splat(0);
  let right = f64x2.splat(0);
  const fours = (width & ~3) << 2;
  let at: usize = 0;
  for (; at < fours; at += 16) {
    const v = v128.load(a + at);
    const w = v128.load(b + at);
    left = f64x2.add(left, f64x2.mul(lower(v), lower(w)));
    right = f64x2.add(right, f64x2.mul(upper(v), upper(w)));
  }
  let sum = total(f64x2.add(left, right));
  for (const end = width << 2; at < end; at += 4) sum += (load<f32>(a + at) as f64) * (load<f32>(b + at) as f64);
  return sum;
}

/** Divides rows by their norms, where norms are asked; returns how many are not finite. Items are rows. */
export function prepareRows(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  const norms = word(record, NORMS);
  let broken = 0;
  for (let row = from; row < to; row++) {
    const x = word(record, EMBEDDINGS) + ((row * width) << 2);
    const square = dot(x, x, width);
    if (!(square < Infinity)) {
      broken++;
      continue;
    }
    if (norms == 0) continue;
    const norm = max(sqrt(square), SMALLEST_NORM);
    store<f64>(norms + (row << 3), norm);
    for (let d: usize = 0; d < width; d++) {
      const at = x + (d << 2);
      store<f32>(at, ((load<f32>(at) as f64) / norm) as f32);
    }
  }
  return broken;
}

/** The dot product of each row with the key that belongs to it, in float64. Items are rows. */
export function pairProducts(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  for (let row = from; row < to; row++) {
    const key = load<i32>(word(record, KEY_OF) + (row << 2)) as usize;
    const a = word(record, EMBEDDINGS) + ((row * width) << 2);
    const b = word(record, KEYS) + ((key * width) << 2);
    store<f64>(word(record, PRODUCTS) + (row << 3), dot(a, b, width));
  }
  return 0;
}

/** Takes gradients by normalized rows x̂ back through the norm: (g − x̂ (x̂·g)) / ‖x‖. Items are rows. */
export function throughNorms(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const width = word(record, WIDTH);
  for (let row = from; row < to; row++) {
    const offset = (row * width) << 2;
    const x = word(record, EMBEDDINGS) + offset;
    const g = word(record, GRADIENTS) + offset;
    const norm = load<f64>(word(record, NORMS) + (row << 3));
    const common = norm > SMALLEST_NORM ? dot(x, g, width) : 0;
    for (let at: usize = 0, end = width << 2; at < end; at += 4) {
      const slope = (load<f32>(g + at) as f64) - common * (load<f32>(x + at) as f64);
      store<f32>(g + at, (slope / norm) as f32);
    }
  }
  return 0;
}

// Of a matrix of gradients. Words: the matrix, its rows and columns, and the sums of its columns, float64.
const SUM_ROWS: usize = 4;
const SUM_COLUMNS: usize = 8;
const COLUMN_SUMS: usize = 12;

/** Columns of an item of {@link addColumns}. */
const SUMMED: usize = 256;

/** Adds the rows of a matrix to the sums of its columns, in their order. Items are 256 columns each. */
export function addColumns(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const rows = word(record, SUM_ROWS);
  const columns = word(record, SUM_COLUMNS);
  const sums = word(record, COLUMN_SUMS);
  for (let item = from; item < to; item++) {
    const start = item * SUMMED;
    const end = min(start + SUMMED, columns);
    for (let row: usize = 0; row < rows; row++) {
      const g = word(record, EMBEDDINGS) + ((row * columns) << 2);
      for (let column = start; column < end; column++) {
        const at = sums + (column << 3);
        store<f64>(at, load<f64>(at) + (load<f32>(g + (column << 2)) as f64));
      }
    }
  }
  return 0;
}
