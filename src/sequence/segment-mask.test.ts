import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { packSequences, prefixMask, segmentMask, type Tensor, tensor } from "../index.js";

/** The `[T, T]` flags of one row as lines. */
const lines = ({ data, shape }: Tensor, row = 0) =>
  Array.from({ length: shape[1]! }, (_, t) =>
    Array.from({ length: shape[2]! }, (_, s) => Number(data[(row * shape[1]! + t) * shape[2]! + s])).join(""),
  );

const segmentIds = tensor([[1, 1, 1, 2, 2, 0]]);

describe("segmentMask", () => {
  it("is block-diagonal and causal, with padding that reads nothing", () => {
    expect(lines(segmentMask({ segmentIds }).dense())).toEqual([
      "100000",
      "110000",
      "111000",
      "000100",
      "000110",
      "000000",
    ]);
  });

  it("reads all of a document where an encoder does, and lets padding read itself on request", () => {
    expect(lines(segmentMask({ segmentIds, reads: "all", paddingReads: "itself" }).dense())).toEqual([
      "111000",
      "111000",
      "111000",
      "000110",
      "000110",
      "000001",
    ]);
  });

  it("says the same in two numbers a token", () => {
    const { from, to, cumulativeLengths, longest } = segmentMask({ segmentIds });
    expect([...from.data]).toEqual([0, 0, 0, 3, 3, 5]);
    expect([...to.data]).toEqual([1, 2, 3, 4, 5, 5]);
    expect([...cumulativeLengths.data]).toEqual([0, 3, 5]);
    expect(longest).toBe(3);
  });

  it("takes an attention mask of unpacked rows for segment ids, padded on either side", () => {
    const { from, to, cumulativeLengths } = segmentMask({
      segmentIds: tensor([
        [0, 1, 1],
        [1, 1, 0],
      ]),
    });
    expect([...from.data]).toEqual([0, 1, 1, 0, 0, 2]);
    expect([...to.data]).toEqual([0, 2, 3, 1, 2, 2]);
    expect([...cumulativeLengths.data]).toEqual([0, 2, 4]);
  });

  it("takes the attention mask of packed rows as it is, where each row is one document", () => {
    const { attentionMask, segmentIds: ids } = packSequences({
      documents: [
        [1, 2, 3],
        [4, 5],
      ],
      rowLength: 4,
    });
    expect(segmentMask({ segmentIds: attentionMask }).dense()).toEqual(segmentMask({ segmentIds: ids }).dense());
  });

  it("of packed documents lets a token read what is before it in its document, and nothing else", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(6), { minLength: 1, maxLength: 8 }),
        fc.constantFrom("before", "all"),
        (lengths, reads) => {
          const documents = lengths.map((length) => new Int32Array(length));
          const packed = packSequences({ documents, rowLength: 8 });
          const { segmentIds: ids, positions } = packed;
          const mask = segmentMask({ segmentIds: ids, reads });
          const flags = mask.dense();
          for (let i = 0; i < flags.data.length; i++) {
            const [row, t, s] = [Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8];
            const [here, there] = [row * 8 + t, row * 8 + s];
            const together = ids.data[here] !== 0 && ids.data[here] === ids.data[there];
            const before = positions.data[there]! <= positions.data[here]!;
            expect(flags.data[i]).toBe(Number(together && (reads === "all" || before)));
          }
          expect(mask.cumulativeLengths.data.at(-1)).toBe(packed.accounting.packed);
          expect(mask.longest).toBe(Math.max(...lengths));
        },
      ),
    );
  });

  it("of no rows is nothing", () => {
    const { cumulativeLengths, longest, dense } = segmentMask({ segmentIds: tensor(new Int32Array(0), [0, 4]) });
    expect([[...cumulativeLengths.data], longest, dense().shape]).toEqual([[0], 0, [0, 4, 4]]);
  });

  describe("refuses", () => {
    refuses([
      [
        "a segment with a gap",
        () => segmentMask({ segmentIds: tensor([[1, 2, 1]]) }),
        "value",
        "segmentIds",
        /segment 1 again at \[0, 2\]/,
      ],
      ["one axis", () => segmentMask({ segmentIds: tensor([1, 1]) }), "shape", "segmentIds", /\[B, T\]/],
      [
        "another way to read",
        () => segmentMask({ segmentIds, reads: wrong("causal") }),
        "option",
        "reads",
        /"before" or "all"/,
      ],
      [
        "another word on padding",
        () => segmentMask({ segmentIds, paddingReads: wrong("all") }),
        "option",
        "paddingReads",
        /"itself"/,
      ],
      ["the ids alone", () => segmentMask(wrong(segmentIds)), "unknown", "dtype", /segmentIds/],
    ]);
  });
});

describe("prefixMask", () => {
  it("lets a prefix read all of itself, and what follows all that came before", () => {
    const prefix = tensor([[1, 1, 0, 1, 0, 0]]);
    expect(lines(prefixMask({ segmentIds, prefix }).dense())).toEqual([
      "110000",
      "110000",
      "111000",
      "000100",
      "000110",
      "000000",
    ]);
  });

  it("takes a length a row, counted from the first real token", () => {
    const rows = tensor([
      [1, 1, 1, 0],
      [0, 1, 1, 1],
    ]);
    const mask = prefixMask({ segmentIds: rows, prefix: tensor([2, 3]), paddingReads: "itself" }).dense();
    expect(lines(mask, 0)).toEqual(["1100", "1100", "1110", "0001"]);
    expect(lines(mask, 1)).toEqual(["1000", "0111", "0111", "0111"]);
  });

  it("without a prefix is causal, with nothing else bidirectional", () => {
    const flags = (prefix: number) => prefixMask({ segmentIds: tensor([[1, 1, 1]]), prefix: tensor([prefix]) }).dense();
    expect(flags(0)).toEqual(segmentMask({ segmentIds: tensor([[1, 1, 1]]) }).dense());
    expect(flags(3)).toEqual(segmentMask({ segmentIds: tensor([[1, 1, 1]]), reads: "all" }).dense());
  });

  describe("refuses", () => {
    const one = tensor([[1, 1, 0]]);
    refuses([
      [
        "a prefix that does not begin",
        () => prefixMask({ segmentIds: one, prefix: tensor([[0, 1, 0]]) }),
        "value",
        "prefix",
        /at \[0, 1\], after one/,
      ],
      [
        "a prefix longer than its document",
        () => prefixMask({ segmentIds: one, prefix: tensor([3]) }),
        "value",
        "prefix",
        /from 0 to 2/,
      ],
      [
        "lengths of packed rows",
        () => prefixMask({ segmentIds, prefix: tensor([1]) }),
        "value",
        "segmentIds",
        /prefix \[B, T\]/,
      ],
      [
        "a prefix of other rows",
        () => prefixMask({ segmentIds: one, prefix: tensor([1, 1]) }),
        "shape",
        "prefix",
        /\[1\]/,
      ],
      ["no prefix", () => prefixMask(wrong({ segmentIds: one })), "argument", "prefix", /tensor/],
    ]);
  });
});
