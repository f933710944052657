import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { crossEntropy, lossMaskFrom, packSequences, tensor } from "../index.js";

const rows = ({ data, shape }: { data: ArrayLike<number | bigint>; shape: readonly number[] }) =>
  Array.from({ length: shape[0]! }, (_, b) =>
    Array.from(data)
      .slice(b * shape[1]!, (b + 1) * shape[1]!)
      .join(""),
  );

describe("lossMaskFrom", () => {
  it("takes prompts out, by length and by flag", () => {
    const ids = tensor([
      [5, 6, 7, 8],
      [5, 6, 7, 8],
    ]);
    expect(rows(lossMaskFrom({ ids, prompt: tensor([1, 3]) }))).toEqual(["0111", "0001"]);
    const flags = tensor([
      [1, 1, 0, 0],
      [1, 0, 0, 1],
    ]);
    expect(rows(lossMaskFrom({ prompt: flags }))).toEqual(["0011", "0110"]);
  });

  it("takes padding out that is a token of its own, wherever it stands", () => {
    const ids = tensor([
      [5, 6, 2, 0],
      [0, 0, 5, 2],
      [5, 0, 6, 2],
    ]);
    expect(rows(lossMaskFrom({ ids, padId: 0, eosId: 2 }))).toEqual(["1110", "0011", "1011"]);
    expect(rows(lossMaskFrom({ ids, padId: 0, eosId: null }))).toEqual(["1110", "0011", "1011"]);
  });

  it("keeps the end of a sequence where the pad is the EOS", () => {
    const ids = tensor([
      [5, 6, 2, 2, 2],
      [5, 6, 7, 8, 2],
      [5, 2, 6, 2, 2],
      [2, 2, 5, 6, 2],
      [5, 6, 7, 8, 9],
      [2, 2, 2, 2, 2],
    ]);
    expect(rows(lossMaskFrom({ ids, padId: 2, eosId: 2 }))).toEqual([
      "11100",
      "11111",
      "11110",
      "00111",
      "11111",
      "00000",
    ]);
  });

  it("believes an attention mask, which tells a row cut off from one that ends", () => {
    const attentionMask = tensor([[1, 1, 0, 0]]);
    expect(rows(lossMaskFrom({ ids: tensor([[5, 6, 2, 2]]), attentionMask }))).toEqual(["1100"]);
  });

  it("counts a prompt from the first real token, so that left padding is no part of it", () => {
    const ids = tensor([[0, 0, 5, 6, 7, 2]]);
    expect(rows(lossMaskFrom({ ids, padId: 0, eosId: 2, prompt: tensor([2]) }))).toEqual(["000011"]);
  });

  it("keeps the assistant's tokens alone, of every turn", () => {
    expect(rows(lossMaskFrom({ roles: tensor([[1, 1, 2, 2, 1, 2, 0]]) }))).toEqual(["0011010"]);
  });

  it("takes the first token of every document out, and what lies between", () => {
    const segmentIds = tensor([[1, 1, 1, 2, 2, 3, 0, 0]]);
    expect(rows(lossMaskFrom({ segmentIds }))).toEqual(["01101000"]);
  });

  it("of packed rows is the mask that packing made", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 8 }), (lengths) => {
        const documents = lengths.map((length) => new Int32Array(length).fill(3));
        const { segmentIds, lossMask, accounting } = packSequences({ documents, rowLength: 9 });
        const mask = lossMaskFrom({ segmentIds });
        expect(mask.data).toEqual(lossMask.data);
        expect(mask.data.reduce((sum, flag) => sum + flag, 0)).toBe(accounting.trained);
      }),
    );
  });

  it("combines all that is given", () => {
    const mask = lossMaskFrom({
      ids: tensor([[5, 6, 7, 8, 5, 6, 2, 2]]),
      padId: 2,
      eosId: 2,
      roles: tensor([[1, 2, 2, 2, 2, 2, 2, 2]]),
      segmentIds: tensor([[1, 1, 1, 1, 2, 2, 2, 2]]),
      prompt: tensor([[0, 0, 1, 0, 0, 0, 0, 0]]),
    });
    expect(rows(mask)).toEqual(["01010110"]);
  });

  it("makes the chapter's SFT loss: prompt labels out, answers and their end in", () => {
    const ids = tensor([
      [9, 9, 4, 5, 2, 2],
      [9, 9, 9, 3, 2, 2],
    ]);
    const mask = lossMaskFrom({ ids, padId: 2, eosId: 2, prompt: tensor([2, 3]) });
    const logits = tensor(new Float64Array(2 * 6 * 10), [2, 6, 10]);
    const { value, denominator } = crossEntropy({ labelShift: 1 }).evaluate({ logits, labels: ids, mask });
    expect(denominator).toBe(5);
    expect(value).toBeCloseTo(Math.log(10), 12);
  });

  describe("refuses", () => {
    const ids = tensor([[5, 2]]);
    const attentionMask = tensor([[1, 1]]);
    refuses([
      ["nothing at all", () => lossMaskFrom({}), "missing-field", "ids", /roles, segmentIds/],
      ["no object", () => lossMaskFrom(wrong(undefined)), "argument", "input", /object/],
      ["prompt lengths alone", () => lossMaskFrom({ prompt: tensor([1]) }), "shape", "prompt", /\[B, T\]/],
      ["a pad without its EOS", () => lossMaskFrom({ ids, padId: 2 }), "missing-field", "eosId", /eosId: null/],
      [
        "a pad without ids",
        () => lossMaskFrom({ attentionMask: wrong(undefined), roles: ids, padId: 2, eosId: 2 }),
        "missing-field",
        "ids",
        /the ids/,
      ],
      [
        "two words about padding",
        () => lossMaskFrom({ ids, attentionMask, padId: 2, eosId: 2 }),
        "argument",
        "padId",
        /leave padId out/,
      ],
      ["half a pad", () => lossMaskFrom({ ids, padId: 0.5, eosId: 2 }), "option", "padId", /whole number/],
      [
        "a role that is none",
        () => lossMaskFrom({ roles: tensor([[1, 3]]) }),
        "value",
        "roles",
        /3 at \[0, 1\].*2 assistant/,
      ],
      [
        "flags that weigh",
        () => lossMaskFrom({ attentionMask: tensor([[1, 0.5]]) }),
        "value",
        "attentionMask",
        /0 or 1/,
      ],
      [
        "a prompt longer than its row",
        () => lossMaskFrom({ ids, prompt: tensor([3]) }),
        "value",
        "prompt",
        /from 0 to the 2 real/,
      ],
      [
        "a prompt of a negative length",
        () => lossMaskFrom({ ids, prompt: tensor([-1]) }),
        "value",
        "prompt",
        /-1 at \[0\]/,
      ],
      [
        "prompt lengths of packed rows",
        () => lossMaskFrom({ segmentIds: ids, prompt: tensor([1]) }),
        "argument",
        "prompt",
        /prompt \[B, T\]/,
      ],
      ["roles of another shape", () => lossMaskFrom({ ids, roles: tensor([[1]]) }), "shape", "roles", /\[1, 2\]/],
      [
        "logits",
        () => lossMaskFrom({ ids: tensor(new Float32Array(2), [1, 2], "logits") as never }),
        "role",
        "ids",
        /classIndices/,
      ],
    ]);
  });
});
