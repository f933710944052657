import { log, log1p } from "../../numerics/index.js";

/** From here on 1 + w² is w² to half an ulp. */
export const SQUARE_ALONE = 1e8;

/** log(1 + w²) for w ≥ 0, also where w² overflows: the logarithm of heavy tails. log1pSquare(+∞) = +∞. */
export function log1pSquare(w: number): number {
  return w > SQUARE_ALONE ? 2 * log(w) : log1p(w * w);
}
