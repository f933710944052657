import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { Sums } from "../accumulators.js";
import type { BoundFields, MetricField } from "../fields.js";

/** Scores of documents beside what they are worth, one row a query. */
export interface RetrievalFields {
  /** `[Q, N]`; of equal scores the earlier document ranks first (see `ties` of `ndcg`). */
  readonly scores: Tensor<"scores" | "logits" | "probabilities" | "logProbabilities" | Unlabeled>;
  /** `[Q, N]`: 1 for relevant documents, 0 for others; grades for `ndcg`. */
  readonly relevance: Tensor<"targets" | "scores" | "mask" | "classIndices" | Unlabeled>;
  /** `[Q, N]`: 1 where the document exists. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
  /** `[Q]`: the weight of each query. */
  readonly weights?: Tensor<"weights" | Unlabeled>;
}

/** Options of metrics of retrieval. */
export interface RetrievalOptions {
  /** How many documents of the top are looked at; null for all. */
  readonly k: number | null;
  /** What a query without a relevant document is worth: 0 (default), 1, or left out. */
  readonly emptyQueries: "zero" | "one" | "skip";
}

export const retrievalOptions = {
  k: nullableOption(numberOption("how many documents of the top are looked at", 10, { integer: true, atLeast: 1 })),
  emptyQueries: choiceOption("what a query without a relevant document is worth, or skip to leave it out", "zero", [
    "zero",
    "one",
    "skip",
  ]),
};

export const retrievalForms = (): readonly (readonly string[])[] => [["scores", "relevance"]];

/** The fields; relevance is graded where gains count. */
export function retrievalFields(isGraded: boolean): Readonly<Record<"scores" | "relevance" | "mask", MetricField>> {
  return {
    scores: {
      meaning: "a score of each document, higher for the top",
      axes: ["...", "N"],
      holds: "reals",
      infinite: true,
      roles: ["scores", "logits", "probabilities", "logProbabilities"],
    },
    relevance: {
      meaning: isGraded ? "what each document is worth, at least 0" : "1 for relevant documents, 0 for others",
      axes: ["...", "N"],
      holds: isGraded ? "reals" : "flags",
      ...(isGraded && { range: { words: "a grade of at least 0", has: (value: number) => value >= 0 } }),
      roles: ["targets", "scores", "mask", "classIndices"],
    },
    mask: { meaning: "1 where the document exists", axes: ["...", "N"], holds: "flags", roles: ["mask"] },
  };
}

/** One query's documents from the highest score down; its arrays are those of the next query too. */
export interface Ranking {
  readonly length: number;
  /** Scores and what the documents are worth, in their ranked order. */
  readonly scores: Float64Array;
  readonly relevance: Float64Array;
}

/**
 * Reads the ranking of a query; documents that do not exist are not read. Of equal scores the earlier document ranks
 * first; with grades the later one, as scikit-learn's reversed sort has it.
 */
function rankingOf(fields: BoundFields, isGraded: boolean): (query: number) => Ranking {
  const documents = fields.size("N");
  const score = fields.reals("scores");
  const worth = isGraded ? fields.reals("relevance") : fields.flags("relevance");
  const exists = fields.has("mask") ? fields.flags("mask") : undefined;
  const [keys, worths] = [new Float64Array(documents), new Float64Array(documents)];
  const [scores, relevance] = [new Float64Array(documents), new Float64Array(documents)];
  const order = new Uint32Array(documents);
  const laterFirst = isGraded;
  return (query) => {
    let length = 0;
    for (let n = 0; n < documents; n++) {
      const at = query * documents + n;
      if (exists && !exists(at)) continue;
      keys[length] = score(at);
      worths[length] = worth(at);
      order[length] = length;
      length++;
    }
    const ranked = order.subarray(0, length).sort((a, b) => keys[b]! - keys[a]! || (laterFirst ? b - a : a - b));
    for (let place = 0; place < length; place++) {
      scores[place] = keys[ranked[place]!]!;
      relevance[place] = worths[ranked[place]!]!;
    }
    return { length, scores, relevance };
  };
}

/** Opens an update that adds each query's value by its weight. */
export function openQueries(
  fields: BoundFields,
  sums: Sums,
  { emptyQueries }: Pick<RetrievalOptions, "emptyQueries">,
  isGraded: boolean,
  value: (ranking: Ranking) => number,
): (query: number, weight: number) => void {
  const ranking = rankingOf(fields, isGraded);
  const [values, weights] = [sums.of("value"), sums.of("weight")];
  return (query, weight) => {
    const ranked = ranking(query);
    const isEmpty = !ranked.relevance.subarray(0, ranked.length).some((worth) => worth > 0);
    if (isEmpty && emptyQueries === "skip") return;
    values.add(weight * (isEmpty ? (emptyQueries === "one" ? 1 : 0) : value(ranked)));
    weights.add(weight);
  };
}

/** How many documents are looked at. */
export function reach({ length }: Ranking, k: number | null): number {
  return k === null ? length : Math.min(k, length);
}

/** The weight of relevant documents among the first ones. */
export function relevantAmong({ relevance }: Ranking, count: number): number {
  let sum = 0;
  for (let place = 0; place < count; place++) sum += relevance[place]!;
  return sum;
}
