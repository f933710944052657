// Terms of up to 256 rows, float32, on their way into the exact sum.
import { addBlock, addExact } from "./sum";

/** Sets the byte of a row that is left to the reference; the bytes of a chunk are cleared by its first. */
export function markOdd(odd: usize, from: usize, to: usize, element: usize, found: i32): i32 {
  if (found == 0) memory.fill(odd + from, 0, to - from);
  store<u8>(odd + element, 1);
  return found + 1;
}

/** Adds the terms of a block, weighted; those that are not finite are marked odd and left out. Returns how many are. */
export function addTerms(
  scratch: usize,
  terms: usize,
  weights: usize,
  odd: usize,
  from: usize,
  to: usize,
  start: usize,
  count: i32,
  found: i32,
): i32 {
  if (weights != 0) return addWeighted(scratch, terms, weights, odd, from, to, start, count, found);
  if (addBlock(scratch, terms, count)) return found;
  found = dropOdd(terms, odd, from, to, start, count, found);
  addBlock(scratch, terms, count);
  return found;
}

/** Takes the terms that are not finite out of a block. */
function dropOdd(terms: usize, odd: usize, from: usize, to: usize, start: usize, count: i32, found: i32): i32 {
  for (let i: usize = 0; i < (count as usize); i++) {
    const term = load<f32>(terms + (i << 2));
    if (abs<f32>(term) < Infinity) continue;
    found = markOdd(odd, from, to, start + i, found);
    store<f32>(terms + (i << 2), 0);
  }
  return found;
}

/** Whether float64 weights are all 0 or 1. */
function isMask(weights: usize, count: usize): bool {
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  let other = zero;
  for (let i: usize = 0; i < count; i += 2) {
    const at = weights + (i << 3);
    const both = i + 2 <= count ? v128.load(at) : v128.load64_zero(at);
    other = v128.or(other, v128.and(f64x2.ne(both, zero), f64x2.ne(both, one)));
  }
  return !v128.any_true(other);
}

/** Adds weight · term: as a block where the weights are all 0 or 1, each product rounded once otherwise. */
function addWeighted(
  scratch: usize,
  terms: usize,
  weights: usize,
  odd: usize,
  from: usize,
  to: usize,
  start: usize,
  count: i32,
  found: i32,
): i32 {
  if (isMask(weights + (start << 3), count as usize)) {
    if (addBlock(scratch, terms, count)) return found;
    found = dropOdd(terms, odd, from, to, start, count, found);
    addBlock(scratch, terms, count);
    return found;
  }
  found = dropOdd(terms, odd, from, to, start, count, found);
  for (let i: usize = 0; i < (count as usize); i++) {
    const term = load<f32>(terms + (i << 2)) as f64;
    if (term != 0) addExact(scratch, load<f64>(weights + ((start + i) << 3)) * term);
  }
  return found;
}

