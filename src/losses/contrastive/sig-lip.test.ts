import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { binaryCrossEntropy } from "../binary/binary-cross-entropy.js";
import { sigLip } from "./sig-lip.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

describe("sigLip", () => {
  it("is the binary cross entropy of every pair, summed and divided by B", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), (seed) => {
        const [images, texts] = [embeddings(seed, 4), embeddings(seed + 1, 4)];
        const { value, gradients } = sigLip().valueAndGradients({ images, texts, logScale: 0.7, bias: -2 });
        const scores = Float64Array.from({ length: 16 }, (_, at) => {
          const [i, j] = [Math.floor(at / 4), at % 4];
          const dot = [0, 1, 2].reduce((sum, d) => sum + list(images)[3 * i + d]! * list(texts)[3 * j + d]!, 0);
          return Math.exp(0.7) * dot - 2;
        });
        const targets = tensor(
          Float64Array.from({ length: 16 }, (_, at) => Number(at % 5 === 0)),
          [4, 4],
        );
        const same = binaryCrossEntropy({ divideBy: { constant: 4 } }).valueAndGradients({
          logits: tensor(scores, [4, 4]),
          targets,
        });
        expect(value).toBeCloseTo(same.value, 11);
        const slopes = list(same.gradients.logits);
        expect(list(gradients.bias)[0]).toBeCloseTo(
          slopes.reduce((sum, slope) => sum + slope, 0),
          11,
        );
        expect(list(gradients.logScale)[0]).toBeCloseTo(
          slopes.reduce((sum, slope, at) => sum + slope * (scores[at]! + 2), 0),
          11,
        );
      }),
    );
  });

  it("is exact where every pair is decided: each term keeps its digits", () => {
    const rows = tensor([
      [1, 0],
      [0, 1],
    ]);
    // Matched pairs score 40, the others −40.
    const { value, gradients } = sigLip().valueAndGradients({
      images: rows,
      texts: rows,
      logScale: Math.log(80),
      bias: -40,
    });
    expect(value / (2 * Math.exp(-40))).toBeCloseTo(1, 11);
    expect(Math.abs(list(gradients.bias)[0]!)).toBeLessThan(1e-28);
    const far = sigLip().valueAndGradients({ images: rows, texts: rows, logScale: 0, bias: 1e4 });
    expect(far.value).toBe(1e4);
    expect(list(far.gradients.bias)[0]).toBe(1);
  });

  it("starts at the cost of the matched pairs under a bias of −10 on unrelated rows", () => {
    const none = tensor(new Float64Array(6), [2, 3]);
    const { value } = sigLip().evaluate({ images: none, texts: none, logScale: Math.log(10), bias: -10 });
    expect(value).toBeCloseTo(Math.log1p(Math.exp(10)) + Math.log1p(Math.exp(-10)), 12);
  });

  it("does not read a masked image, while its text stays a negative", () => {
    const [images, texts] = [embeddings(3, 3), embeddings(4, 3)];
    const mask = tensor([1, 0, 1]);
    const batch = { images, texts, logScale: 1, bias: 0 };
    const whole = list(sigLip().perUnit(batch));
    const poisoned = tensor(
      Float64Array.from(list(images), (x, at) => (Math.floor(at / 3) === 1 ? NaN : x)),
      [3, 3],
    );
    const { value, denominator, gradients } = sigLip().valueAndGradients({ ...batch, images: poisoned, mask });
    expect(value).toBe((whole[0]! + whole[2]!) / 2);
    expect(denominator).toBe(2);
    expect(list(gradients.images).slice(3, 6)).toEqual([0, 0, 0]);
    expect(list(gradients.texts).slice(3, 6)).not.toContain(0);
  });

  it("leaves an excluded pair out", () => {
    const [images, texts] = [embeddings(5, 2), embeddings(6, 2)];
    const excludeMask = tensor([
      [0, 1],
      [0, 0],
    ]);
    const alone = (i: number) => tensor(list(images).slice(3 * i, 3 * i + 3), [1, 3]);
    const of = (batch: object) => list(sigLip().perUnit({ logScale: 1, bias: 0.5, ...batch } as never));
    const text = tensor(list(texts).slice(0, 3), [1, 3]);
    expect(of({ images, texts, excludeMask })[0]).toBe(of({ images: alone(0), texts: text })[0]);
    expect(of({ images, texts, excludeMask })[1]).toBe(of({ images, texts })[1]);
  });

  it.each([
    ["a logScale that overflows", { logScale: 800 }, "value", "logScale"],
    ["a missing bias", { bias: undefined }, "missing-field", "bias"],
    ["more texts than images", { texts: embeddings(1, 3) }, "shape", "texts"],
    ["a matched pair excluded", { excludeMask: tensor(new Uint8Array(4).fill(1), [2, 2]) }, "value", "excludeMask"],
  ])("refuses %s", (_, fields, code, field) => {
    const batch = { images: embeddings(1, 2), texts: embeddings(2, 2), logScale: 1, bias: 0, ...fields };
    expect(() => sigLip().evaluate(batch as never)).toThrow(expect.objectContaining({ code, field }));
  });
});
