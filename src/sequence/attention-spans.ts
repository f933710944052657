import { dataOf, formatShape, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { checkSegments, checkWord, wrong } from "./arguments.js";

const paddingWords = ["nothing", "itself"] as const;

/** What a padding token reads. */
export type PaddingReads = (typeof paddingWords)[number];

/**
 * Which tokens each token may read, where those are neighbors: two numbers a token in place of a row of flags.
 * Token t of row b reads the places `from[b, t]` up to, not including, `to[b, t]`.
 */
export interface AttentionSpans {
  /** `[B, T]` */
  readonly from: Tensor<Unlabeled, "int32">;
  /** `[B, T]` */
  readonly to: Tensor<Unlabeled, "int32">;
  /**
   * Where each document begins among the tokens of all rows, padding taken out, and their number: `[S + 1]`. What
   * attention kernels of variable length take (`cu_seqlens`).
   */
  readonly cumulativeLengths: Tensor<Unlabeled, "int32">;
  /** Tokens of the longest document (`max_seqlen`). */
  readonly longest: number;
  /** The whole mask, `[B, T, T]` bool: 1 where token t (axis 1) may read place s (axis 2). */
  dense(): Tensor<"mask", "bool">;
}

/**
 * Spans from segment ids, document by document.
 *
 * @param readUntil - one past the last place that token t of a document at `start` … `end` − 1 reads, as flat places
 * @throws `argument`, `role`, `dtype`, `shape`, `option`; `value` for a segment that comes again in its row
 */
export function attentionSpans(
  where: string,
  segmentIds: unknown,
  paddingReads: PaddingReads,
  readUntil: (t: number, start: number, end: number) => number,
): AttentionSpans {
  const { data, shape } = checkSegments(where, segmentIds, ["B", "T"]);
  const [rows, steps] = shape as [number, number];
  const readsItself = checkWord(where, "paddingReads", paddingReads, paddingWords) === "itself";
  const [from, to] = [dataOf("int32", data.length), dataOf("int32", data.length)];
  const cumulative = [0];
  let longest = 0;
  for (let row = 0; row < rows; row++) {
    const base = row * steps;
    const seen = new Set<number>();
    for (let start = base, end = base; start < base + steps; start = end) {
      const id = Number(data[start]);
      while (end < base + steps && Number(data[end]) === id) end++;
      if (id === 0) {
        for (let t = start; t < end; t++) {
          from[t] = t - base;
          to[t] = t - base + Number(readsItself);
        }
        continue;
      }
      if (seen.has(id)) {
        const index = [row, start - base];
        const fix = "pack each document into one piece, or give its pieces ids of their own.";
        const found = `segment ${id} again at ${formatShape(index)}`;
        throw wrong(where, "value", "segmentIds", found, "segments without a gap", fix, index);
      }
      seen.add(id);
      for (let t = start; t < end; t++) {
        from[t] = start - base;
        to[t] = readUntil(t, start, end) - base;
      }
      cumulative.push(cumulative.at(-1)! + end - start);
      longest = Math.max(longest, end - start);
    }
  }
  return {
    from: view(from, shape, "unlabeled", "int32"),
    to: view(to, shape, "unlabeled", "int32"),
    cumulativeLengths: view(Int32Array.from(cumulative), [cumulative.length], "unlabeled", "int32"),
    longest,
    dense() {
      const flags = new Uint8Array(data.length * steps);
      for (let t = 0; t < data.length; t++) flags.fill(1, t * steps + from[t]!, t * steps + to[t]!);
      return view(flags, [rows, steps, steps], "mask", "bool");
    },
  };
}
