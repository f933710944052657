import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { ignoreIndexOption, labelFields } from "../classification/labels.js";
import type { BoundFields, CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";
import { type TokenScores, tokenFields } from "./token-fields.js";

/** Options of {@link tokenAccuracy}. */
export interface TokenAccuracyOptions {
  /** A label that takes its position out. Default −100. */
  readonly ignoreIndex: number;
}

/** Fields of {@link tokenAccuracy}: logits or predicted tokens, beside labels that are already shifted. */
export type TokenAccuracyFields = CommonFields &
  (
    | TokenScores
    | (Pick<TokenScores, "labels"> & { readonly predictions: Tensor<"classIndices" | "predictions" | Unlabeled> })
  );

/**
 * The share of tokens that greedy decoding predicts right under teacher forcing: Σ w [argmax = y] / Σ w. Of equal logits
 * the lowest index is the prediction, as `argmax` decodes. A padded position must be ignored or masked, or it counts.
 * NaN for no token.
 *
 * torchmetrics `multiclass_accuracy(average="micro", ignore_index)`.
 */
export const tokenAccuracy = /*#__PURE__*/ defineMetric<
  TokenAccuracyFields,
  TokenAccuracyOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "tokenAccuracy",
  documentation: {
    summary: "The share of tokens whose highest logit is the label's.",
    formula: "Σ w [argmax logits = label] / Σ w",
    source: "torchmetrics multiclass_accuracy, micro, with ignore_index",
    goal: "maximize",
  },
  options: { ignoreIndex: ignoreIndexOption },
  fields: () => ({ ...labelFields, ...tokenFields }),
  forms: () => [
    ["logits", "labels"],
    ["predictions", "labels"],
  ],
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }) => {
    const [correct, tokens] = [sums.of("correct"), sums.of("weight")];
    const prediction = fields.has("logits") ? argmax(fields) : fields.indices("predictions");
    const label = fields.indices("labels", fields.has("logits") ? fields.size("K") : undefined);
    return (sample, weight) => {
      if (prediction(sample) === label(sample)) correct.add(weight);
      tokens.add(weight);
    };
  },
  compute: ({ sums }) => sums.value("correct") / sums.value("weight"),
});

/** The first of the highest logits of a position. */
function argmax(fields: BoundFields): (position: number) => number {
  const classes = fields.size("K");
  const logit = fields.reals("logits");
  return (position) => {
    let [best, highest] = [0, Number.NEGATIVE_INFINITY];
    for (let k = 0; k < classes; k++) {
      const value = logit(position * classes + k);
      if (value > highest) [best, highest] = [k, value];
    }
    return best;
  };
}
