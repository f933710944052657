import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { ignoreIndexOption, labelFields } from "../classification/labels.js";
import type { BoundFields, CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";
import { textFields } from "./text-fields.js";

/** Options of {@link exactMatch}. */
export interface ExactMatchOptions {
  /** Positions of this label match whatever is predicted. Default −100. */
  readonly ignoreIndex: number;
}

/** Fields of {@link exactMatch}: sequences of tokens `[..., T]` beside labels, or texts beside references. */
export type ExactMatchFields = CommonFields &
  (
    | {
        readonly predictions: Tensor<"classIndices" | "predictions" | Unlabeled>;
        readonly labels: Tensor<"classIndices" | "targets" | Unlabeled>;
      }
    | { readonly predictions: readonly string[]; readonly references: readonly string[] }
  );

/**
 * The share of sequences that are right as a whole: Σ w [every token equal] / Σ w, or of texts that equal their
 * reference character by character (normalize case and spaces before, if they do not matter). A sequence of ignored
 * positions alone is right. NaN for no sequence.
 *
 * torchmetrics `multiclass_exact_match`.
 */
export const exactMatch = /*#__PURE__*/ defineMetric<
  ExactMatchFields,
  ExactMatchOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "exactMatch",
  documentation: {
    summary: "The share of sequences, or texts, that are right as a whole.",
    formula: "Σ w [prediction = reference] / Σ w",
    source: "torchmetrics multiclass_exact_match",
    goal: "maximize",
  },
  options: { ignoreIndex: ignoreIndexOption },
  fields: (_, given = {}) => {
    if (given.references !== undefined) return textFields;
    const { predictions, labels } = labelFields;
    const axes = ["...", "T"];
    return { ...textFields, predictions: { ...predictions, axes }, labels: { ...labels, axes } };
  },
  forms: () => [
    ["predictions", "labels"],
    ["predictions", "references"],
  ],
  state: onlySums,
  open: (fields, { sums }, { ignoreIndex }) => {
    const [matches, weights] = [sums.of("matches"), sums.of("weight")];
    const isMatch = fields.has("references") ? textsMatch(fields) : tokensMatch(fields, ignoreIndex);
    return (sample, weight) => {
      if (isMatch(sample)) matches.add(weight);
      weights.add(weight);
    };
  },
  compute: ({ sums }) => sums.value("matches") / sums.value("weight"),
});

function textsMatch(fields: BoundFields): (sample: number) => boolean {
  const [predictions, references] = [fields.texts("predictions"), fields.texts("references")];
  return (sample) => predictions[sample] === references[sample];
}

function tokensMatch(fields: BoundFields, ignoreIndex: number): (sample: number) => boolean {
  const length = fields.size("T");
  const raw = fields.raw("labels");
  const [prediction, label] = [fields.indices("predictions"), fields.indices("labels")];
  return (sample) => {
    let matches = true;
    for (let i = sample * length; i < (sample + 1) * length; i++) {
      // Every live label is read, so that a bad one is found whatever stands before it.
      if (raw(i) !== ignoreIndex && prediction(i) !== label(i)) matches = false;
    }
    return matches;
  };
}
