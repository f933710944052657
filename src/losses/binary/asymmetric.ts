import { numberOption } from "../../contract/index.js";
import { log, log1p, log1pExp, pow, sigmoid } from "../../numerics/index.js";
import { defineLoss } from "../define-loss.js";
import { type BinaryBatch, binaryFields } from "./fields.js";

/** Options of {@link asymmetric}. */
export interface AsymmetricOptions {
  /** γ₊ ≥ 0: how strongly easy positives are turned down. Default 0. */
  readonly gammaPositive: number;
  /** γ₋ ≥ 0: how strongly easy negatives are turned down. Default 4. */
  readonly gammaNegative: number;
  /** c in [0, 1): negatives with p below it are left out altogether. Default 0.05. */
  readonly clip: number;
}

/**
 * Asymmetric loss of a logit z and a target y in [0, 1], with p = σ(z): focal on each side, negatives shifted.
 *   loss    = y (1 − p)^γ₊ (−log p) + (1 − y) s^γ₋ (−log(1 − s)),   s = max(p − c, 0)
 *   d/dz    = −y (1 − p)^γ₊ (1 − p + γ₊ p (−log p))
 *             + (1 − y) p s^γ₋ (γ₋ (1 − p)(−log(1 − s)) / s + (1 − p)/(1 − s))     where p > c, 0 up to c
 * The gradient goes through both modulations. All zeros are binary cross entropy. 1 − s is formed as (1 − p) + c, and for
 * c = 0 the logarithm as log(1 + e^z): z = ±1e4 is exact. z = −∞ gives 0 against y = 0 and +∞ otherwise; z = +∞ and NaN
 * give NaN, with a note. Ridnik et al. 2021, eq. 4 to 6 (first public as Ben-Baruch et al. 2020).
 */
export const asymmetric = /*#__PURE__*/ defineLoss<AsymmetricOptions, BinaryBatch, "logits">({
  name: "asymmetric",
  family: "binary",
  unit: "element",
  unitShape: ["..."],
  documentation: {
    summary: "Multi-label focal loss with a power for each side, and easy negatives cut off.",
    formula: "y (1 − p)^γ₊ (−log p) + (1 − y) s^γ₋ (−log(1 − s)),  s = max(p − clip, 0)",
    gradient:
      "d/dz = −y (1 − p)^γ₊ (1 − p + γ₊ p (−log p)) + (1 − y) p s^γ₋ (γ₋ (1 − p)(−log(1 − s))/s + (1 − p)/(1 − s)), the second term 0 where p ≤ clip",
    likelihood: {
      target: "multi-label, many negatives for each positive",
      distribution: "none: a reweighted Bernoulli log-likelihood, cut off for easy negatives",
    },
    pitfalls: [
      "The published code can detach the modulation (disable_torch_grad_focal_loss); here the gradient goes through it.",
      "Negatives with p below clip have no gradient: a negative that is learned is not pushed further.",
      "It is a sum over labels in the original code; here a mean over elements unless divideBy says otherwise.",
      "σ(z) is no probability afterwards: tune a threshold, or calibrate.",
    ],
    metric: "averagePrecision, macro",
    source: "Ridnik et al. 2021 (ASL), eq. 4 to 6",
  },
  options: {
    gammaPositive: numberOption("how strongly easy positives are turned down", 0, { atLeast: 0 }),
    gammaNegative: numberOption("how strongly easy negatives are turned down", 4, { atLeast: 0 }),
    clip: numberOption("negatives with p below it are left out", 0.05, { atLeast: 0, below: 1 }),
  },
  fields: binaryFields,
  describe: ({ gammaPositive, gammaNegative, clip }) =>
    `asymmetric loss of each element, gamma ${gammaPositive} on positives and ${gammaNegative} on negatives, negatives shifted by ${clip}, the gradient through the modulation`,
  open({ options }, { rows, own }) {
    const [logits, targets] = [rows.logits!, rows.targets!];
    return {
      loss() {
        const [z, y] = [logits[0]!, targets[0]!];
        if (!(z < Number.POSITIVE_INFINITY)) return Number.NaN;
        return (y === 0 ? 0 : y * positiveLoss(z, options)) + (y === 1 ? 0 : (1 - y) * negativeLoss(z, options));
      },
      gradient() {
        const [z, y] = [logits[0]!, targets[0]!];
        own.logits![0] =
          z < Number.POSITIVE_INFINITY
            ? y * positiveSlope(z, options) + (1 - y) * negativeSlope(z, options)
            : Number.NaN;
      },
    };
  },
});

/** (1 − p)^γ₊ (−log p). */
function positiveLoss(z: number, { gammaPositive }: AsymmetricOptions): number {
  return pow(sigmoid(-z), gammaPositive) * log1pExp(-z);
}

function positiveSlope(z: number, { gammaPositive }: AsymmetricOptions): number {
  const [p, complement] = [sigmoid(z), sigmoid(-z)];
  const through = p === 0 ? 0 : gammaPositive * p * log1pExp(-z);
  return -pow(complement, gammaPositive) * (complement + through);
}

/** s^γ₋ (−log(1 − s)). */
function negativeLoss(z: number, options: AsymmetricOptions): number {
  const shifted = Math.max(sigmoid(z) - options.clip, 0);
  return pow(shifted, options.gammaNegative) * surprise(z, shifted, options.clip);
}

function negativeSlope(z: number, { gammaNegative, clip }: AsymmetricOptions): number {
  const [p, complement] = [sigmoid(z), sigmoid(-z)];
  const shifted = p - clip;
  if (!(shifted > 0)) return 0;
  const share = clip === 0 ? 1 : complement / (complement + clip);
  const through = (gammaNegative * complement * surprise(z, shifted, clip)) / shifted;
  return p * pow(shifted, gammaNegative) * (through + share);
}

/** −log(1 − s): from s where it is small, from 1 − s = (1 − p) + c where that is; from z where nothing is cut off. */
function surprise(z: number, shifted: number, clip: number): number {
  if (clip === 0) return log1pExp(z);
  return shifted < 0.5 ? -log1p(-shifted) : -log(sigmoid(-z) + clip);
}
