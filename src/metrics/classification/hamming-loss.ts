import { flagOption } from "../../contract/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import { confusionFields, confusionForms } from "./confusion.js";
import { ignoreIndexOption, labelFlagFields } from "./labels.js";
import { labelClass, predictedClass } from "./predicted-class.js";

/** Options of {@link hammingLoss}. */
export interface HammingLossOptions {
  /** Samples are `[N, K]` flags of labels that are each there or not. */
  readonly multilabel: boolean;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

/**
 * The share of labels that are wrong: Σ w wrong / (K Σ w) of `[N, K]` flags; of classes the share of samples that are.
 * NaN for no sample.
 *
 * scikit-learn `hamming_loss`.
 */
export const hammingLoss = /*#__PURE__*/ defineMetric<
  ClassFields,
  HammingLossOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "hammingLoss",
  documentation: {
    summary: "The share of labels that are wrong.",
    formula: "Σ w wrong / (K Σ w)",
    source: "scikit-learn hamming_loss",
    goal: "minimize",
  },
  options: {
    multilabel: flagOption("samples are [N, K] flags of labels that are each there or not", false),
    ignoreIndex: ignoreIndexOption,
  },
  fields: ({ multilabel }) => (multilabel ? labelFlagFields(["...", "K"]) : confusionFields()),
  forms: ({ multilabel }) => (multilabel ? [["predictions", "labels"]] : confusionForms()),
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { multilabel }) => {
    const [wrong, all] = [sums.of("wrong"), sums.of("all")];
    if (!multilabel) {
      const [label, prediction] = [labelClass(fields, null), predictedClass(fields, null)];
      return (sample, weight) => {
        if (label(sample) !== prediction(sample)) wrong.add(weight);
        all.add(weight);
      };
    }
    const length = fields.size("K");
    const [label, prediction] = [fields.flags("labels"), fields.flags("predictions")];
    return (sample, weight) => {
      for (let i = sample * length; i < (sample + 1) * length; i++) {
        if (label(i) !== prediction(i)) wrong.add(weight);
        all.add(weight);
      }
    };
  },
  compute: ({ sums }) => sums.value("wrong") / sums.value("all"),
});
