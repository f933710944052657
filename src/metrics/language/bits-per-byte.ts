import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { ignoreIndexOption } from "../classification/labels.js";
import type { CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";
import { countField, likelihoodField, type TokenScores, tokenFields, tokenLoss } from "./token-fields.js";

/** Options of {@link bitsPerByte}. */
export interface BitsPerByteOptions {
  /** A label that takes its position out, with its bytes. Default −100. */
  readonly ignoreIndex: number;
}

/** Fields of {@link bitsPerByte}: bytes of each token or piece of text, beside logits or sums. */
export type BitsPerByteFields = CommonFields & { readonly bytes: Tensor<Unlabeled> } & (
    | TokenScores
    | { readonly negativeLogLikelihood: Tensor }
  );

/**
 * Bits that the model needs for a byte of text: Σ w nll / (ln 2 · Σ w bytes), nll in nats. Unlike perplexity it compares
 * models of different tokenizers. NaN for no byte.
 */
export const bitsPerByte = /*#__PURE__*/ defineMetric<
  BitsPerByteFields,
  BitsPerByteOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "bitsPerByte",
  documentation: {
    summary: "Bits that the model needs for a byte of text, whatever its tokenizer.",
    formula: "Σ w nll / (ln 2 · Σ w bytes)",
    source: "Gao et al. 2020, The Pile, section 3.1",
    goal: "minimize",
  },
  options: { ignoreIndex: ignoreIndexOption },
  fields: () => ({ ...tokenFields, ...likelihoodField, bytes: countField("the number of UTF-8 bytes") }),
  forms: () => [
    ["negativeLogLikelihood", "bytes"],
    ["logits", "labels", "bytes"],
  ],
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }) => {
    const [losses, bytes] = [sums.of("negativeLogLikelihood"), sums.of("bytes")];
    const loss = fields.has("logits") ? tokenLoss(fields) : fields.reals("negativeLogLikelihood");
    const count = fields.reals("bytes");
    return (sample, weight) => {
      losses.add(weight * loss(sample));
      bytes.add(weight * count(sample));
    };
  },
  compute: ({ sums }) => sums.value("negativeLogLikelihood") / (Math.LN2 * sums.value("bytes")),
});
