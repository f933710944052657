import { flagOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import { type BinaryBatch, binaryFields } from "./fields.js";

/** Options of {@link hinge}. */
export interface HingeOptions {
  /** Squares the hinge. Default false. */
  readonly squared: boolean;
}

/** What a loss of signed targets reads, element by element. */
export interface HingeBatch extends Omit<BinaryBatch, "targets"> {
  /** In {0, 1} or in {−1, 1}: above 0 is +1, anything else −1. */
  readonly targets: Tensor<"targets" | Unlabeled>;
}

/**
 * Hinge loss of a score z and a target of sign s: a margin of 1 on the right side.
 *   h       = max(0, 1 − s z),   s = +1 where the target is above 0, −1 elsewhere
 *   loss    = h,           h² when squared
 *   d/dz    = −s where h > 0, 0 at the kink s z = 1 and beyond;     −2 s h when squared
 * Targets of {0, 1} and of {−1, 1} say the same. z = −∞ gives 0 against −1 and +∞ against +1; z = +∞ and NaN give NaN,
 * with a note. Cortes and Vapnik 1995; optax `hinge_loss`.
 */
export const hinge = /*#__PURE__*/ defineLoss<HingeOptions, HingeBatch, "logits">({
  name: "hinge",
  family: "binary",
  unit: "element",
  unitShape: ["..."],
  documentation: {
    summary: "Nothing beyond a margin of 1 on the right side, a straight line before it.",
    formula: "max(0, 1 − s z), or its square;  s = +1 where the target is above 0, else −1",
    gradient: "d/dz = −s where s z < 1, else 0;  −2 s max(0, 1 − s z) when squared",
    likelihood: { target: "binary label", distribution: "none: a margin, no probability" },
    pitfalls: [
      "Scores are no logits: a sigmoid of them is no probability, calibrate with plattScaling.",
      "Soft targets do not exist here: 0.3 counts as +1.",
      "Right answers beyond the margin have no gradient at all.",
    ],
    metric: "accuracy, auroc",
    source: "optax hinge_loss",
  },
  options: { squared: flagOption("squares the hinge", false) },
  fields: {
    logits: { ...binaryFields.logits, meaning: "raw scores, whose sign decides" },
    targets: {
      ...binaryFields.targets,
      meaning: "0 or 1, or −1 or 1: above 0 is the positive side",
      domain: "finite",
      roles: ["targets"],
    },
  },
  describe: ({ squared }) =>
    `${squared ? "squared " : ""}hinge loss of each element at margin 1, targets above 0 as +1 and all others as −1`,
  open({ options: { squared } }, { rows, own }) {
    const [logits, targets] = [rows.logits!, rows.targets!];
    const sign = () => (targets[0]! > 0 ? 1 : -1);
    const excess = () => (logits[0]! < Number.POSITIVE_INFINITY ? Math.max(0, 1 - sign() * logits[0]!) : Number.NaN);
    return {
      loss: () => (squared ? excess() * excess() : excess()),
      gradient() {
        const h = excess();
        own.logits![0] = h > 0 ? -sign() * (squared ? 2 * h : 1) : h;
      },
    };
  },
});
