import { LOW, ROUNDER } from "./bits.js";
import {
  QUARTER_FIRST,
  QUARTER_FOURTH,
  QUARTER_SECOND,
  QUARTER_THIRD,
  QUARTERS_PER_RADIAN,
} from "./tables/quarter-turn.js";

/** Beyond 2²⁰ radians the reduction's products are no longer exact. */
export const LARGEST_ANGLE = 1048576;

/** The number of quarter turns in x, rounded to an integer, for |x| ≤ LARGEST_ANGLE. */
export function quarterTurns(x: number): number {
  return x * QUARTERS_PER_RADIAN + ROUNDER - ROUNDER;
}

/** What the first two parts of π/2 leave. */
const QUARTER_TAIL = QUARTER_THIRD + QUARTER_FOURTH;

/** 2^−30: x this near to a multiple of π/2 has lost so many digits that the tail must be taken off in two steps. */
const NEAR = 9.313225746154785e-10;

/**
 * x − k·π/2 for k = quarterTurns(x), as an unevaluated sum: returns the rounded value and leaves in LOW what it lacks.
 *
 * π/2 comes in parts of 33 bits (Cody and Waite 1980): k times such a part is exact for |k| < 2²⁰, and so is x minus the
 * first product. No double below 2²⁰ but 0 comes nearer than 2^−61 to a multiple of π/2; the two parts returned are good
 * to 2^−68 of their sum.
 */
export function reduceByQuarterTurns(x: number, k: number): number {
  const first = x - k * QUARTER_FIRST;
  const second = k * QUARTER_SECOND;
  const difference = first - second;
  const lost = differenceRemainder(first, second, difference);
  if (k !== 0 && difference > -NEAR && difference < NEAR) {
    // Two nearby numbers have been subtracted, so nothing was lost.
    const third = k * QUARTER_THIRD;
    const high = difference - third;
    LOW[0] = differenceRemainder(difference, third, high) - k * QUARTER_FOURTH;
    return high;
  }
  const rest = lost - k * QUARTER_TAIL;
  const high = difference + rest;
  LOW[0] = rest - (high - difference);
  return high;
}

/** a − b − d for d = fl(a − b), exactly, whichever of the two is larger (Knuth 1969). */
function differenceRemainder(a: number, b: number, d: number): number {
  const back = d - a;
  return a - (d - back) - (b + back);
}

/**
 * sin(r + rLow) for |r| ≤ π/4 by the Taylor polynomial of degree 17; the next term is worth 2^−63.
 * The tail enters through the derivative, cos r ≈ 1 − r²/2.
 */
export function sineOfRemainder(r: number, rLow: number): number {
  const r2 = r * r;
  const r4 = r2 * r2;
  const lower = -1 / 6 + r2 * (1 / 120) + r4 * (-1 / 5040 + r2 * (1 / 362880));
  const upper = -1 / 39916800 + r2 * (1 / 6227020800) + r4 * (-1 / 1307674368000 + r2 * (1 / 355687428096000));
  return r + (r2 * r * (lower + r4 * r4 * upper) + (rLow - 0.5 * r2 * rLow));
}

/**
 * cos(r + rLow) for |r| ≤ π/4 by the Taylor polynomial of degree 16; the next term is worth 2^−58.
 * 1 − r²/2 keeps the remainder of the difference; the tail enters through the derivative, −sin r ≈ −r.
 */
export function cosineOfRemainder(r: number, rLow: number): number {
  const r2 = r * r;
  const r4 = r2 * r2;
  const half = 0.5 * r2;
  const high = 1 - half;
  const lower = 1 / 24 - r2 * (1 / 720) + r4 * (1 / 40320 - r2 * (1 / 3628800));
  const upper = 1 / 479001600 - r2 * (1 / 87178291200) + r4 * (1 / 20922789888000);
  return high + (1 - high - half + (r4 * (lower + r4 * r4 * upper) - r * rLow));
}
