import { flagOption } from "../../contract/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import {
  type ConfusionOptions,
  confusionFields,
  confusionForms,
  confusionOptions,
  openConfusion,
  readConfusion,
} from "./confusion.js";

/** Options of {@link balancedAccuracy}. */
export interface BalancedAccuracyOptions extends ConfusionOptions {
  /** Whether guessing is to be 0: (score − 1/K) / (1 − 1/K), with K classes among the labels. Default false. */
  readonly adjusted: boolean;
}

/**
 * The mean recall of the classes that occur in the labels: what accuracy would be if they were equally frequent. NaN
 * for no sample; adjusted, NaN for one class.
 *
 * Brodersen et al. 2010; scikit-learn `balanced_accuracy_score`.
 */
export const balancedAccuracy = /*#__PURE__*/ defineMetric<
  ClassFields,
  BalancedAccuracyOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "balancedAccuracy",
  documentation: {
    summary: "The mean recall of the classes that occur in the labels.",
    formula: "Σ_k (right_k / actual_k) / K",
    source: "Brodersen et al. 2010; scikit-learn balanced_accuracy_score",
    goal: "maximize",
  },
  options: { ...confusionOptions, adjusted: flagOption("whether guessing is to be 0", false) },
  fields: confusionFields,
  forms: confusionForms,
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { classes }) => openConfusion("balancedAccuracy", fields, sums, classes),
  compute: ({ sums }, { classes, adjusted }) => {
    const { actual, right } = readConfusion(sums, classes);
    const recalls = actual.flatMap((sum, k) => (sum.value === 0 ? [] : [right[k]!.value / sum.value]));
    const score = recalls.reduce((total, value) => total + value, 0) / recalls.length;
    const chance = 1 / recalls.length;
    return adjusted ? (score - chance) / (1 - chance) : score;
  },
});
