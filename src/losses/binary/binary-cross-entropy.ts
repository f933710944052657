import { eitherOption, nullableOption, numberOption, numbersOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { formatShape } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView } from "../definition.js";
import { pointwiseKernel } from "../pointwise-kernel.js";
import { bernoulliLoss, bernoulliSlope } from "./bernoulli.js";
import { type BinaryBatch, binaryFields } from "./fields.js";

/** Options of {@link binaryCrossEntropy}. */
export interface BinaryCrossEntropyOptions {
  /** Factor on the positive term, one for all or one an entry of the last axis; never in the denominator. */
  readonly posWeight: number | readonly number[] | null;
  /** ε in [0, 1): targets become y(1 − ε) + ε/2, before `posWeight`. Default 0. */
  readonly labelSmoothing: number;
}

/**
 * Binary cross entropy of a logit z and a target y in [0, 1], with the positive term weighted by c.
 *   loss    = c y log(1 + e^−z) + (1 − y) log(1 + e^z)
 *   d/dz    = −c y σ(−z) + (1 − y) σ(z),   which is σ(z) − y for c = 1
 * Both terms are positive and each is computed as max(±z, 0) + log1p(e^−|z|), so nothing cancels: z = −40 with y = 0
 * keeps its 4e-18. z = −∞ gives 0 against y = 0 and +∞ otherwise; z = +∞ and NaN give NaN, with a note.
 * Each element is a Bernoulli of its own, so several labels may be true at once.
 * torch `binary_cross_entropy_with_logits`.
 */
export const binaryCrossEntropy = /*#__PURE__*/ defineLoss<BinaryCrossEntropyOptions, BinaryBatch, "logits">({
  name: "binaryCrossEntropy",
  family: "binary",
  unit: "element",
  unitShape: ["..."],
  documentation: {
    summary: "The negative log-likelihood of independent yes-or-no labels, from logits.",
    formula: "c·y·log(1 + e^−z) + (1 − y)·log(1 + e^z)",
    gradient: "d/dz = −c·y·σ(−z) + (1 − y)·σ(z);  σ(z) − y without posWeight",
    likelihood: { target: "binary label, multi-label", distribution: "Bernoulli, independent for each label" },
    pitfalls: [
      "Takes logits: a sigmoid before it loses stability and squares up a second time.",
      "For labels that exclude each other use crossEntropy; softmax over labels that do not forces false competition.",
      "posWeight changes the objective: σ(z) is no longer the probability until undoPosWeight or a calibration brings it back.",
    ],
    metric: "averagePrecision, f1 at a tuned threshold, expectedCalibrationError",
    source: "torch binary_cross_entropy_with_logits",
  },
  options: {
    posWeight: eitherOption(
      nullableOption(
        numberOption(
          "factor on the positive term, one or one an entry of the last axis, about negatives / positives",
          1,
          {
            atLeast: 0,
          },
        ),
      ),
      numbersOption("", { atLeast: 0 }),
    ),
    labelSmoothing: numberOption("pulls targets towards 1/2: y(1 − ε) + ε/2", 0, { atLeast: 0, below: 1 }),
  },
  fields: binaryFields,
  describe: ({ posWeight, labelSmoothing }) =>
    [
      "binary cross entropy of each element",
      posWeight !== null && `the positive term times ${JSON.stringify(posWeight)} (not in the denominator)`,
      labelSmoothing > 0 && `targets smoothed by ${labelSmoothing}`,
    ]
      .filter(Boolean)
      .join(", "),
  units(batch) {
    checkPosWeight(batch);
    return {};
  },
  open(batch, { rows, own }) {
    const { posWeight, labelSmoothing } = batch.options;
    const last = batch.unitShape.at(-1) ?? 1;
    const weightOf =
      typeof posWeight === "number" ? () => posWeight : posWeight ? (unit: number) => posWeight[unit % last]! : () => 1;
    const [logits, targets] = [rows.logits!, rows.targets!];
    const smoothed = () => targets[0]! * (1 - labelSmoothing) + labelSmoothing / 2;
    return {
      loss(unit) {
        const y = smoothed();
        return bernoulliLoss(logits[0]!, weightOf(unit) * y, 1 - y);
      },
      gradient(unit) {
        const y = smoothed();
        own.logits![0] = bernoulliSlope(logits[0]!, weightOf(unit) * y, 1 - y);
      },
    };
  },
  kernel: ({ options: { posWeight, labelSmoothing } }) =>
    pointwiseKernel({
      kernel: "binaryCrossEntropy",
      inputs: ["logits", "targets"],
      outputs: ["logits"],
      parameters: [0, labelSmoothing],
      nanoseconds: 4,
      ...(posWeight !== null && { perEntry: typeof posWeight === "number" ? [posWeight] : posWeight }),
    }),
});

/** @throws `option` for a list of another length than the last axis */
function checkPosWeight({ where, options: { posWeight }, unitShape }: BatchView<BinaryCrossEntropyOptions>): void {
  const last = unitShape.at(-1) ?? 1;
  if (posWeight === null || typeof posWeight === "number" || posWeight.length === last) return;
  throw new LosswrightError({
    code: "option",
    where,
    field: "posWeight",
    found: `${posWeight.length} weights for logits ${formatShape(unitShape)}`,
    expected: `one number, or ${last}, one an entry of the last axis`,
  });
}
