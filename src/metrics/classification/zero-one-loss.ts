import { flagOption } from "../../contract/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import { confusionFields, confusionForms } from "./confusion.js";
import { isRight, subsetIsRight } from "./is-right.js";
import { ignoreIndexOption, labelFlagFields } from "./labels.js";

/** Options of {@link zeroOneLoss}. */
export interface ZeroOneLossOptions {
  /** Whether the share of wrong samples is wanted (default), or their weight. */
  readonly normalize: boolean;
  /** Samples are `[N, K]` flags, wrong where one flag is. */
  readonly multilabel: boolean;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

/**
 * The share of samples that are wrong, 1 − accuracy, or their weight. NaN for no sample.
 *
 * scikit-learn `zero_one_loss`.
 */
export const zeroOneLoss = /*#__PURE__*/ defineMetric<
  ClassFields,
  ZeroOneLossOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "zeroOneLoss",
  documentation: {
    summary: "The share of samples that are wrong.",
    formula: "Σ w [prediction ≠ label] / Σ w",
    source: "scikit-learn zero_one_loss",
    goal: "minimize",
  },
  options: {
    normalize: flagOption("whether the share is wanted, not the weight", true),
    multilabel: flagOption("samples are [N, K] flags, wrong where one flag is", false),
    ignoreIndex: ignoreIndexOption,
  },
  fields: ({ multilabel }) => (multilabel ? labelFlagFields(["...", "K"]) : confusionFields()),
  forms: ({ multilabel }) => (multilabel ? [["predictions", "labels"]] : confusionForms()),
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { multilabel }) => {
    const right = multilabel ? subsetIsRight(fields) : isRight(fields, null);
    const [wrong, weights] = [sums.of("wrong"), sums.of("weight")];
    return (sample, weight) => {
      weights.add(weight);
      if (!right(sample)) wrong.add(weight);
    };
  },
  compute: ({ sums }, { normalize }) => (normalize ? sums.value("wrong") / sums.value("weight") : sums.value("wrong")),
});
