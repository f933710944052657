import { SoftmaxRow } from "../softmax-row.js";
import type { Embeddings } from "./embeddings.js";

/** Which keys a query is to find. */
export interface Positives {
  /** How many there are; a query without one is no unit. */
  count(row: number): number;
  has(row: number, key: number): boolean;
}

/** Queries that look for their positives among keys. */
export interface Search {
  readonly queries: Embeddings;
  readonly keys: Embeddings;
  readonly positives: Positives;
  /** Whether a pair is read at all: an excluded pair, or a row beside itself, leaves no trace. */
  reads(row: number, key: number): boolean;
  /** Multiplies by the factor between similarities and scores, 1/τ. */
  scale(similarity: number): number;
}

/**
 * The row of mathematics that every softmax over keys shares. With scores s_j = scale(q·k_j) of the pairs that are read:
 *   loss       = mean over the positives of −log p_j,   p = softmax(s)
 *   d/ds_j     = p_j − 1[j positive] / n⁺
 *   d/dq       = Σ_j scale(d/ds_j) k_j,   d/dk_j = scale(d/ds_j) q,   d/d(log scale) = Σ_j (d/ds_j) s_j
 */
export class KeySearch {
  private readonly search: Search;
  private readonly scores: Float64Array;
  private readonly softmax: SoftmaxRow;

  constructor(search: Search) {
    this.search = search;
    this.scores = new Float64Array(search.keys.count);
    this.softmax = new SoftmaxRow(search.keys.count);
  }

  /** The loss of a row that has a positive. */
  loss(row: number): number {
    const { scores, softmax } = this;
    const { queries, keys, positives, reads, scale } = this.search;
    for (let j = 0; j < scores.length; j++) {
      scores[j] = reads(row, j) ? scale(queries.dot(row, keys, j)) : Number.NEGATIVE_INFINITY;
    }
    softmax.update(scores);
    if (softmax.broken) return Number.NaN;
    let loss = 0;
    for (let j = 0; j < scores.length; j++) if (positives.has(row, j)) loss += softmax.negativeLog(j);
    return loss / positives.count(row);
  }

  /** Adds factor · d loss of the row just computed to both sides; returns factor · d loss / d log scale. */
  addGradients(row: number, factor: number): number {
    const { scores, softmax } = this;
    const { queries, keys, positives, reads, scale } = this.search;
    const each = 1 / positives.count(row);
    let ofScale = 0;
    for (let j = 0; j < scores.length; j++) {
      if (!reads(row, j)) continue;
      // p − q as (1 − q) p − q (1 − p): for a single positive nothing cancels.
      const wanted = positives.has(row, j) ? each : 0;
      const slope = softmax.broken
        ? Number.NaN
        : (1 - wanted) * softmax.probability(j) - wanted * softmax.complement(j);
      const pull = scale(factor * slope);
      queries.addGradient(row, pull, keys, j);
      keys.addGradient(j, pull, queries, row);
      ofScale += slope * scores[j]!;
    }
    return factor * ofScale;
  }
}

/** Row i ↔ row i of the other side, sought from both: the loss is half of each direction. */
export class MutualSearch {
  private readonly there: KeySearch;
  private readonly back: KeySearch;

  constructor({ queries, keys, reads, scale }: Omit<Search, "positives">) {
    const positives = { count: () => 1, has: (row: number, key: number) => row === key };
    this.there = new KeySearch({ queries, keys, positives, reads, scale });
    const turned = (key: number, row: number) => reads(row, key);
    this.back = new KeySearch({ queries: keys, keys: queries, positives, reads: turned, scale });
  }

  loss(row: number): number {
    return 0.5 * this.there.loss(row) + 0.5 * this.back.loss(row);
  }

  addGradients(row: number, factor: number): number {
    return this.there.addGradients(row, 0.5 * factor) + this.back.addGradients(row, 0.5 * factor);
  }
}
