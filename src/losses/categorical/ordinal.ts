import { choiceOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { formatShape, placeOf } from "../../tensor/index.js";
import { bernoulliLoss, bernoulliSlope } from "../binary/bernoulli.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView } from "../definition.js";
import {
  alignmentOf,
  categoricalFields,
  describeLabels,
  ignoredLabels,
  type LabelBatch,
  type LabelOptions,
  labelOptions,
} from "./labels.js";

/** Options of {@link ordinal}. */
export interface OrdinalOptions extends LabelOptions {
  /** How order becomes binary questions: `"coral"`, one logit a threshold. */
  readonly kind: "coral";
}

/**
 * Ordinal loss of a label y among K ordered classes: K − 1 binary questions "is it above class j?".
 *   loss     = Σ_{j<K−1} log(1 + e^{∓z_j}),   − where y > j, + elsewhere
 *   d/dz_j   = σ(z_j) − 1[y > j]
 * The logits are of the thresholds, `[..., K − 1]`, for labels 0..K − 1; a unit is the sum over its thresholds. The
 * predicted class is the number of z_j > 0. Ranks cannot contradict each other when the logits share one score and
 * differ by biases alone (CORAL); free logits are trained by the same sum and may.
 * z_j = −∞ gives 0 where y ≤ j and +∞ elsewhere; NaN and +∞ give NaN, with a note. Cao et al. 2020, eq. 4, without
 * importance weights.
 */
export const ordinal = /*#__PURE__*/ defineLoss<OrdinalOptions, LabelBatch, "logits">({
  name: "ordinal",
  family: "categorical",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "Binary cross entropies of the questions whether the class lies above each threshold, summed.",
    formula: "Σ_{j<K−1} log(1 + e^−z_j) where y > j,  log(1 + e^z_j) elsewhere",
    gradient: "d/dz_j = σ(z_j) − 1[y > j]",
    likelihood: {
      target: "ordered class (a rating, a grade)",
      distribution: "independent Bernoullis of y > j: a composite likelihood, since the questions depend on each other",
    },
    pitfalls: [
      "K classes need K − 1 logits; a head with K learns a threshold that no label reaches.",
      "Only logits of one shared score and K − 1 biases give ranks that never contradict each other.",
      "The unit is a sum over thresholds: it grows with the number of classes.",
    ],
    metric: "meanAbsoluteError of the rank, cohenKappa",
    source: "Cao et al. 2020 (CORAL), eq. 4",
  },
  options: {
    ...labelOptions,
    kind: choiceOption<"coral">("how order becomes binary questions: one logit a threshold", "coral", ["coral"]),
  },
  fields: {
    logits: {
      ...categoricalFields.logits,
      meaning: "raw scores of the K − 1 questions whether the class lies above each threshold",
      shape: ["...", "K-1"],
    },
    labels: {
      meaning: "the rank of each unit, 0..K−1",
      holds: "indices",
      roles: ["classIndices"],
      shape: ["..."],
      read: "label",
      gradient: "none",
    },
  },
  alignment: alignmentOf,
  describe: (options) =>
    `ordinal loss (CORAL: binary cross entropies summed over the thresholds) of ${describeLabels(options)}`,
  units: (batch) => ignoredLabels(batch),
  open(batch, { rows, own }) {
    const rank = rankOf(batch);
    const logits = rows.logits!;
    return {
      loss(unit) {
        const y = rank(unit);
        let sum = 0;
        for (let j = 0; j < logits.length; j++) sum += bernoulliLoss(logits[j]!, Number(y > j), Number(y <= j));
        return sum;
      },
      gradient(unit) {
        const y = rank(unit);
        for (let j = 0; j < logits.length; j++) {
          own.logits![j] = bernoulliSlope(logits[j]!, Number(y > j), Number(y <= j));
        }
      },
    };
  },
});

/** The rank of a unit that counts. @throws `value` outside 0..K−1, one more than there are thresholds */
function rankOf(batch: BatchView<OrdinalOptions>): (unit: number) => number {
  const label = batch.integer("labels");
  const thresholds = batch.sizes["K-1"]!;
  return (unit) => {
    const found = label(unit);
    if (found >= 0 && found <= thresholds && Number.isInteger(found)) return found;
    const index = placeOf(unit, batch.unitShape);
    throw new LosswrightError({
      code: "value",
      where: batch.where,
      field: "labels",
      found: `${found} at ${formatShape(index)}`,
      expected: `a rank in 0..${thresholds}, one class more than thresholds, or ignoreIndex ${batch.options.ignoreIndex}`,
      fix: "K ordered classes need K − 1 logits, and ranks count from 0.",
      index,
    });
  };
}
