import { checkObject, rejectUnknown } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";
import { checkWord } from "./arguments.js";
import { type AttentionSpans, attentionSpans, type PaddingReads } from "./attention-spans.js";

const where = "segmentMask";

/**
 * The block-diagonal attention of packed rows: a token reads its own document and no other.
 *   reads "before": places start … t of its document (a causal model)
 *   reads "all":    places start … end of its document (an encoder)
 * As spans, two numbers a token; `dense()` makes the `[B, T, T]` flags, T times as many, where a model asks for them.
 *
 * @param input - `segmentIds` `[B, T]`, equal ids side by side a document, 0 padding (an attention mask of 0 and 1 is
 * one too); `reads` ("before"); `paddingReads`: "nothing" (the default), or "itself", where a softmax over no place at
 * all would give NaN
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape`, `option`; `value` for a segment that comes again in its row
 *
 * @example
 * const { cumulativeLengths, longest } = segmentMask({ segmentIds: packed.segmentIds });
 * const flags = segmentMask({ segmentIds: packed.segmentIds, paddingReads: "itself" }).dense();
 */
export function segmentMask(input: {
  readonly segmentIds: Tensor;
  readonly reads?: "before" | "all";
  readonly paddingReads?: PaddingReads;
}): AttentionSpans {
  checkObject(where, "input", input);
  rejectUnknown(where, "argument", input, ["segmentIds", "reads", "paddingReads"]);
  const { segmentIds, reads = "before", paddingReads = "nothing" } = input;
  const readsAll = checkWord(where, "reads", reads, ["before", "all"]) === "all";
  return attentionSpans(where, segmentIds, paddingReads, (t, _, end) => (readsAll ? end : t + 1));
}
