import { LOW } from "./bits.js";
import { exp } from "./exp.js";
import { expParts } from "./exp-parts.js";
import { logOfSum } from "./log-parts.js";

/**
 * Softplus, log(1 + e^x), within 0.55 ulp everywhere: it runs like e^x far below 0 and like x far above.
 * Derivative: sigmoid(x).
 *
 * log1pExp(±0) = ln 2, log1pExp(−∞) = 0, log1pExp(+∞) = +∞, log1pExp(NaN) = NaN. Subnormal below −708.3964185322641,
 * 0 below −745.1332191019411; never overflows.
 *
 * 1 + e^x is carried in two parts, from `expParts` into `logOfSum`, so that there is one rounding that counts.
 */
export function log1pExp(x: number): number {
  if (x > -40 && x < 40) {
    const high = expParts(x, 0, 0);
    const low = LOW[0];
    if (x < -20) return high + (low - 0.5 * high * high); // the next term, e^3x/3, is below 2^−58 e^x
    const sum = 1 + high;
    return logOfSum(sum, (high < 1 ? 1 - sum + high : high - sum + 1) + low, 0);
  }
  if (x <= -40) return exp(x); // e^x − e^2x/2, and e^x < 2^−57
  return x; // x + e^−x, or NaN
}
