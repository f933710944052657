import { nullableOption, numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { log, sigmoid } from "../../numerics/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import type { Sums } from "../accumulators.js";
import type { CommonFields } from "../fields.js";
import { defineMetric, onlySums } from "../metric.js";

/** Options of {@link bradleyTerryScores}. */
export interface BradleyTerryOptions {
  /** The number of items; null: up to the highest that occurs. */
  readonly items: number | null;
  /**
   * Wins and losses added to every pair of items, so that an item that always won has a score too; 0 (default) adds
   * nothing.
   */
  readonly prior: number;
}

/** Fields of {@link bradleyTerryScores}: a table of wins, or the winner and loser of each comparison. */
export type BradleyTerryFields = CommonFields &
  (
    | {
        /** `[I, I]`: how often i beat j; a tie is half a win for each. */
        readonly wins: Tensor<"scores" | "targets" | Unlabeled>;
      }
    | { readonly winners: Tensor<"classIndices" | Unlabeled>; readonly losers: Tensor<"classIndices" | Unlabeled> }
  );

/**
 * Strengths of items that are compared in pairs, with P(i beats j) = σ(s_i − s_j): the maximum likelihood scores,
 * centered to mean 0. One unit is odds of e : 1; Elo's are 400 / ln 10 ≈ 173.7 times as large.
 *
 * NaN where the likelihood has no maximum: items are not all connected by chains of wins in both directions, as where
 * one always won. A `prior` of a fraction of a win makes it finite.
 *
 * Zermelo 1929; Bradley and Terry 1952; Ford 1957.
 */
export const bradleyTerryScores = /*#__PURE__*/ defineMetric<
  BradleyTerryFields,
  BradleyTerryOptions,
  ReturnType<typeof onlySums>,
  Tensor<Unlabeled, "float64">
>({
  name: "bradleyTerryScores",
  documentation: {
    summary: "Strengths of items that are compared in pairs, by maximum likelihood.",
    formula: "argmax Σ wins_ij log σ(s_i − s_j), Σ s = 0",
    source: "Zermelo 1929; Bradley and Terry 1952; Ford 1957",
  },
  options: {
    items: nullableOption(
      numberOption("the number of items; without it, up to the highest that occurs", 2, {
        integer: true,
        atLeast: 2,
        atMost: 4096,
      }),
    ),
    prior: numberOption("wins and losses added to every pair of items", 0, { atLeast: 0 }),
  },
  fields: () => ({
    wins: {
      meaning: "how often the row's item beat the column's",
      axes: ["I", "I"],
      holds: "reals",
      range: { words: "a number of wins of at least 0", has: (value) => value >= 0 },
      roles: ["scores", "targets"],
    },
    winners: { meaning: "the item that won", axes: ["..."], holds: "indices", roles: ["classIndices"] },
    losers: { meaning: "the item that lost", axes: ["..."], holds: "indices", roles: ["classIndices"] },
  }),
  forms: () => [["wins"], ["winners", "losers"]],
  state: onlySums,
  open: (fields, { sums }, { items }) => {
    if (fields.has("wins")) {
      const count = fields.size("I");
      if (count > stride || (items !== null && items !== count)) throw otherCount(count, items);
      const wins = fields.reals("wins");
      return (_, weight) => {
        for (let i = 0; i < count; i++) {
          for (let j = 0; j < count; j++) if (i !== j) sums.of(i * stride + j).add(weight * wins(i * count + j));
        }
      };
    }
    const [winner, loser] = [fields.indices("winners", items ?? stride), fields.indices("losers", items ?? stride)];
    return (pair, weight) => {
      const [first, second] = [winner(pair), loser(pair)];
      if (first === second) {
        throw fields.wrong("losers", pair, `item ${second}, which won too`, "another item than the winner");
      }
      sums.of(first * stride + second).add(weight);
    };
  },
  compute: ({ sums }, { items, prior }) => {
    const wins = tableOf(sums, items, prior);
    const count = wins.length;
    const scores = isConnected(wins) ? maximize(wins) : new Float64Array(count).fill(Number.NaN);
    return view(scores, [count], "unlabeled", "float64");
  },
});

/** Cells are kept by one number each: winner · stride + loser. */
const stride = 4096;

function otherCount(count: number, items: number | null): LosswrightError {
  return new LosswrightError({
    code: "shape",
    where: "bradleyTerryScores",
    field: "wins",
    found: `[${count}, ${count}]`,
    expected: items === null ? `at most ${stride} items` : `[${items}, ${items}], as the option items says`,
  });
}

/** How often each item beat each other one. */
function tableOf(sums: Sums, items: number | null, prior: number): readonly Float64Array[] {
  const keys = sums.keys() as number[];
  const highest = keys.reduce((most, key) => Math.max(most, Math.floor(key / stride), key % stride), -1);
  const count = items ?? highest + 1;
  const wins = Array.from({ length: count }, () => new Float64Array(count));
  for (const key of keys) wins[Math.floor(key / stride)]![key % stride] = sums.value(key);
  if (prior > 0) for (const [i, row] of wins.entries()) for (let j = 0; j < count; j++) if (i !== j) row[j]! += prior;
  return wins;
}

/** Whether chains of wins lead from every item to every other: then the likelihood has a maximum (Ford 1957). */
function isConnected(wins: readonly Float64Array[]): boolean {
  const reaches = (beats: (i: number, j: number) => boolean) => {
    const seen = new Set([0]);
    for (const i of seen) for (let j = 0; j < wins.length; j++) if (beats(i, j)) seen.add(j);
    return seen.size === wins.length;
  };
  return wins.length > 0 && reaches((i, j) => wins[i]![j]! > 0) && reaches((i, j) => wins[j]![i]! > 0);
}

/** Newton's method with a halved step where a whole one goes too far; the likelihood is concave. */
function maximize(wins: readonly Float64Array[]): Float64Array {
  const count = wins.length;
  let scores = new Float64Array(count);
  let best = logLikelihood(wins, scores);
  for (let round = 0; round < 200; round++) {
    const gradient = new Float64Array(count);
    // The sum of the scores is free: a constant added to every entry fixes it at 0 and leaves the rest as it is.
    const curvature = Array.from({ length: count }, () => new Float64Array(count).fill(1));
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        const games = wins[i]![j]! + wins[j]![i]!;
        if (i === j || games === 0) continue;
        const p = sigmoid(scores[i]! - scores[j]!);
        gradient[i]! += wins[i]![j]! - games * p;
        const bend = games * p * (1 - p);
        curvature[i]![i]! += bend;
        curvature[i]![j]! -= bend;
      }
    }
    const step = solve(curvature, gradient);
    // So near the maximum the likelihood's own rounding is larger than what a step can gain.
    const isClose = step.every((value) => Math.abs(value) < 1e-4);
    let share = 1;
    let next = scores;
    for (; share > 1e-12; share /= 2) {
      next = scores.map((score, i) => score + share * step[i]!);
      const found = logLikelihood(wins, next);
      if (isClose || found >= best) {
        best = found;
        break;
      }
    }
    const moved = share > 1e-12 ? Math.max(...step.map((value) => Math.abs(share * value))) : 0;
    if (share > 1e-12) scores = next;
    if (moved < 1e-13) break;
  }
  const mean = scores.reduce((sum, score) => sum + score, 0) / count;
  return scores.map((score) => score - mean);
}

function logLikelihood(wins: readonly Float64Array[], scores: Float64Array): number {
  let sum = 0;
  for (const [i, row] of wins.entries()) {
    for (let j = 0; j < row.length; j++) if (row[j]! > 0) sum += row[j]! * log(sigmoid(scores[i]! - scores[j]!));
  }
  return sum;
}

/** Solves a positive definite system by Cholesky's factors, in place. */
function solve(matrix: Float64Array[], vector: Float64Array): Float64Array {
  const count = vector.length;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]![j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i]![k]! * matrix[j]![k]!;
      matrix[i]![j] = i === j ? Math.sqrt(sum) : sum / matrix[j]![j]!;
    }
  }
  const out = vector.slice();
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < i; k++) out[i]! -= matrix[i]![k]! * out[k]!;
    out[i]! /= matrix[i]![i]!;
  }
  for (let i = count - 1; i >= 0; i--) {
    for (let k = i + 1; k < count; k++) out[i]! -= matrix[k]![i]! * out[k]!;
    out[i]! /= matrix[i]![i]!;
  }
  return out;
}
