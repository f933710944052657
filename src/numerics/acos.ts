import { atanOfSum } from "./atan.js";
import { LOW, productRemainder, quotientParts } from "./bits.js";
import { HALF_PI_HIGH } from "./tables/atan.js";

/**
 * Arccosine of x in radians, in [0, π], within 0.6 ulp, near 1 too, where it runs like √(2(1 − x)).
 * Derivative: −1/√(1 − x²).
 *
 * acos(1) = +0, acos(−1) = π (the nearest double), acos(x) = NaN for |x| > 1 and NaN.
 *
 * The half-angle formula, acos x = 2 arctan √((1 − x)/(1 + x)), has nothing that cancels. Quotient and root each keep a
 * correction from their exact remainder (Dekker 1971), which `atanOfSum` takes in.
 */
export function acos(x: number): number {
  if (!(x > -1 && x < 1)) {
    if (x === 1) return 0;
    return x === -1 ? 2 * HALF_PI_HIGH : NaN;
  }
  const below = 1 - x;
  const above = 1 + x;
  const quotient = quotientParts(below, 1 - below - x, above, 1 - above + x);
  const quotientLow = LOW[0];
  const root = Math.sqrt(quotient);
  const square = root * root;
  const rootLow = (quotient - square - productRemainder(root, root, square) + quotientLow) / (2 * root);
  return 2 * atanOfSum(root, rootLow);
}
