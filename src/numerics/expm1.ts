import { LOW } from "./bits.js";
import { exp } from "./exp.js";
import { expParts } from "./exp-parts.js";

/**
 * e^x − 1, without the cancellation that subtracting from exp(x) would bring near 0; within 0.65 ulp.
 *
 * expm1(±0) = ±0, expm1(−∞) = −1, expm1(+∞) = +∞, expm1(NaN) = NaN. Subnormal x returns x. Overflows to +∞ above
 * 709.782712893384; −1 below −38.
 *
 * Below 1/8 the Taylor polynomial of degree 11 (the next term is worth 2^−61 x); beyond, e^x in two parts (`expParts`),
 * from which 1 is taken exactly. After Tang, ACM TOMS 18, 1992.
 */
export function expm1(x: number): number {
  if (x === 0) return x; // the polynomial would turn −0 into +0
  if (x > -0.125 && x < 0.125) {
    const x2 = x * x;
    const x4 = x2 * x2;
    const third = 1 / 6 + x * (1 / 24) + x2 * (1 / 120 + x * (1 / 720));
    const seventh = 1 / 5040 + x * (1 / 40320) + x2 * (1 / 362880 + x * (1 / 3628800) + x2 * (1 / 39916800));
    return x + (x2 * 0.5 + x2 * x * (third + x4 * seventh));
  }
  if (x > 40) return exp(x); // 1 is less than 2^−57 of it
  if (x < -40) return -1;
  const high = expParts(x, 0, 0);
  const low = LOW[0];
  const rest = high - 1;
  const lost = high > 1 ? high - rest - 1 : high - (rest + 1);
  return rest + (lost + low); // NaN arrives here and stays NaN
}
