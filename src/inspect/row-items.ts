import { kindOf, type Position, positionOf, type TokenBatch, type Vocabulary } from "./token-batch.js";

/** What stands side by side in a row: positions, long runs of padding in one, and the marks between segments. */
export type RowItem =
  | {
      readonly is: "position";
      readonly at: number;
      readonly position: Position;
      /** Whether its segment is every second one of the row, so that neighbors can be told apart. */
      readonly isOther: boolean;
    }
  | { readonly is: "padding"; readonly at: number; readonly count: number }
  | { readonly is: "segment"; readonly at: number; readonly segment: number };

/** A longer run of padding that is left out is one item. */
const longestPadding = 3;

/** Positions of a row: the first, and one past the last. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

/**
 * A row as its views walk it.
 *
 * @param range - the positions to walk; all of them without it
 */
export function itemsOf(batch: TokenBatch, row: number, textOf?: Vocabulary, range?: PositionRange): RowItem[] {
  const { from, to } = range ?? { from: 0, to: batch.length };
  const items: RowItem[] = [];
  let segment: number | null = null;
  let isOther = true;
  for (let at = from; at < to; ) {
    const run = Math.min(paddingFrom(batch, row, at), to - at);
    const own = batch.segments?.[row * batch.length + at] ?? null;
    if (run === 0 && own !== null && own !== segment) {
      segment = own;
      isOther = !isOther;
      items.push({ is: "segment", at, segment });
    }
    if (run > longestPadding) items.push({ is: "padding", at, count: run });
    else
      items.push({
        is: "position",
        at,
        position: positionOf(batch, row, at, textOf),
        isOther: run === 0 && own !== null && isOther,
      });
    at += run > longestPadding ? run : 1;
  }
  return items;
}

/** How many positions from here on are padding that is left out. */
function paddingFrom({ roles, fates, length }: TokenBatch, row: number, from: number): number {
  let at = from;
  while (at < length && kindOf(roles[row * length + at]!, fates[row * length + at]!) === "padding") at++;
  return at - from;
}
