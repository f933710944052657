// Stands in for `sum.ts` of the kernels where a benchmark asks what exactness costs: plain float64 sums, which depend on
// the order of their terms. AssemblyScript; never part of the package.

export const ACCUMULATOR: usize = 72 * 8;
export const BLOCK: i32 = 256;

export function addExact(accumulator: usize, x: f64): void {
  store<f64>(accumulator, load<f64>(accumulator) + x);
}

export function addBlock(accumulator: usize, terms: usize, count: i32): bool {
  const end = terms + (((count + 3) & ~3) << 2);
  let left = f64x2.splat(0);
  let right = f64x2.splat(0);
  for (let at = terms; at < end; at += 16) {
    left = f64x2.add(left, f64x2.promote_low_f32x4(v128.load64_zero(at)));
    right = f64x2.add(right, f64x2.promote_low_f32x4(v128.load64_zero(at, 8)));
  }
  const both = f64x2.add(left, right);
  const sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  if (!(abs(sum) < Infinity)) return false;
  addExact(accumulator, sum);
  return true;
}

/** The host reads limbs: the sum goes out as a whole number of units of 2^-20, near enough to be compared. */
export function drain(accumulators: usize, stride: usize, count: i32, out: usize): void {
  let sum: f64 = 0;
  for (let thread = 0; thread < count; thread++) {
    const at = accumulators + (thread as usize) * stride;
    sum += load<f64>(at);
    memory.fill(at, 0, ACCUMULATOR);
  }
  memory.fill(out, 0, ACCUMULATOR);
  // 2^-1074 · 2^(32 · 32) is 2^-50: limbs of 32 bits from there up hold it, each below 2^32 but the last.
  let rest = NativeMath.floor(sum * 1048576.0 * 1073741824.0);
  for (let limb = 32; limb < 35; limb++) {
    const above = limb == 34 ? 0 : NativeMath.floor(rest / 4294967296.0);
    store<f64>(out + (limb << 3), rest - above * 4294967296.0);
    rest = above;
  }
}

/** Weights are no part of what is measured. */
export function sumWeights(record: usize, from: usize, to: usize, scratch: usize): i32 {
  return 0;
}
