import { LOW, productRemainder } from "./bits.js";
import { log } from "./log.js";
import { logParts } from "./log-parts.js";
import { log1p } from "./log1p.js";
import { SERIES_AT_TWO, SLOPE_HIGH, SLOPE_LOW, STIRLING_CONSTANT } from "./tables/lgamma.js";

/**
 * log Γ(x) for x ≥ 0, within 3 ulp, next to its zeros at 1 and 2 too. Derivative: the digamma function.
 *
 * lgamma(1) = lgamma(2) = +0, lgamma(±0) = lgamma(+∞) = +∞, lgamma(x) = NaN for x < 0 and NaN: a count, a degree of
 * freedom or a concentration is never negative, and Γ changes sign there. Overflows to +∞ above 2.5599833278516383e305.
 *
 * From 10 on Stirling's series; below, Γ(x + 1) = x Γ(x) leads to [1.5, 2.5), where the Taylor series at 2 converges
 * quickly and has a factor x − 2 in plain sight (Abramowitz and Stegun 1964, 6.1.33 and 6.1.41).
 */
export function lgamma(x: number): number {
  if (x >= 10) return stirling(x);
  if (x >= 1.5) {
    // Γ(x) = (x − 1)(x − 2) … y · Γ(y). All terms of the sum are positive but for a small log Γ(y).
    let y = x;
    let product = 1;
    while (y >= 2.5) {
      y -= 1;
      product *= y;
    }
    const atTwo = seriesAtTwo(y - 2) + LOW[0];
    return product === 1 ? atTwo : atTwo + log(product);
  }
  if (x >= 0.5) {
    // Γ(x) = Γ(x + 1)/x. Half of the two logarithms cancels, so the difference keeps its remainder.
    const atTwo = seriesAtTwo(x - 1);
    const rest = LOW[0];
    const logX = logParts(x, 0);
    const difference = atTwo - logX;
    return difference + (atTwo - (difference + logX) + (rest - LOW[0]));
  }
  // Γ(x) = Γ(x + 2)/(x (x + 1)).
  if (x >= 0) return seriesAtTwo(x) + LOW[0] - log1p(x) - log(x);
  return NaN;
}

/**
 * log Γ(2 + z) for |z| ≤ 1/2 as a sum not yet added: returns the term (1 − γ) z, rounded, and leaves the rest in LOW, up
 * to a third of it. The rest's even and odd coefficients go by Horner's rule in z², side by side.
 */
function seriesAtTwo(z: number): number {
  const z2 = z * z;
  let odd = SERIES_AT_TWO[25];
  let even = SERIES_AT_TWO[24];
  for (let i = 23; i > 0; i -= 2) {
    odd = odd * z2 + SERIES_AT_TWO[i];
    even = even * z2 + SERIES_AT_TWO[i - 1];
  }
  const first = z * SLOPE_HIGH;
  LOW[0] = z2 * (even + z * odd) + (productRemainder(z, SLOPE_HIGH, first) + z * SLOPE_LOW);
  return first;
}

/** Where x exceeds this, Stirling's value overflows; also sifts out +∞, which would become ∞ − ∞. */
const LARGEST = 2.5599833278516383e305;

/** From 2⁵² on, x − 1/2 is x to half an ulp and the rest of the series is far below an ulp. */
const WHOLE_NUMBERS_ONLY = 4503599627370496;

/**
 * log Γ(x) = (x − ½)(log x − 1) + (½ ln 2π − ½) + Σ B_2k/(2k(2k − 1) x^(2k−1)) for x ≥ 10, up to B₁₄: the next term is
 * below 2^−54. The product, by far the largest term, is formed in two parts.
 */
function stirling(x: number): number {
  if (x > LARGEST) return Infinity;
  const log = logParts(x, 0);
  const factor = log - 1;
  const factorLow = log - (factor + 1) + LOW[0];
  if (x >= WHOLE_NUMBERS_ONLY) return x * factor + x * factorLow;

  const shifted = x - 0.5;
  const product = shifted * factor;
  const productLow = productRemainder(shifted, factor, product) + shifted * factorLow;
  const inverse = 1 / x;
  const v = inverse * inverse;
  const upper = 1 / 1188 - v * (691 / 360360 - v * (1 / 156));
  const series = inverse * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v * upper))));
  return product + (STIRLING_CONSTANT + (series + productLow));
}
