import { checkObject, rejectUnknown } from "../errors/index.js";
import { formatShape, type Tensor, type Unlabeled } from "../tensor/index.js";
import { checkFlags, checkIntegers, checkSegments, numbersOf, wrong } from "./arguments.js";
import { type AttentionSpans, attentionSpans, type PaddingReads } from "./attention-spans.js";

const where = "prefixMask";

/**
 * The attention of a prefix language model: the tokens of a prefix read all of it, those after it read what came before.
 *   t in the prefix:  places start … end of the prefix of its document
 *   t after it:       places start … t of its document
 * The loss takes the prefix out as a prompt: `lossMaskFrom({ prompt })`.
 *
 * @param input - `segmentIds` `[B, T]` as in `segmentMask`; `prefix`: how many tokens of each row's one document `[B]`,
 * or 1 at the tokens that begin each document `[B, T]`; `paddingReads` ("nothing")
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape`, `option`; `value` for a prefix that does not begin its
 * document, or is longer, and for a row of several documents beside lengths
 * @see Raffel et al. 2020, section 3.2.1
 */
export function prefixMask(input: {
  readonly segmentIds: Tensor;
  readonly prefix: Tensor<"mask" | Unlabeled>;
  readonly paddingReads?: PaddingReads;
}): AttentionSpans {
  checkObject(where, "input", input);
  rejectUnknown(where, "argument", input, ["segmentIds", "prefix", "paddingReads"]);
  const { segmentIds, prefix, paddingReads = "nothing" } = input;
  const [rows, steps] = checkSegments(where, segmentIds, ["B", "T"]).shape as [number, number];
  const endOf =
    prefix?.shape?.length === 1
      ? endByLength(checkIntegers(where, "prefix", prefix, [rows]), steps)
      : endByFlags(checkFlags(where, "prefix", prefix, [rows, steps], [rows]), steps);
  let [known, prefixEnd] = [-1, 0];
  return attentionSpans(where, segmentIds, paddingReads, (t, start, end) => {
    if (start !== known) [known, prefixEnd] = [start, endOf(start, end)];
    return Math.max(t + 1, prefixEnd);
  });
}

/** The place one past the prefix of a document, from a length a row. */
function endByLength(lengths: Tensor, steps: number) {
  const length = numbersOf(lengths);
  let lastRow = -1;
  return (start: number, end: number): number => {
    const row = Math.floor(start / steps);
    if (row === lastRow) {
      const fix = "mark the prefix of every document: prefix [B, T].";
      const found = `a second document in row ${row} beside prefix [B]`;
      throw wrong(where, "value", "segmentIds", found, "one document a row", fix, [row, start % steps]);
    }
    lastRow = row;
    const found = length(row);
    if (found >= 0 && found <= end - start) return start + found;
    throw wrong(where, "value", "prefix", `${found} at [${row}]`, `a length from 0 to ${end - start}`, undefined, [
      row,
    ]);
  };
}

/** The place one past the prefix of a document, from flags. */
function endByFlags(isPrefix: (index: number) => boolean, steps: number) {
  return (start: number, end: number): number => {
    let prefixEnd = start;
    while (prefixEnd < end && isPrefix(prefixEnd)) prefixEnd++;
    for (let t = prefixEnd; t < end; t++) {
      if (!isPrefix(t)) continue;
      const index = [Math.floor(t / steps), t % steps];
      const found = `a prefix token at ${formatShape(index)}, after one that is none`;
      throw wrong(where, "value", "prefix", found, "prefixes that begin their documents", undefined, index);
    }
    return prefixEnd;
  };
}
