import { LOW } from "./bits.js";
import {
  cosineOfRemainder,
  LARGEST_ANGLE,
  quarterTurns,
  reduceByQuarterTurns,
  sineOfRemainder,
} from "./quarter-turn.js";

/**
 * Cosine of x radians for |x| ≤ 2²⁰, within 0.85 ulp. Derivative: −sin x.
 *
 * cos(±0) = 1. Beyond 2²⁰, and for ±∞ and NaN, NaN: the argument reduction is exact only that far, and a wrong digit would
 * look like a right one.
 *
 * Algorithm and reference: `quarter-turn`.
 */
export function cos(x: number): number {
  if (!(x >= -LARGEST_ANGLE && x <= LARGEST_ANGLE)) return NaN;
  const turns = quarterTurns(x);
  const r = reduceByQuarterTurns(x, turns);
  const rLow = LOW[0];
  const size = turns & 1 ? sineOfRemainder(r, rLow) : cosineOfRemainder(r, rLow);
  return (turns + 1) & 2 ? -size : size;
}
