import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { hardNegatives } from "./hard-negatives.js";
import { infoNce } from "./info-nce.js";

const list = (given: Tensor) => Array.from(given.data as Float64Array);

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

const corpus = tensor([
  [1, 0],
  [0, 3],
  [1, 1],
  [-1, 0],
]);
const queries = tensor([
  [2, 0],
  [0, 1],
]);

describe("hardNegatives", () => {
  it("gives the most similar rows first, as int32 indices with their cosines", () => {
    const { indices, similarities } = hardNegatives(queries, corpus, { k: 3 });
    expect(indices).toMatchObject({ dtype: "int32", shape: [2, 3], role: "classIndices" });
    expect(similarities).toMatchObject({ dtype: "float64", shape: [2, 3] });
    expect(list(indices)).toEqual([0, 2, 1, 1, 2, 0]);
    expect(list(similarities)).toEqual([1, Math.SQRT1_2, 0, 1, Math.SQRT1_2, 0].map((x) => expect.closeTo(x, 14)));
  });

  it("compares dot products with normalize: false", () => {
    const { indices, similarities } = hardNegatives(queries, corpus, { k: 2, normalize: false });
    expect(list(indices)).toEqual([0, 2, 1, 2]);
    expect(list(similarities)).toEqual([2, 2, 3, 1]);
  });

  it("leaves positives out, one a query or any number", () => {
    expect(list(hardNegatives(queries, corpus, { k: 2, exclude: tensor([0, 1]) }).indices)).toEqual([2, 1, 2, 0]);
    const exclude = tensor([
      [1, 0, 1, 0],
      [0, 0, 0, 0],
    ]);
    expect(list(hardNegatives(queries, corpus, { k: 2, exclude }).indices)).toEqual([1, 3, 1, 2]);
  });

  it("agrees with sorting all similarities, earlier rows first among ties", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 6 }), (seed, k) => {
        const [from, among] = [embeddings(seed, 3), embeddings(seed + 1, 4)];
        const doubled = tensor([...list(among), ...list(among)], [8, 3]);
        const { indices, similarities } = hardNegatives(from, doubled, { k, normalize: false });
        for (let row = 0; row < 3; row++) {
          const dots = Array.from({ length: 8 }, (_, j) =>
            [0, 1, 2].reduce((sum, d) => sum + list(from)[3 * row + d]! * list(doubled)[3 * j + d]!, 0),
          );
          const order = dots.map((_, j) => j).sort((a, b) => dots[b]! - dots[a]! || a - b);
          expect(list(indices).slice(row * k, row * k + k)).toEqual(order.slice(0, k));
          expect(list(similarities).slice(row * k, row * k + k)).toEqual(order.slice(0, k).map((j) => dots[j]));
        }
      }),
    );
  });

  it("finds rows that cost more than any others", () => {
    const [from, among] = [embeddings(1, 2), embeddings(2, 9)];
    const exclude = tensor([0, 1]);
    const { indices } = hardNegatives(from, among, { k: 2, exclude });
    const loss = (chosen: number[]) => {
      const keys = tensor(
        chosen.flatMap((j) => list(among).slice(3 * j, 3 * j + 3)),
        [chosen.length, 3],
      );
      const query = tensor(list(from).slice(0, 3), [1, 3]);
      return infoNce().evaluate({ queries: query, keys, labels: tensor([0]) }).value;
    };
    const hardest = loss([0, ...list(indices).slice(0, 2)]);
    for (let a = 1; a < 9; a++) for (let b = a + 1; b < 9; b++) expect(loss([0, a, b])).toBeLessThanOrEqual(hardest);
  });

  it("does not read what it leaves out, and says where a similarity is NaN", () => {
    const broken = tensor([
      [1, 0],
      [NaN, 0],
    ]);
    const query = tensor([[1, 1]]);
    expect(list(hardNegatives(query, broken, { k: 1, exclude: tensor([1]) }).indices)).toEqual([0]);
    expect(() => hardNegatives(query, broken, { k: 1 })).toThrow(
      expect.objectContaining({ code: "value", index: [0, 1] }),
    );
  });

  it("takes a query of zeros as equally far from everything", () => {
    const none = tensor(new Float64Array(2), [1, 2]);
    const { indices, similarities } = hardNegatives(none, corpus, { k: 2 });
    expect([list(indices), list(similarities).map(Math.abs)]).toEqual([
      [0, 1],
      [0, 0],
    ]);
  });

  it.each([
    ["k of 0", { k: 0 }, "option", "k"],
    ["k of 1.5", { k: 1.5 }, "option", "k"],
    ["more than the corpus holds", { k: 5 }, "value", "k"],
    ["more than the exclusion leaves", { k: 4, exclude: tensor([0, 1]) }, "value", "k"],
    ["an excluded row out of range", { k: 1, exclude: tensor([0, 4]) }, "value", "exclude"],
    ["an exclusion of another length", { k: 1, exclude: tensor([0]) }, "shape", "exclude"],
    ["a mask of 2", { k: 1, exclude: tensor(new Int32Array(8).fill(2), [2, 4]) }, "value", "exclude"],
    ["a list as exclusion", { k: 1, exclude: [0, 1] }, "argument", "exclude"],
    ["an unknown option", { k: 1, excluded: tensor([0, 1]) }, "unknown", "excluded"],
    ["normalize of 1", { k: 1, normalize: 1 }, "option", "normalize"],
  ])("refuses %s", (_, options, code, field) => {
    expect(() => hardNegatives(queries, corpus, options as never)).toThrow(expect.objectContaining({ code, field }));
  });

  it.each([
    ["a list", [[1, 0]], "argument"],
    ["integers", tensor(Int32Array.of(1, 0), [1, 2]), "dtype"],
    ["one axis", tensor([1, 0]), "shape"],
    ["another width", tensor([[1, 0, 0]]), "shape"],
    ["logits", tensor(new Float64Array(2), [1, 2], "logits"), "role"],
  ])("refuses a corpus of %s", (_, given, code) => {
    expect(() => hardNegatives(queries, given as never, { k: 1 })).toThrow(
      expect.objectContaining({ code, field: "corpus" }),
    );
  });
});
