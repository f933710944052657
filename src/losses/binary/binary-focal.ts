import { nullableOption, numberOption } from "../../contract/index.js";
import { pow, sigmoid } from "../../numerics/index.js";
import { defineLoss } from "../define-loss.js";
import { pointwiseKernel } from "../pointwise-kernel.js";
import { bernoulliLoss, bernoulliSlope } from "./bernoulli.js";
import { type BinaryBatch, binaryFields } from "./fields.js";

/** Options of {@link binaryFocal}. */
export interface BinaryFocalOptions {
  /** α in [0, 1]: factor α on positives, 1 − α on negatives; null for none. Never divides. Default 0.25. */
  readonly alpha: number | null;
  /** γ ≥ 0: how strongly easy elements are turned down; 0 is binary cross entropy. Default 2. */
  readonly gamma: number;
}

/**
 * Focal loss of a logit z and a target y in [0, 1], with p = σ(z).
 *   loss    = a m^γ ℓ,   m = p (1 − y) + (1 − p) y,   a = α y + (1 − α)(1 − y),   ℓ the binary cross entropy
 *   d/dz    = a m^γ (dℓ/dz + γ (dm/dz) ℓ / m),   dm/dz = p (1 − p)(1 − 2y),   dℓ/dz = p − y
 * m is the probability of being wrong: 1 − p for a positive, p for a negative. It is formed without a difference, so
 * that an easy element of loss 1e-30 keeps its digits. The gradient goes through m^γ.
 * m → 0 gives 0 with gradient 0 for every γ > 0, also below 1. z = −∞ gives 0 against y = 0 and +∞ otherwise; z = +∞ and
 * NaN give NaN, with a note. Lin et al. 2017, eq. 5; torchvision `sigmoid_focal_loss`, soft targets as there.
 */
export const binaryFocal = /*#__PURE__*/ defineLoss<BinaryFocalOptions, BinaryBatch, "logits">({
  name: "binaryFocal",
  family: "binary",
  unit: "element",
  unitShape: ["..."],
  documentation: {
    summary: "Binary cross entropy with easy elements turned down by (1 − p_t)^gamma.",
    formula: "a (1 − p_t)^γ ℓ,  p_t = p y + (1 − p)(1 − y),  a = α y + (1 − α)(1 − y),  ℓ = binaryCrossEntropy",
    gradient: "d/dz = a m^γ ((p − y) + γ p (1 − p)(1 − 2y) ℓ / m),  m = 1 − p_t",
    likelihood: {
      target: "binary label, positives rare (detection)",
      distribution: "none: a reweighted Bernoulli log-likelihood, whose least loss is not at the true probability",
    },
    pitfalls: [
      "alpha 0.25 turns positives down: it is tuned together with gamma 2, and alone goes the other way than posWeight.",
      "Detection divides the sum by the number of positives, not of elements: divideBy: { constant } with that number.",
      "σ(z) is too modest afterwards: calibrate before it is read as a probability.",
    ],
    metric: "averagePrecision",
    source: "Lin et al. 2017, eq. 5; torchvision sigmoid_focal_loss",
  },
  options: {
    alpha: {
      ...nullableOption(
        numberOption("factor alpha on positives and 1 − alpha on negatives; it never divides", 0, {
          atLeast: 0,
          atMost: 1,
        }),
      ),
      fallback: 0.25,
    },
    gamma: numberOption("how strongly easy elements are turned down; 0 is binary cross entropy", 2, { atLeast: 0 }),
  },
  fields: binaryFields,
  describe: ({ alpha, gamma }) =>
    [
      `binary focal loss of each element, gamma ${gamma}, the gradient through the factor (1 − p_t)^gamma`,
      alpha !== null && `positives times ${alpha} and negatives times 1 − ${alpha} (not in the denominator)`,
    ]
      .filter(Boolean)
      .join(", "),
  open({ options: { alpha, gamma } }, { rows, own }) {
    const [logits, targets] = [rows.logits!, rows.targets!];
    const scale = (y: number) => (alpha === null ? 1 : alpha * y + (1 - alpha) * (1 - y));
    const wrong = (z: number, y: number) => sigmoid(z) * (1 - y) + sigmoid(-z) * y;
    return {
      loss() {
        const [z, y] = [logits[0]!, targets[0]!];
        const likelihood = bernoulliLoss(z, y, 1 - y);
        const factor = scale(y) * pow(wrong(z, y), gamma);
        // A weight of 0 silences an infinite loss, but hides no NaN.
        return factor === 0 && likelihood === Number.POSITIVE_INFINITY ? 0 : factor * likelihood;
      },
      gradient() {
        const [z, y] = [logits[0]!, targets[0]!];
        const mass = wrong(z, y);
        const turn = sigmoid(z) * sigmoid(-z) * (1 - 2 * y);
        // Where dm/dz is 0 its part is too: ℓ grows like |z|, dm/dz falls like e^−|z|.
        const through = turn === 0 ? 0 : (gamma * turn * bernoulliLoss(z, y, 1 - y)) / mass;
        own.logits![0] = scale(y) * pow(mass, gamma) * (bernoulliSlope(z, y, 1 - y) + through);
      },
    };
  },
  kernel: ({ options: { alpha, gamma } }) =>
    pointwiseKernel({
      kernel: gamma === 1 || gamma === 2 ? "binaryFocal" : "binaryFocalOfAnyPower",
      inputs: ["logits", "targets"],
      outputs: ["logits"],
      parameters: [alpha ?? 1, alpha === null ? 1 : 1 - alpha, gamma],
      nanoseconds: 5,
    }),
});
