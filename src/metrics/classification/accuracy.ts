import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BoundFields, CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";
import { ignoreIndexOption, labelFields, labelFlagFields, scoreFields } from "./labels.js";
import { rankOf } from "./top-k.js";

/** Options of {@link accuracy}. */
export interface AccuracyOptions {
  /** A label among the k highest scores is right; null for hard predictions, or the highest score alone. */
  readonly topK: number | null;
  /** `"subset"`: a sample of `[N, K]` flags is right where every flag is; `"elements"`: each flag is a sample. */
  readonly multilabel: "subset" | "elements" | null;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

/** Fields of {@link accuracy}: predicted classes or scores, `[...]` or `[..., K]`, beside labels. */
export type AccuracyFields = CommonFields & {
  readonly labels: Tensor<"classIndices" | "targets" | "mask" | Unlabeled>;
} & (
    | { readonly predictions: Tensor<"classIndices" | "predictions" | "mask" | Unlabeled> }
    | { readonly scores: Tensor<"scores" | "logits" | "probabilities" | "logProbabilities" | Unlabeled> }
  );

/**
 * The share of samples whose prediction is right, by weight: Σ w [ŷ = y] / Σ w. With scores `[..., K]` the prediction
 * is the highest one; with `topK` a label among the k highest is right. Of two equal scores the higher index ranks
 * first (scikit-learn). NaN for no sample.
 *
 * scikit-learn `accuracy_score`, `top_k_accuracy_score`.
 */
export const accuracy = /*#__PURE__*/ defineMetric<
  AccuracyFields,
  AccuracyOptions,
  ReturnType<typeof onlySums>,
  number
>({
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
    const right = multilabel === "subset" ? subsetIsRight(fields) : isRight(fields, topK ?? 1);
    const [correct, weights] = [sums.of("correct"), sums.of("weight")];
    return (sample, weight) => {
      weights.add(weight);
      if (right(sample)) correct.add(weight);
    };
  },
  compute: ({ sums }) => sums.value("correct") / sums.value("weight"),
});

/** Whether a sample's label is its prediction, or among its k highest scores. */
function isRight(fields: BoundFields, topK: number): (sample: number) => boolean {
  if (fields.has("scores")) {
    const classes = fields.size("K");
    const label = fields.indices("labels", classes);
    const rank = rankOf(fields.reals("scores"), classes);
    return (sample) => rank(sample, label(sample)) < topK;
  }
  const [label, prediction] = [fields.indices("labels"), fields.indices("predictions")];
  return (sample) => label(sample) === prediction(sample);
}

/** Whether every flag of a row is right. */
function subsetIsRight(fields: BoundFields): (sample: number) => boolean {
  const length = fields.size("K");
  const [label, prediction] = [fields.flags("labels"), fields.flags("predictions")];
  return (sample) => {
    let right = true;
    // Every flag is read, so that a bad one is found whatever stands before it.
    for (let i = sample * length; i < (sample + 1) * length; i++) if (label(i) !== prediction(i)) right = false;
    return right;
  };
}
