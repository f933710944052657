/**
 * Gradients by differences of the value, for comparison with those an objective gives.
 *
 * The five-point stencil (−f(x+2h) + 8f(x+h) − 8f(x−h) + f(x−2h)) / 12h has an error of h⁴ f⁗′/30, so h can be large
 * enough that the rounding of f, about ε|f|/h, stays below 1e-10. Where a kink lies within 2h of the point the two
 * one-sided derivatives differ, and the point is skipped: no derivative is there to compare with.
 */
const h = 2 ** -15;

export interface Slope {
  readonly slope: number;
  /** How far rounding alone may have moved the slope. */
  readonly noise: number;
  /** How much the slope to the right and to the left differ. */
  readonly kink: number;
}

/** The derivative of `value` at a point, with what is known of its error. */
export function slopeAt(value: (x: number) => number, x: number): Slope {
  const [center, right, left] = [value(x), value(x + h), value(x - h)];
  const [farRight, farLeft] = [value(x + 2 * h), value(x - 2 * h)];
  const forward = (4 * right - farRight - 3 * center) / (2 * h);
  const backward = (3 * center - 4 * left + farLeft) / (2 * h);
  return {
    slope: (8 * (right - left) - (farRight - farLeft)) / (12 * h),
    noise: (16 * Number.EPSILON * Math.abs(center)) / h,
    kink: Math.abs(forward - backward),
  };
}
