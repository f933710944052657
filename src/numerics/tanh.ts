import { LOW, quotientParts } from "./bits.js";
import { expParts } from "./exp-parts.js";

/**
 * Hyperbolic tangent, within 0.55 ulp. Derivative: 1 − tanh²x.
 *
 * tanh(±0) = ±0, tanh(±∞) = ±1, tanh(NaN) = NaN. Subnormal x returns x; ±1 beyond |x| = 20.
 *
 * Below 1/8 the Taylor polynomial of degree 17 (the next term is worth 2^−65 x); beyond, (E − 1)/(E + 1) with E = e^2|x|
 * in two parts (`expParts`), so that neither the difference nor the quotient adds a rounding that counts.
 */
export function tanh(x: number): number {
  if (x === 0) return x; // the polynomial would turn −0 into +0
  const size = x < 0 ? -x : x;
  if (size < 0.125) {
    const x2 = x * x;
    const x4 = x2 * x2;
    const lower = -1 / 3 + x2 * (2 / 15) + x4 * (-17 / 315 + x2 * (62 / 2835));
    const upper = -1382 / 155925 + x2 * (21844 / 6081075) + x4 * (-929569 / 638512875 + x2 * (6404582 / 10854718875));
    return x + x * x2 * (lower + x4 * x4 * upper);
  }
  if (size > 20) return x < 0 ? -1 : 1;
  const high = expParts(2 * size, 0, 0);
  const low = LOW[0];
  const below = high - 1;
  const above = high + 1;
  const quotient = quotientParts(below, high - below - 1 + low, above, high - above + 1 + low);
  const result = quotient + LOW[0]; // NaN arrives here and stays NaN
  return x < 0 ? -result : result;
}
