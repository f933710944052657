// The scratch of a thread that computes rows: accumulator, terms of a block of rows, room for few classes, references of
// a row's blocks, then rows of the width; and what every loss over rows does with them.
import { ROW_BLOCK, rowBytes } from "./rows";

/** A flag of several losses: the target is a row of numbers that were given. */
export const HAS_TARGETS: usize = 4;
/** Up to so many classes, rows are computed four at a time. */
export const FEW_CLASSES: usize = 16;
export const TERMS: usize = 640;
/** So many of them go through each step together: chains of operations beside each other, in the first cache. */
export const FEW_TOGETHER: usize = 64;
export const FEW_ROWS: usize = TERMS + 1024;
export const FEW_SUMS: usize = FEW_ROWS + FEW_TOGETHER * FEW_CLASSES * 4;
const REFERENCES: usize = FEW_SUMS + FEW_TOGETHER * 4;

/** Logits so large are left to the reference where differences of sums of them count. */
export const FAR: f64 = 1e9;

@inline
function referenceBytes(width: usize): usize {
  return (((width / ROW_BLOCK + 1) << 3) + 15) & ~15;
}

/** The scratch row of a number: exponentials, weights, scores, slopes … */
@inline
export function scratchRow(scratch: usize, width: usize, i: usize): usize {
  return scratch + REFERENCES + 3 * referenceBytes(width) + i * rowBytes(width);
}

@inline
export function referencesOf(scratch: usize, width: usize, i: usize): usize {
  return scratch + REFERENCES + i * referenceBytes(width);
}

@inline
export function at(row: usize, k: usize): f64 {
  return load<f32>(row + (k << 2)) as f64;
}

/** Ends a row that counts nowhere: a gradient and a loss of 0. */
@inline
export function leaveRow(out: usize, width: usize, row: usize, losses: usize): void {
  if (out != 0) memory.fill(out + ((row * width) << 2), 0, width << 2);
  if (losses != 0) store<f64>(losses + (row << 3), 0);
}

/** All ones in the first `count` of four lanes. */
@inline
export function partMask(count: usize): v128 {
  return i32x4.gt_s(i32x4.splat(count as i32), i32x4(0, 1, 2, 3));
}
