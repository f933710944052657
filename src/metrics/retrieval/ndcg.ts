import { choiceOption } from "../../contract/index.js";
import { expm1, log } from "../../numerics/index.js";
import { defineMetric, onlySums } from "../metric.js";
import {
  openQueries,
  type Ranking,
  type RetrievalFields,
  type RetrievalOptions,
  reach,
  retrievalFields,
  retrievalForms,
  retrievalOptions,
} from "./ranking.js";

/** Options of {@link ndcg}. */
export interface NdcgOptions extends RetrievalOptions {
  /** What a grade is worth: itself (default), or 2^grade − 1. */
  readonly gain: "linear" | "exponential";
  /** Documents of equal scores share the mean gain of their places (default), or the later one ranks first. */
  readonly ties: "average" | "ignore";
}

/**
 * Discounted gains of a query's ranking over those of the best one, Σ gain_i / log₂(i + 1) over places i from 1; the
 * mean over queries. NaN for no query.
 *
 * Järvelin and Kekäläinen 2002; ties: McSherry and Najork 2008; scikit-learn `ndcg_score`.
 */
export const ndcg = /*#__PURE__*/ defineMetric<RetrievalFields, NdcgOptions, ReturnType<typeof onlySums>, number>({
  name: "ndcg",
  documentation: {
    summary: "Discounted gains of a query's ranking over those of the best one, on average.",
    formula: "mean over queries of DCG / ideal DCG, DCG = Σ_i gain_i / log₂(i + 1)",
    source: "Järvelin and Kekäläinen 2002; McSherry and Najork 2008; scikit-learn ndcg_score",
    goal: "maximize",
  },
  options: {
    ...retrievalOptions,
    gain: choiceOption("what a grade is worth: itself, or 2^grade − 1", "linear", ["linear", "exponential"]),
    ties: choiceOption(
      "documents of equal scores share the mean gain of their places, or the later ranks first",
      "average",
      ["average", "ignore"],
    ),
  },
  fields: ({ gain }) => {
    const { relevance, ...others } = retrievalFields(true);
    if (gain === "linear") return { ...others, relevance };
    // 2^1000 is as far as a sum of gains stays finite.
    return {
      ...others,
      relevance: { ...relevance, range: { words: "a grade in [0, 1000]", has: (g) => g >= 0 && g <= 1000 } },
    };
  },
  forms: retrievalForms,
  state: onlySums,
  open: (fields, { sums }, options) => {
    const gainOf = options.gain === "linear" ? (grade: number) => grade : (grade: number) => expm1(grade * Math.LN2);
    const gains = new Float64Array(fields.size("N"));
    const discount = discounts(fields.size("N"));
    return openQueries(fields, sums, options, true, (ranking) => {
      const end = reach(ranking, options.k);
      for (let place = 0; place < ranking.length; place++) gains[place] = gainOf(ranking.relevance[place]!);
      const found =
        options.ties === "average" ? sharedGains(ranking, gains, discount, end) : gained(gains, discount, end);
      const best = gains.subarray(0, ranking.length).sort().reverse();
      return found / gained(best, discount, end);
    });
  },
  compute: ({ sums }) => sums.value("value") / sums.value("weight"),
});

/** 1 / log₂(place + 1) of places from 1. */
function discounts(count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, place) => Math.LN2 / log(place + 2));
}

function gained(gains: Float64Array, discount: Float64Array, end: number): number {
  let sum = 0;
  for (let place = 0; place < end; place++) sum += gains[place]! * discount[place]!;
  return sum;
}

/** Documents of equal scores each get the mean gain of all of them; places beyond the end are worth nothing. */
function sharedGains({ scores, length }: Ranking, gains: Float64Array, discount: Float64Array, end: number): number {
  let sum = 0;
  for (let start = 0; start < length; ) {
    let next = start;
    let [gain, worth] = [0, 0];
    for (; next < length && scores[next] === scores[start]; next++) {
      gain += gains[next]!;
      if (next < end) worth += discount[next]!;
    }
    sum += (gain / (next - start)) * worth;
    start = next;
  }
  return sum;
}
