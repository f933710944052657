import { LOW, POWER_ZERO, POWERS_OF_TWO, ROUNDER } from "./bits.js";
import { ROOTS_OF_TWO, STEP_HIGH, STEP_LOW, STEPS_PER_UNIT } from "./tables/exp.js";

/**
 * e^(x + xLow) · 2^shift as an unevaluated sum: returns the rounded value and leaves in LOW what it lacks; together they
 * are good to 2^−60. For −708 ≤ x + shift·ln2 ≤ 709, |x| < 1400 and |xLow| below an ulp of x.
 *
 * Table-driven (Tang, ACM TOMS 15, 1989). With k = round(128 x/ln2) = 128 e + j and r = x − k·ln2/128,
 *   e^x = 2^e · 2^(j/128) · e^r,   |r| ≤ ln2/256 ≈ 0.0027.
 * ln2/128 comes in two parts (Cody and Waite 1980): k times the first is exact, and so is its difference from x.
 * e^r − 1 is its Taylor polynomial of degree 5; the next term, r⁶/720, is below 2^−60.
 */
export function expParts(x: number, xLow: number, shift: number): number {
  const k = x * STEPS_PER_UNIT + ROUNDER - ROUNDER;
  const r = x - k * STEP_HIGH + (xLow - k * STEP_LOW);
  const p = r + r * r * (1 / 2 + r * (1 / 6) + r * r * (1 / 24 + r * (1 / 120)));

  const step = k | 0;
  const j = (step & 127) << 1;
  const root = ROOTS_OF_TWO[j];
  const rest = ROOTS_OF_TWO[j + 1] + root * p;
  const scale = POWERS_OF_TWO[(step >> 7) + shift + POWER_ZERO];

  const high = root + rest;
  LOW[0] = (rest - (high - root)) * scale;
  return high * scale;
}
