// Products of float32 matrices, rows one after the other without gaps.
//
// A block of the product is computed by one thread. It packs what it needs of both factors into panels that the inner
// loop walks side by side: [inner index][4 rows] and [inner index][8 columns]. The inner dimension is cut into runs of
// INNER indices, counted from its start; a run adds up in registers, the runs in memory. So an entry's order of additions
// follows from its row, its column and the inner dimension alone: never from blocks, threads or the other rows.

/** Indices of the inner dimension that add up in registers. */
export const INNER: usize = 128;

// Words of the record of a job; `matrix.ts` of the host has the same.
const A: usize = 0;
const B: usize = 4;
const C: usize = 8;
const ROWS: usize = 12;
const COLUMNS: usize = 16;
const WIDTH: usize = 20;
/** One float32 a column, added to every row; or 0. */
const BIAS: usize = 24;
const KIND: usize = 28;
const BLOCK_ROWS: usize = 32;
const BLOCK_COLUMNS: usize = 36;

// What KIND says. Without a flag a row of A is a row of the product, a row of B an inner index: A·B.
/** Rows of B are the columns of the product: A·Bᵀ. */
const B_IS_TURNED: usize = 1;
/** Columns of A are the rows of the product: Aᵀ·B. */
const A_IS_TURNED: usize = 2;
/** The product is added to what C holds. */
const ADDS: usize = 4;

/** A tile at the edge, before its panels in scratch. */
const TILE_BYTES: usize = 128;

@inline
function word(record: usize, offset: usize): usize {
  return load<u32>(record + offset) as usize;
}

/** Adds the product of two panels, 4 × 8, to what lies at `base` and writes it to C. */
function multiplyPanels(
  a: usize,
  b: usize,
  count: usize,
  base: usize,
  baseStride: usize,
  c: usize,
  stride: usize,
): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  const end = a + (count << 4);
  // Not unrolled: engines run out of registers then.
  for (; a < end; a += 16, b += 32) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
  }
  v128.store(c, f32x4.add(v128.load(base), c00));
  v128.store(c, f32x4.add(v128.load(base, 16), c01), 16);
  base += baseStride;
  c += stride;
  v128.store(c, f32x4.add(v128.load(base), c10));
  v128.store(c, f32x4.add(v128.load(base, 16), c11), 16);
  base += baseStride;
  c += stride;
  v128.store(c, f32x4.add(v128.load(base), c20));
  v128.store(c, f32x4.add(v128.load(base, 16), c21), 16);
  base += baseStride;
  c += stride;
  v128.store(c, f32x4.add(v128.load(base), c30));
  v128.store(c, f32x4.add(v128.load(base, 16), c31), 16);
}

/** Panels whose lanes are rows of X: four rows are turned at a time. Rows up to a whole panel are zeros. */
function packRows(x: usize, stride: usize, rows: usize, count: usize, lanes: usize, out: usize): void {
  const step = lanes << 2;
  const panel = count * step;
  const fours = count & ~3;
  const end = (rows + lanes - 1) / lanes * lanes;
  for (let row: usize = 0; row < end; row += 4) {
    let to = out + (row / lanes) * panel + ((row % lanes) << 2);
    const left = row < rows ? rows - row : 0;
    if (left < 4) {
      for (let k: usize = 0; k < count; k++, to += step) {
        v128.store(to, f32x4.splat(0));
        for (let lane: usize = 0; lane < left; lane++) {
          store<f32>(to + (lane << 2), load<f32>(x + (row + lane) * stride + (k << 2)));
        }
      }
      continue;
    }
    let p = x + row * stride;
    const end4 = p + (fours << 2);
    for (; p < end4; p += 16, to += step << 2) {
      const a = v128.load(p);
      const b = v128.load(p + stride);
      const c = v128.load(p + 2 * stride);
      const d = v128.load(p + 3 * stride);
      const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
      const abHigh = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const cdHigh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(ab, cd, 0, 2));
      v128.store(to + step, v128.shuffle<i64>(ab, cd, 1, 3));
      v128.store(to + 2 * step, v128.shuffle<i64>(abHigh, cdHigh, 0, 2));
      v128.store(to + 3 * step, v128.shuffle<i64>(abHigh, cdHigh, 1, 3));
    }
    for (let k = fours; k < count; k++, p += 4, to += step) {
      store<f32>(to, load<f32>(p));
      store<f32>(to, load<f32>(p + stride), 4);
      store<f32>(to, load<f32>(p + 2 * stride), 8);
      store<f32>(to, load<f32>(p + 3 * stride), 12);
    }
  }
}

/** Panels whose lanes are columns of X, sixteen at a time: a line of the cache. Columns up to a whole panel are zeros. */
function packColumns(x: usize, stride: usize, columns: usize, count: usize, lanes: usize, out: usize): void {
  const step = lanes << 2;
  const panel = count * step;
  let column: usize = 0;
  for (const end = columns & ~15; column < end; column += 16) {
    let p = x + (column << 2);
    let to = out + (column / lanes) * panel;
    // Panels of 4 lie one after the other, those of 8 take two vectors each.
    const second: usize = lanes == 4 ? panel : 16;
    const third: usize = lanes == 4 ? panel + panel : panel;
    const fourth = third + second;
    for (let k: usize = 0; k < count; k++, p += stride, to += step) {
      v128.store(to, v128.load(p));
      v128.store(to + second, v128.load(p, 16));
      v128.store(to + third, v128.load(p, 32));
      v128.store(to + fourth, v128.load(p, 48));
    }
  }
  const end = (columns + lanes - 1) / lanes * lanes;
  for (; column < end; column += 4) {
    let p = x + (column << 2);
    let to = out + (column / lanes) * panel + ((column % lanes) << 2);
    const left = column < columns ? columns - column : 0;
    if (left >= 4) {
      for (let k: usize = 0; k < count; k++, p += stride, to += step) v128.store(to, v128.load(p));
      continue;
    }
    for (let k: usize = 0; k < count; k++, p += stride, to += step) {
      v128.store(to, f32x4.splat(0));
      for (let lane: usize = 0; lane < left; lane++) store<f32>(to + (lane << 2), load<f32>(p + (lane << 2)));
    }
  }
}

/** Copies the part of a tile that lies in the matrix. */
function copyPart(from: usize, fromStride: usize, to: usize, toStride: usize, rows: usize, columns: usize): void {
  for (let row: usize = 0; row < rows; row++, from += fromStride, to += toStride) {
    for (let column: usize = 0; column < columns; column++) {
      store<f32>(to + (column << 2), load<f32>(from + (column << 2)));
    }
  }
}

const zeros: usize = memory.data<f32>([0, 0, 0, 0, 0, 0, 0, 0], 16);

/**
 * Blocks `from`..`to` − 1 of a product, counted along its rows of blocks. Scratch holds a tile, then panels of
 * (BLOCK_ROWS + BLOCK_COLUMNS) · INNER numbers, each block a multiple of 8.
 */
export function multiply(record: usize, from: usize, to: usize, scratch: usize): i32 {
  const a = word(record, A);
  const b = word(record, B);
  const c = word(record, C);
  const rows = word(record, ROWS);
  const columns = word(record, COLUMNS);
  const width = word(record, WIDTH);
  const bias = word(record, BIAS);
  const kind = word(record, KIND);
  const blockRows = word(record, BLOCK_ROWS);
  const blockColumns = word(record, BLOCK_COLUMNS);
  const across = (columns + blockColumns - 1) / blockColumns;
  const stride = columns << 2;
  const aPanels = scratch + TILE_BYTES;
  const bPanels = aPanels + blockRows * (INNER << 2);
  for (let block = from; block < to; block++) {
    const row = (block / across) * blockRows;
    const column = (block % across) * blockColumns;
    const height = min(blockRows, rows - row);
    const breadth = min(blockColumns, columns - column);
    let k: usize = 0;
    do {
      const count = min(INNER, width - k);
      if (kind & A_IS_TURNED) packColumns(a + ((k * rows + row) << 2), rows << 2, height, count, 4, aPanels);
      else packRows(a + ((row * width + k) << 2), width << 2, height, count, 4, aPanels);
      if (kind & B_IS_TURNED) packRows(b + ((column * width + k) << 2), width << 2, breadth, count, 8, bPanels);
      else packColumns(b + ((k * columns + column) << 2), stride, breadth, count, 8, bPanels);
      for (let i: usize = 0; i < height; i += 4) {
        for (let j: usize = 0; j < breadth; j += 8) {
          const tile = c + (row + i) * stride + ((column + j) << 2);
          const left = aPanels + i * (count << 2);
          const right = bPanels + j * (count << 2);
          // The first run begins at the bias, at zero, or at what C holds.
          const isFirst = k == 0 && !(kind & ADDS);
          const base = !isFirst ? tile : bias != 0 ? bias + ((column + j) << 2) : zeros;
          const baseStride: usize = isFirst ? 0 : stride;
          if (height - i >= 4 && breadth - j >= 8) {
            multiplyPanels(left, right, count, base, baseStride, tile, stride);
          } else {
            const high = min(4, height - i);
            const broad = min(8, breadth - j);
            copyPart(base, baseStride, scratch, 32, high, broad);
            multiplyPanels(left, right, count, scratch, 32, scratch, 32);
            copyPart(scratch, 32, tile, stride, high, broad);
          }
        }
      }
      k += INNER;
    } while (k < width);
  }
  return 0;
}
