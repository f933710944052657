import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { infoNce } from "./info-nce.js";
import { supervisedContrastive } from "./supervised-contrastive.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

describe("supervisedContrastive", () => {
  it("is infoNce of the rows against themselves with the rows of the same label as positives", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 6, maxLength: 6 }),
        (seed, labels) => {
          const rows = embeddings(seed, 6);
          const pair = (at: number) => [Math.floor(at / 6), at % 6] as const;
          const flags = (of: (i: number, j: number) => boolean) =>
            tensor(
              Uint8Array.from({ length: 36 }, (_, at) => Number(of(...pair(at)))),
              [6, 6],
            );
          const found = supervisedContrastive().valueAndGradients({ embeddings: rows, labels: tensor(labels) });
          const same = infoNce({ temperature: 0.1 }).valueAndGradients({
            queries: rows,
            keys: rows,
            positiveMask: flags((i, j) => i !== j && labels[i] === labels[j]),
            excludeMask: flags((i, j) => i === j),
          });
          expect(found.value).toBe(same.value);
          expect(found.denominator).toBe(same.denominator);
          for (const [i, slope] of list(found.gradients.embeddings).entries()) {
            expect(slope).toBeCloseTo(list(same.gradients.queries)[i]! + list(same.gradients.keys)[i]!, 10);
          }
        },
      ),
    );
  });

  it("is never below log |P|, and there when classes are far apart and tight", () => {
    const rows = tensor([
      [1, 0],
      [1, 0],
      [1, 0],
      [-1, 0],
      [-1, 0],
    ]);
    const labels = tensor([4, 4, 4, 7, 7]);
    const found = list(supervisedContrastive({ temperature: 0.01 }).perUnit({ embeddings: rows, labels }));
    expect(found).toEqual([Math.log(2), Math.log(2), Math.log(2), 0, 0].map((x) => expect.closeTo(x, 14) as unknown));
  });

  it("takes any whole numbers as labels, in any dtype, and tells 64-bit ids apart", () => {
    const rows = embeddings(2, 4);
    const value = (labels: Tensor<"unlabeled">) => supervisedContrastive().evaluate({ embeddings: rows, labels }).value;
    const plain = value(tensor([0, 1, 0, 1]));
    expect(value(tensor(Int32Array.of(-7, 900, -7, 900)))).toBe(plain);
    const near = 2n ** 60n;
    expect(value(tensor(BigInt64Array.of(near, near + 1n, near, near + 1n)))).toBe(plain);
  });

  it("has no unit in a row that is alone with its label, nor in one that is ignored", () => {
    const rows = embeddings(3, 5);
    const lonely = supervisedContrastive().evaluate({ embeddings: rows, labels: tensor([0, 0, 5, 1, 1]) });
    expect(lonely.denominator).toBe(4);
    const ignored = supervisedContrastive().evaluate({ embeddings: rows, labels: tensor([0, 0, -100, 1, 1]) });
    expect(ignored.value).toBe(lonely.value);
    const two = supervisedContrastive({ ignoreIndex: 1 }).evaluate({
      embeddings: rows,
      labels: tensor([0, 0, 5, 1, 1]),
    });
    expect(two.denominator).toBe(2);
    const none = supervisedContrastive().valueAndGradients({ embeddings: rows, labels: tensor([0, 1, 2, 3, 4]) });
    expect([none.value, none.denominator, ...list(none.gradients.embeddings)]).toEqual(new Array(17).fill(0));
  });

  it("reads a masked row as what its label says", () => {
    const batch = { embeddings: embeddings(4, 4), labels: tensor([0, 0, 1, 1]) };
    const whole = list(supervisedContrastive().perUnit(batch));
    expect(list(supervisedContrastive().perUnit({ ...batch, mask: tensor([1, 0, 0, 0]) }))).toEqual([
      whole[0],
      0,
      0,
      0,
    ]);
  });

  it.each([
    ["labels of another length", { labels: tensor([0, 0, 1]) }, "shape", "labels"],
    ["labels that are no whole numbers", { labels: tensor([0.5, 0.5]) }, "dtype", "labels"],
    ["embeddings of three axes", { embeddings: tensor(new Float64Array(4), [2, 2, 1]) }, "shape", "embeddings"],
  ])("refuses %s", (_, fields, code, field) => {
    const batch = { embeddings: embeddings(1, 2), labels: tensor([0, 0]), ...fields };
    expect(() => supervisedContrastive().evaluate(batch)).toThrow(expect.objectContaining({ code, field }));
  });

  it.each([
    ["temperature", [0, -1, NaN, Infinity, "0.5"]],
    ["ignoreIndex", [0.5, NaN, "1"]],
  ])("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => supervisedContrastive({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });
});
