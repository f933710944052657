import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";

/**
 * The rank of each number: the weight below it plus half the weight of its ties. Weights are how often a number stands
 * there; without them this is the average rank less one half, which no correlation sees.
 */
export function weightedRanks(numbers: Float64Array, weights: Float64Array | undefined): Float64Array {
  const order = sortedOrder(numbers);
  const ranks = new Float64Array(numbers.length);
  const below = new ExactSum();
  for (let start = 0; start < order.length; ) {
    const value = numbers[order[start]!]!;
    let end = start;
    const tied = new ExactSum();
    for (; end < order.length && numbers[order[end]!] === value; end++) tied.add(weights?.[order[end]!] ?? 1);
    const rank = below.value + tied.value / 2;
    for (let place = start; place < end; place++) ranks[order[place]!] = rank;
    below.merge(tied);
    start = end;
  }
  return ranks;
}
