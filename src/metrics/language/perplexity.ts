import { exp } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { ignoreIndexOption } from "../classification/labels.js";
import type { CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";
import { countField, likelihoodField, type TokenScores, tokenFields, tokenLoss } from "./token-fields.js";

/** Options of {@link perplexity}. */
export interface PerplexityOptions {
  /** A label that takes its position out. Default −100. */
  readonly ignoreIndex: number;
}

/** Fields of {@link perplexity}: tokens with their logits, or sums over pieces of text. */
export type PerplexityFields = CommonFields &
  (TokenScores | { readonly negativeLogLikelihood: Tensor; readonly tokens: Tensor<Unlabeled> });

/**
 * The exponential of the mean negative log likelihood of a token: exp(Σ w nll / Σ w tokens), nll in nats. Tokens of all
 * updates count alike, however they were cut in batches. NaN for no token.
 *
 * With `negativeLogLikelihood` and `tokens` a sample is a piece of text with its sum; of means per batch pass
 * mean · tokens. torchmetrics `Perplexity`.
 */
export const perplexity = /*#__PURE__*/ defineMetric<
  PerplexityFields,
  PerplexityOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "perplexity",
  documentation: {
    summary: "The exponential of the mean negative log likelihood of a token.",
    formula: "exp(Σ w nll / Σ w tokens)",
    source: "torchmetrics Perplexity",
    goal: "minimize",
  },
  options: { ignoreIndex: ignoreIndexOption },
  fields: () => ({ ...tokenFields, ...likelihoodField, tokens: countField("the number of tokens") }),
  forms: () => [
    ["logits", "labels"],
    ["negativeLogLikelihood", "tokens"],
  ],
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }) => {
    const [losses, tokens] = [sums.of("negativeLogLikelihood"), sums.of("tokens")];
    const isToken = fields.has("logits");
    const loss = isToken ? tokenLoss(fields) : fields.reals("negativeLogLikelihood");
    const count = isToken ? () => 1 : fields.reals("tokens");
    return (sample, weight) => {
      losses.add(weight * loss(sample));
      tokens.add(weight * count(sample));
    };
  },
  compute: ({ sums }) => exp(sums.value("negativeLogLikelihood") / sums.value("tokens")),
});
