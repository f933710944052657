import { LOW } from "./bits.js";
import {
  cosineOfRemainder,
  LARGEST_ANGLE,
  quarterTurns,
  reduceByQuarterTurns,
  sineOfRemainder,
} from "./quarter-turn.js";

/**
 * Sine of x radians for |x| ≤ 2²⁰, within 0.85 ulp. Derivative: cos x.
 *
 * sin(±0) = ±0; subnormal x returns x. Beyond 2²⁰, and for ±∞ and NaN, NaN: the argument reduction is exact only that far,
 * and a wrong digit would look like a right one.
 *
 * Algorithm and reference: `quarter-turn`.
 */
export function sin(x: number): number {
  if (!(x >= -LARGEST_ANGLE && x <= LARGEST_ANGLE)) return NaN;
  if (x === 0) return x; // the differences would turn −0 into +0
  const turns = quarterTurns(x);
  const r = reduceByQuarterTurns(x, turns);
  const rLow = LOW[0];
  const size = turns & 1 ? cosineOfRemainder(r, rLow) : sineOfRemainder(r, rLow);
  return turns & 2 ? -size : size;
}
