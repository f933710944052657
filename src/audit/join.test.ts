import { describe, expect, it } from "vitest";
import type { AnyBatch } from "../losses/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { joinAlongTime, masksOfPieces, splitAlongTime } from "./join.js";

/** Two rows of three positions and of one, two classes. */
const first = {
  logits: tensor(new Float32Array([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]), [2, 3, 2]),
  labels: tensor(new BigInt64Array([0n, 1n, 0n, 1n, 0n, 1n]), [2, 3]),
};
const second = {
  logits: tensor(new Float32Array([7, 8, 17, 18]), [2, 1, 2]),
  labels: tensor(new BigInt64Array([1n, 0n]), [2, 1]),
};

const numbers = (found: Tensor | number | undefined) => Array.from((found as Tensor).data as ArrayLike<number>, Number);
const errorOf = (pieces: readonly AnyBatch[]) => {
  try {
    joinAlongTime(pieces);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe("pieces of the same rows", () => {
  it("are put together row by row, in order", () => {
    const { logits, labels } = joinAlongTime([first, second]);
    expect((logits as Tensor).shape).toEqual([2, 4, 2]);
    expect(numbers(logits)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18]);
    expect((labels as Tensor).shape).toEqual([2, 4]);
    expect((labels as Tensor).dtype).toBe("int64");
    expect(numbers(labels)).toEqual([0, 1, 0, 1, 1, 0, 1, 0]);
  });

  it("are given back by cutting what was joined", () => {
    const { logits } = joinAlongTime([first, second]);
    const cut = splitAlongTime({ logits: logits as Tensor }, [first, second]);
    expect(cut.map((piece) => piece.logits!.shape)).toEqual([
      [2, 3, 2],
      [2, 1, 2],
    ]);
    expect(cut.map((piece) => numbers(piece.logits))).toEqual([numbers(first.logits), numbers(second.logits)]);
  });

  it("share numbers and fields with an entry a row, which stay as they are", () => {
    const weights = tensor(new Float32Array([1, 3]), [2, 1]);
    const scores = tensor(new Float32Array([1, 3]), [2]);
    const shared = { weights, scores, temperature: 0.5 };
    const joined = joinAlongTime([
      { ...first, ...shared },
      { ...second, ...shared },
    ]);
    expect(joined).toMatchObject(shared);
    const [gradient] = splitAlongTime({ weights }, [
      { ...first, ...shared },
      { ...second, ...shared },
    ]);
    expect(gradient!.weights).toBe(weights);
  });

  it("take a NaN that all share for the same number", () => {
    const scores = tensor(new Float32Array([1, Number.NaN]), [2]);
    const copy = tensor(new Float32Array([1, Number.NaN]), [2]);
    expect(
      errorOf([
        { ...first, scores },
        { ...second, scores: copy },
      ]),
    ).toBeUndefined();
  });

  it.each([
    ["another number of rows", "logits", { ...second, logits: tensor(new Float32Array(6), [3, 1, 2]) }],
    ["another number of classes", "logits", { ...second, logits: tensor(new Float32Array(6), [2, 1, 3]) }],
    ["another dtype", "labels", { ...second, labels: tensor(new Int32Array(2), [2, 1]) }],
    ["a field missing", "labels", { logits: second.logits }],
    ["a field that the first lacks", "mask", { ...second, mask: tensor(new Uint8Array(2), [2, 1]) }],
  ])("are refused with %s in one of them", (_, field, odd) => {
    expect(errorOf([first, odd as AnyBatch])).toMatchObject({ code: "shape", where: "step", field });
  });

  it("are refused where a field of the rows differs between them", () => {
    const scores = tensor(new Float32Array([1, 3]), [2]);
    const others = tensor(new Float32Array([1, 4]), [2]);
    const error = errorOf([
      { ...first, scores },
      { ...second, scores: others },
    ]);
    expect(error).toMatchObject({ code: "shape", field: "scores", found: "[2] and [2]" });
  });
});

describe("the masks of pieces", () => {
  it("leave each its own positions", () => {
    const masks = masksOfPieces(joinAlongTime([first, second]), [first, second]);
    expect(masks.map(({ shape, dtype }) => [shape, dtype])).toEqual([
      [[2, 4], "bool"],
      [[2, 4], "bool"],
    ]);
    expect(masks.map(numbers)).toEqual([
      [1, 1, 1, 0, 1, 1, 1, 0],
      [0, 0, 0, 1, 0, 0, 0, 1],
    ]);
  });

  it("keep what a mask leaves out, by position or by row", () => {
    const byPosition = [
      { ...first, mask: tensor(new Uint8Array([1, 0, 1, 1, 1, 0]), [2, 3]) },
      { ...second, mask: tensor(new Uint8Array([1, 0]), [2, 1]) },
    ];
    expect(masksOfPieces(joinAlongTime(byPosition), byPosition).map(numbers)).toEqual([
      [1, 0, 1, 0, 1, 1, 0, 0],
      [0, 0, 0, 1, 0, 0, 0, 0],
    ]);
    const rows = tensor(new Uint8Array([0, 1]), [2]);
    const byRow = [
      { ...first, mask: rows },
      { ...second, mask: rows },
    ];
    expect(masksOfPieces(joinAlongTime(byRow), byRow).map(numbers)).toEqual([
      [0, 0, 0, 0, 1, 1, 1, 0],
      [0, 0, 0, 0, 0, 0, 0, 1],
    ]);
  });
});
