import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import { isRight, subsetIsRight } from "./is-right.js";
import { ignoreIndexOption, labelFields, labelFlagFields, scoreFields } from "./labels.js";

/** Options of {@link accuracy}. */
export interface AccuracyOptions {
  /** A label among the k highest scores is right; null for hard predictions, or the highest score alone. */
  readonly topK: number | null;
  /** `"subset"`: a sample of `[N, K]` flags is right where every flag is; `"elements"`: each flag is a sample. */
  readonly multilabel: "subset" | "elements" | null;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

/**
 * The share of samples whose prediction is right, by weight: Σ w [ŷ = y] / Σ w. With scores `[..., K]` the prediction
 * is the highest one, of equal ones the first, as argmax has it; with `topK` a label among the k highest is right, where of
 * equal scores the higher index ranks first (scikit-learn). NaN for no sample.
 *
 * scikit-learn `accuracy_score`, `top_k_accuracy_score`.
 */
export const accuracy = /*#__PURE__*/ defineMetric<ClassFields, AccuracyOptions, ReturnType<typeof onlySums>, number>({
  name: "accuracy",
  documentation: {
    summary: "The share of samples whose prediction is right.",
    formula: "Σ w [prediction = label] / Σ w",
    source: "scikit-learn accuracy_score, top_k_accuracy_score",
    goal: "maximize",
  },
  options: {
    topK: nullableOption(numberOption("a label among the k highest scores is right", 1, { integer: true, atLeast: 1 })),
    multilabel: nullableOption(
      choiceOption("samples are [N, K] flags, right as a whole or one by one", "subset", ["subset", "elements"]),
    ),
    ignoreIndex: ignoreIndexOption,
  },
  fields: ({ multilabel }) =>
    multilabel === "subset"
      ? labelFlagFields(["...", "K"])
      : multilabel
        ? labelFlagFields(["..."])
        : { ...labelFields, ...scoreFields },
  forms: ({ multilabel, topK }) => {
    if (multilabel) return [["predictions", "labels"]];
    return topK === null
      ? [
          ["predictions", "labels"],
          ["scores", "labels"],
        ]
      : [["scores", "labels"]];
  },
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { multilabel, topK }) => {
    const right = multilabel === "subset" ? subsetIsRight(fields) : isRight(fields, topK);
    const [correct, weights] = [sums.of("correct"), sums.of("weight")];
    return (sample, weight) => {
      weights.add(weight);
      if (right(sample)) correct.add(weight);
    };
  },
  compute: ({ sums }) => sums.value("correct") / sums.value("weight"),
});
