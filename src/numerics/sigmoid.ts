import { LOW, quotientParts } from "./bits.js";
import { exp } from "./exp.js";
import { expParts } from "./exp-parts.js";

/**
 * The logistic function 1/(1 + e^−x), within 0.55 ulp for very negative x too, where it runs like e^x.
 * Derivative: sigmoid(x) · sigmoid(−x).
 *
 * sigmoid(±0) = 1/2, sigmoid(−∞) = 0, sigmoid(+∞) = 1, sigmoid(NaN) = NaN. Subnormal below −708.3964185322641,
 * 0 below −745.1332191019411, 1 above 37.
 *
 * With E = e^−|x| in two parts (`expParts`): 1/(1 + E) for x ≥ 0, E/(1 + E) below. Neither can overflow or cancel.
 */
export function sigmoid(x: number): number {
  if (x > 40) return 1;
  if (x < -40) return exp(x); // 1 + e^x is 1 + 2^−57
  const high = expParts(x < 0 ? x : -x, 0, 0);
  const low = LOW[0];
  const sum = 1 + high;
  const sumLow = high - (sum - 1) + low;
  const quotient = x < 0 ? quotientParts(high, low, sum, sumLow) : quotientParts(1, 0, sum, sumLow);
  return quotient + LOW[0]; // NaN arrives here and stays NaN
}
