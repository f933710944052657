import type { Group } from "../tally/index.js";
import { Collectives } from "./collectives.js";

/**
 * The group of one rank: the same program without a cluster. Every call gives back what it was given.
 *
 * @example
 * const group = solo();
 * await crossEntropy().valueAndGradients({ logits, labels }, { group });
 */
export function solo(): Group {
  return new Collectives({
    name: "solo",
    rank: 0,
    size: 1,
    gather: async (own) => [own.slice()],
    exchange: async ([own]) => [own!.slice()],
    fail() {},
    close: async () => {},
  });
}
