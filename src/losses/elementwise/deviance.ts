import { exp, expm1, log, log1p, pow } from "../../numerics/index.js";

/**
 * Unit deviance of a target y from a mean μ under the variance function μ^p (Tweedie's family).
 *   loss  = 2 ∫_μ^y (y − t) t^−p dt  =  2 (y^a/((1 − p) a) − y μ^(1−p)/(1 − p) + μ^a/a),   a = 2 − p
 *   d/dμ  = 2 μ^−p (μ − y)
 * p = 0 is the squared error, 1 Poisson: 2(y log(y/μ) − y + μ), 2 gamma: 2(log(μ/y) + y/μ − 1), 3 inverse Gaussian:
 * (y − μ)²/(μ² y).
 *
 * The terms cancel where y is close to μ, and their denominators vanish as p approaches 1 and 2. With L = log(y/μ) all
 * of it is 2 μ^a L² exp[0, aL, L], a divided difference of the exponential: one form, positive, without a hole.
 *
 * y = 0 (p < 2) costs 2 μ^a/a; a target below 0 (p < 1) lies outside the distribution, and y^a is then taken for 0 as
 * scikit-learn does. Jørgensen 1997, The Theory of Dispersion Models, 4.1.
 */
export function unitDeviance(target: number, mean: number, power: number): number {
  if (power === 0) return (target - mean) * (target - mean);
  const a = 2 - power;
  const scale = pow(mean, a);
  if (target <= 0) return 2 * scale * (1 / a + (target === 0 ? 0 : -target / mean / (1 - power)));
  // From the difference where y and μ are close: the quotient would round off what they differ by.
  const ratio = target / mean;
  const logRatio = ratio > 0.5 && ratio < 2 ? log1p((target - mean) / mean) : log(target) - log(mean);
  return scale * devianceOfRatio(logRatio, power);
}

/** The unit deviance of a target e^L from a mean of 1, from L. */
export function devianceOfRatio(logRatio: number, power: number): number {
  return 2 * logRatio * logRatio * expDifference((2 - power) * logRatio, logRatio);
}

/** d/dμ of the unit deviance. */
export function unitDevianceSlope(target: number, mean: number, power: number): number {
  return 2 * pow(mean, -power) * (mean - target);
}

/**
 * exp[0, x, y], the second divided difference of the exponential: 1/2 at x = y = 0, e^t/2 for some t between the least
 * and the largest of 0, x, y. It is symmetric, positive, and has no hole where arguments meet.
 *
 * Close together by the series Σ h_k(x, y)/(k + 2)!, h_k = Σ_i x^i y^(k−i); apart by the difference of first divided
 * differences over the widest gap, which then loses no more than a factor of 5.
 */
function expDifference(x: number, y: number): number {
  const low = Math.min(0, x, y);
  const high = Math.max(0, x, y);
  if (high - low < 1) {
    let powerOfX = 1;
    let symmetric = 1;
    let factorial = 2;
    let sum = 0.5;
    for (let k = 1; k < 18; k++) {
      powerOfX *= x;
      symmetric = symmetric * y + powerOfX;
      factorial *= k + 2;
      sum += symmetric / factorial;
    }
    return sum;
  }
  const middle = Math.max(Math.min(x, y), Math.min(Math.max(x, y), 0));
  return (expSlope(middle, high) - expSlope(low, middle)) / (high - low);
}

/** exp[low, high] = (e^high − e^low)/(high − low), e^high where both are one. */
function expSlope(low: number, high: number): number {
  const gap = high - low;
  return gap === 0 ? exp(high) : (exp(high) * -expm1(-gap)) / gap;
}
