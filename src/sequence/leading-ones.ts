import { formatShape } from "../tensor/index.js";
import { wrong } from "./arguments.js";

/**
 * How many positions of a row a mask keeps, where they must come first.
 *
 * @param flag - the mask `[B, positions]`, by flat place
 * @throws `value` for a 1 after a 0
 */
export function leadingOnes(where: string, flag: (at: number) => boolean, row: number, positions: number): number {
  const start = row * positions;
  let length = 0;
  while (length < positions && flag(start + length)) length++;
  for (let t = length + 1; t < positions; t++) {
    if (!flag(start + t)) continue;
    const found = `1 at ${formatShape([row, t])} after 0 at ${formatShape([row, length])}`;
    const fix = "move each sequence to the front of its row: a gap would join positions that are no neighbors.";
    throw wrong(where, "value", "mask", found, "ones first in each row, then zeros", fix, [row, t]);
  }
  return length;
}
