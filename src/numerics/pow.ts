import { LOW, productRemainder, SMALLEST_NORMAL, SUBNORMAL_LIFT, SUBNORMAL_SHIFT } from "./bits.js";
import { expOfSum } from "./exp.js";
import { logParts } from "./log-parts.js";

/**
 * x^y = e^(y log x), within 0.6 ulp.
 *
 * The special cases of IEEE 754-2019 (section 9.2.1), which differ from `Math.pow` in two places:
 * - pow(x, ±0) = 1 for any x, NaN too; pow(1, y) = 1 for any y, NaN and ±∞ too (`Math.pow` says NaN);
 * - pow(−1, ±∞) = 1 (`Math.pow` says NaN); pow(x, ±∞) = 0 or +∞ by |x| < 1 or > 1;
 * - pow(±0, y): ±0 for odd positive y, +0 for other positive y, ±∞ for odd negative y, +∞ for other negative y;
 * - pow(±∞, y) = pow(±0, −y);
 * - pow(x, y) with x < 0: ±|x|^y by the parity of an integer y, NaN for other finite y; NaN for other NaN arguments.
 * Overflow gives ±∞, underflow ±0; subnormal results are rounded once.
 *
 * y log x reaches 745 and its absolute error is the result's relative one, so the logarithm is taken to 2^−66
 * (`logParts`), the product keeps its remainder (Dekker 1971), and both parts go into the exponential. After Tang 1989
 * and 1990 with Ziv's double-length intermediates (ACM TOMS 17, 1991).
 */
export function pow(x: number, y: number): number {
  if (x > 0 && x < Infinity && y > -HUGE_POWER && y < HUGE_POWER) return powOfPositive(x, y);
  return powAtTheEdges(x, y);
}

/** Beyond 2⁶⁴, y log x is out of exp's range or log x is 0, as |log x| ≥ 2^−53 for other doubles. */
const HUGE_POWER = 18446744073709552000;

/** Below 2^−65, x^y rounds to 1, as |log x| < 745. */
const TINY_POWER = 2.710505431213761e-20;

/** For 0 < x < ∞ and |y| < 2⁶⁴. */
function powOfPositive(x: number, y: number): number {
  if (y < TINY_POWER && y > -TINY_POWER) return 1;
  const log = x < SMALLEST_NORMAL ? logParts(x * SUBNORMAL_LIFT, SUBNORMAL_SHIFT) : logParts(x, 0);
  const logLow = LOW[0];
  const product = y * log;
  return expOfSum(product, productRemainder(y, log, product) + y * logLow);
}

function powAtTheEdges(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;

  const size = x < 0 ? -x : x;
  // Every double from 2⁵³ on is an even integer, and so, for this purpose, is ±∞.
  const even = y % 2 === 0 || y === Infinity || y === -Infinity;
  const odd = y % 2 === 1 || y % 2 === -1;
  const negative = x < 0 || (x === 0 && 1 / x < 0);
  if (x < 0 && size < Infinity && !even && !odd) return NaN;

  let power: number;
  if (size === 1) power = 1;
  else if (size === 0 || size === Infinity || y >= HUGE_POWER || y <= -HUGE_POWER) {
    power = size > 1 === y > 0 ? Infinity : 0;
  } else power = powOfPositive(size, y);
  return negative && odd ? -power : power;
}
