import { checkObject, rejectUnknown } from "../errors/index.js";
import { type Dtype, dataOf, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { checkWhole, checkWord, elementOf, wrong } from "./arguments.js";
import { type Documents, type DocumentsInput, readDocuments } from "./documents.js";
import { FirstFit } from "./first-fit.js";

const where = "packSequences";

const overlongWords = ["throw", "keepStart", "keepEnd", "split", "drop"] as const;

/** What becomes of a document longer than a row. */
export type Overlong = (typeof overlongWords)[number];

/** What {@link packSequences} takes: `documents`, or `ids` with `cumulativeLengths`; and the rows wanted. */
export interface PackInput extends DocumentsInput {
  /** Tokens a row, at least 1. */
  readonly rowLength: number;
  /**
   * What becomes of a document longer than a row: an error (the default), its first or its last `rowLength` tokens,
   * pieces of `rowLength` that are documents of their own, or nothing of it. What is lost stands in the accounting.
   */
  readonly overlong?: Overlong;
  /** The id that fills rows up. Default 0; no token, label or segment depends on it. */
  readonly padId?: number;
  /** The label of tokens that are not learned. Default −100. */
  readonly ignoreIndex?: number;
}

/** Where a piece of a document lies; documents that fit are one piece. */
export interface PackedPiece {
  /** Index of the document among those given. */
  readonly document: number;
  /** Its first token in the document. */
  readonly start: number;
  readonly length: number;
  readonly row: number;
  /** Its first token in the row. */
  readonly offset: number;
  /** Its segment id in the row, from 1. */
  readonly segment: number;
}

/**
 * Every token accounted for:
 *   tokens = packed + dropped        slots = rows · rowLength = packed + padding        packed = trained + prompt + first
 */
export interface TokenAccounting {
  readonly documents: number;
  /** Tokens of all documents given. */
  readonly tokens: number;
  readonly packed: number;
  /** Tokens of overlong documents that were cut off or left out. */
  readonly dropped: number;
  readonly rows: number;
  readonly slots: number;
  readonly padding: number;
  /** Tokens with a label: the denominator of a mean over tokens. */
  readonly trained: number;
  /** Packed tokens that the loss mask takes out. */
  readonly prompt: number;
  /** Packed tokens that the loss mask leaves and nothing precedes: the first of each segment. */
  readonly first: number;
  /** The documents longer than a row: how many tokens of each are packed, in how many pieces, and how many are not. */
  readonly overlong: readonly {
    readonly document: number;
    readonly kept: number;
    readonly pieces: number;
    readonly dropped: number;
  }[];
}

/** Rows of documents; every tensor is `[R, L]`. */
export interface PackedSequences {
  readonly inputIds: Tensor<"classIndices">;
  /** The token at each place where it is learned, `ignoreIndex` elsewhere; not shifted. */
  readonly labels: Tensor<"classIndices">;
  /** 1 where a token is learned. */
  readonly lossMask: Tensor<"mask", "bool">;
  /** 1 at tokens, 0 at padding. */
  readonly attentionMask: Tensor<"mask", "bool">;
  /** From 1 in each row, 0 at padding. */
  readonly segmentIds: Tensor<Unlabeled, "int32">;
  /** From 0 in each segment, 0 at padding. */
  readonly positions: Tensor<Unlabeled, "int32">;
  /** In the order of rows and of places in them. */
  readonly pieces: readonly PackedPiece[];
  readonly accounting: TokenAccounting;
}

/**
 * Packs documents into rows of one length: the longest first, each into the first row with room for it.
 *
 * A row holds segments numbered from 1, each with positions from 0. The first token of a segment has no label, since
 * what stands before it is another document: neither `crossEntropy({ labelShift: 1 })` nor a trainer that shifts by
 * itself learns across a boundary, and the denominator is `accounting.trained`. Give the loss `segmentIds` too, for
 * `per: "sequence"`, and the model `segmentMask` and `positions`, or documents read each other.
 *
 * Of documents of one length the earlier comes first, so the same documents give the same rows. An empty document takes
 * no place. First-fit decreasing uses at most 11/9 of the fewest rows possible, and 6/9 of a row (Dósa 2007).
 *
 * @returns rows with ids of int64 when the documents' are, else int32
 * @throws `unknown`, `argument`, `missing-field`, `role`, `dtype`, `shape`, `option`; `value` for a document longer than
 * a row under `overlong: "throw"`, for cumulative lengths that fall, a flag other than 0 and 1, a token to learn that is
 * `ignoreIndex`
 * @see Krell et al. 2021, "Efficient sequence packing without cross-contamination"
 *
 * @example
 * const packed = packSequences({ documents: [[5, 6, 7], [8, 9]], rowLength: 8 });
 * const { inputIds, labels, segmentIds } = packed;
 * crossEntropy({ labelShift: 1 }).evaluate({ logits, labels, segmentIds });
 */
export function packSequences(input: PackInput): PackedSequences {
  checkObject(where, "input", input);
  const fields = ["documents", "lossMasks", "ids", "cumulativeLengths", "lossMask"];
  rejectUnknown(where, "argument", input, [...fields, "rowLength", "overlong", "padId", "ignoreIndex"]);
  const rowLength = checkWhole(where, "rowLength", input.rowLength, 1);
  const padId = checkWhole(where, "padId", input.padId ?? 0);
  const ignoreIndex = checkWhole(where, "ignoreIndex", input.ignoreIndex ?? -100);
  const rule = checkWord(where, "overlong", input.overlong ?? "throw", overlongWords);
  const documents = readDocuments(where, input);
  const { cuts, overlong } = cutDocuments(documents.starts, rowLength, rule);
  const { rows, pieces } = placePieces(cuts, rowLength);
  const dtype = documents.ids instanceof BigInt64Array ? "int64" : "int32";
  const { tensors, trained, first } = fillRows(documents, pieces, { rows, rowLength, dtype, padId, ignoreIndex });
  let [packed, dropped] = [0, 0];
  for (const { length } of pieces) packed += length;
  for (const document of overlong) dropped += document.dropped;
  const accounting: TokenAccounting = {
    documents: documents.starts.length - 1,
    tokens: documents.ids.length,
    packed,
    dropped,
    rows,
    slots: rows * rowLength,
    padding: rows * rowLength - packed,
    trained,
    prompt: packed - trained - first,
    first,
    overlong,
  };
  return { ...tensors, pieces, accounting };
}

/** A piece that has no place yet. */
type Cut = Pick<PackedPiece, "document" | "start" | "length">;

/** The pieces of the documents, none longer than a row. */
function cutDocuments(starts: Float64Array, rowLength: number, rule: Overlong) {
  const cuts: Cut[] = [];
  const overlong: TokenAccounting["overlong"][number][] = [];
  for (let document = 0; document + 1 < starts.length; document++) {
    const length = starts[document + 1]! - starts[document]!;
    if (length <= rowLength) {
      if (length > 0) cuts.push({ document, start: 0, length });
      continue;
    }
    if (rule === "throw") {
      const fix = 'choose what is lost: overlong: "keepStart", "keepEnd", "split" or "drop"; or longer rows.';
      const found = `${length} tokens in document ${document}`;
      throw wrong(where, "value", "documents", found, `at most ${rowLength}, the length of a row`, fix, [document]);
    }
    const [from, until] = {
      keepStart: [0, rowLength],
      keepEnd: [length - rowLength, length],
      split: [0, length],
      drop: [0, 0],
    }[rule] as [number, number];
    for (let start = from; start < until; start += rowLength) {
      cuts.push({ document, start, length: Math.min(rowLength, until - start) });
    }
    const kept = until - from;
    overlong.push({ document, kept, pieces: Math.ceil(kept / rowLength), dropped: length - kept });
  }
  return { cuts, overlong };
}

/** First-fit decreasing. */
function placePieces(cuts: readonly Cut[], rowLength: number): { rows: number; pieces: PackedPiece[] } {
  const fit = new FirstFit(cuts.length, rowLength);
  const used = new Int32Array(cuts.length);
  const segments = new Int32Array(cuts.length);
  let rows = 0;
  const pieces = cuts
    .toSorted((a, b) => b.length - a.length)
    .map((cut): PackedPiece => {
      const row = fit.place(cut.length);
      rows = Math.max(rows, row + 1);
      const offset = used[row]!;
      used[row] = offset + cut.length;
      return { ...cut, row, offset, segment: ++segments[row]! };
    });
  return { rows, pieces: pieces.sort((a, b) => a.row - b.row || a.offset - b.offset) };
}

interface RowPlan {
  readonly rows: number;
  readonly rowLength: number;
  readonly dtype: Dtype;
  readonly padId: number;
  readonly ignoreIndex: number;
}

function fillRows({ ids, starts, isLearned }: Documents, pieces: readonly PackedPiece[], plan: RowPlan) {
  const { rows, rowLength, dtype, padId, ignoreIndex } = plan;
  const slots = rows * rowLength;
  const inputIds = dataOf(dtype, slots).fill(elementOf(dtype, padId) as never);
  const ignored = elementOf(dtype, ignoreIndex);
  const labels = dataOf(dtype, slots).fill(ignored as never);
  const [lossMask, attentionMask] = [new Uint8Array(slots), new Uint8Array(slots)];
  const [segmentIds, positions] = [new Int32Array(slots), new Int32Array(slots)];
  let [trained, first] = [0, 0];
  for (const { document, start, length, row, offset, segment } of pieces) {
    const from = starts[document]! + start;
    const to = row * rowLength + offset;
    attentionMask.fill(1, to, to + length);
    segmentIds.fill(segment, to, to + length);
    for (let t = 0; t < length; t++) {
      inputIds[to + t] = ids[from + t]!;
      positions[to + t] = t;
      if (!isLearned(from + t)) continue;
      if (t === 0) {
        first++;
        continue;
      }
      if (ids[from + t] === ignored) {
        const found = `a token ${ignored} to learn, in document ${document} at ${start + t}`;
        const fix = "choose an ignoreIndex that is no token; -100 is the usual one.";
        throw wrong(where, "value", "ignoreIndex", found, "labels that tell tokens from what is ignored", fix, [
          document,
        ]);
      }
      labels[to + t] = ids[from + t]!;
      lossMask[to + t] = 1;
      trained++;
    }
  }
  const shape = [rows, rowLength];
  const tensors = {
    inputIds: view(inputIds, shape, "classIndices", dtype),
    labels: view(labels, shape, "classIndices", dtype),
    lossMask: view(lossMask, shape, "mask", "bool"),
    attentionMask: view(attentionMask, shape, "mask", "bool"),
    segmentIds: view(segmentIds, shape, "unlabeled", "int32"),
    positions: view(positions, shape, "unlabeled", "int32"),
  };
  return { tensors, trained, first };
}
