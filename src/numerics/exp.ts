import { LOW, SMALLEST_NORMAL } from "./bits.js";
import { expParts } from "./exp-parts.js";

/** Between these the result is a normal number and no step of the computation leaves the range of doubles. */
const LOWEST = -708;
const HIGHEST = 709;

/** 2^1022 moves the smallest normal number to 1. */
const LIFT = 1022;

/**
 * e^x, within 0.52 ulp.
 *
 * exp(±0) = 1, exp(−∞) = 0, exp(+∞) = +∞, exp(NaN) = NaN. Overflows to +∞ above 709.782712893384 and underflows to 0
 * below −745.1332191019411; in between, below −708.3964185322641, results are subnormal and rounded once.
 *
 * Algorithm and reference: `expParts`.
 */
export function exp(x: number): number {
  if (x > LOWEST && x < HIGHEST) return expParts(x, 0, 0);
  return expAtTheEnds(x, 0);
}

/** e^(x + xLow) for any x that is not NaN, where x + xLow is a product or logarithm carried in two parts. */
export function expOfSum(x: number, xLow: number): number {
  if (x > LOWEST && x < HIGHEST) return expParts(x, xLow, 0);
  return expAtTheEnds(x, xLow);
}

/** Where e^x overflows, underflows or is subnormal, and where x is not a finite number. */
function expAtTheEnds(x: number, xLow: number): number {
  if (x >= HIGHEST) {
    if (x > 710) return Infinity;
    return expParts(x, xLow, -2) * 4;
  }
  if (x <= LOWEST) {
    if (x < -746) return 0;
    const lifted = expParts(x, xLow, LIFT);
    const low = LOW[0];
    if (lifted >= 1) return lifted * SMALLEST_NORMAL;
    // Subnormal: in [1, 2) an ulp is what the smallest subnormal is after lifting, so adding 1 rounds at the right bit,
    // and the exact remainder of that sum goes in before the rounding that counts.
    const sum = 1 + lifted;
    return (sum + (1 - sum + lifted + low) - 1) * SMALLEST_NORMAL;
  }
  return x; // NaN
}
