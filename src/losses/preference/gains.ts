import { expm1, log, pow } from "../../numerics/index.js";
import type { Items } from "./list.js";
import { placeSorter } from "./sort.js";

/**
 * Gains and ideal order of a list, for losses made of discounted cumulative gain:
 *   DCG = Σ_k (2^y_k − 1) / log(1 + rank_k),   ideal DCG: the same with items ranked by relevance
 * Only ratios of the two are used, so the base of the logarithm is free, and gains are divided by 2^(largest y), which
 * keeps any finite relevance from overflowing.
 */
export class Gains {
  /** (2^y_k − 1) / 2^(largest y). */
  readonly of: Float64Array;
  /** Items by descending relevance, ties as they are given. */
  readonly order: Int32Array;
  /** The ideal DCG in the same unit; 0 when nothing is relevant. */
  ideal = 0;
  /** 1 / log(1 + rank), by rank − 1. */
  readonly discounts: Float64Array;
  private readonly keys: Float64Array;
  private readonly sort: (places: Int32Array) => void;

  constructor(length: number) {
    this.of = new Float64Array(length);
    this.order = new Int32Array(length);
    this.discounts = Float64Array.from({ length }, (_, k) => 1 / log(k + 2));
    this.keys = new Float64Array(length);
    this.sort = placeSorter(this.keys);
  }

  /** Takes the items of a list. */
  update({ count, relevance }: Items): void {
    this.rank(relevance, count, this.order);
    const most = relevance[this.order[0]!]!;
    this.ideal = 0;
    for (let i = 0; i < count; i++) {
      const item = this.order[i]!;
      const grade = relevance[item]!;
      // 2^y − 1 as 2^y (1 − 2^−y): exact for whole grades, and small grades keep their digits.
      this.of[item] = -expm1(-grade * Math.LN2) * pow(2, grade - most);
      this.ideal += this.of[item]! * this.discounts[i]!;
    }
  }

  /** Writes the first `count` items by descending value, ties as they are given. */
  rank(values: Float64Array, count: number, order: Int32Array): void {
    for (let k = 0; k < order.length; k++) {
      this.keys[k] = k < count ? -values[k]! : Number.POSITIVE_INFINITY;
      order[k] = k;
    }
    this.sort(order);
  }
}
