import { describe, expect, it } from "vitest";
import { itemsOf } from "./row-items.js";
import type { TokenBatch } from "./token-batch.js";
import { packedChat } from "./views.test-helper.js";

const batch = packedChat().batches[0] as TokenBatch;
const told = (range?: Parameters<typeof itemsOf>[3]) =>
  itemsOf(batch, 0, undefined, range).map((item) => {
    if (item.is === "segment") return `|${item.segment}`;
    return item.is === "padding" ? `${item.count} from ${item.at}` : item.at;
  });

describe("the items of a row", () => {
  it("are its positions, marks where segments begin, and long padding in one", () => {
    expect(told()).toEqual(["|1", 0, 1, 2, 3, "|2", 4, 5, "4 from 6"]);
  });

  it("of a range begin with the segment they lie in, and end inside of padding", () => {
    expect(told({ from: 3, to: 6 })).toEqual(["|1", 3, "|2", 4, 5]);
    expect(told({ from: 5, to: 8 })).toEqual(["|2", 5, 6, 7]);
    expect(told({ from: 6, to: 10 })).toEqual(["4 from 6"]);
  });
});
