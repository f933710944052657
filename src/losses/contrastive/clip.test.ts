import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { clip } from "./clip.js";
import { infoNce } from "./info-nce.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const seeds = fc.integer({ min: 1, max: 1e6 });

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

describe("clip", () => {
  it("is symmetric infoNce on dot products at the temperature exp(−logScale), with the slope −τ d/dτ", () => {
    fc.assert(
      fc.property(seeds, fc.double({ min: -2, max: 2, noNaN: true }), (seed, logScale) => {
        const [images, texts] = [embeddings(seed, 4), embeddings(seed + 1, 4)];
        const found = clip().valueAndGradients({ images, texts, logScale });
        const temperature = Math.exp(-logScale);
        const same = infoNce({ temperature, normalize: false, symmetric: true }).valueAndGradients({
          queries: images,
          keys: texts,
        });
        expect(found.value).toBeCloseTo(same.value, 11);
        for (const [i, slope] of list(found.gradients.images).entries()) {
          expect(slope).toBeCloseTo(list(same.gradients.queries)[i]!, 11);
        }
        const ofTemperature = list(same.gradients.temperature)[0]!;
        expect(list(found.gradients.logScale)[0]).toBeCloseTo(-temperature * ofTemperature, 10);
      }),
    );
  });

  it("does not tell images from texts", () => {
    const [images, texts] = [embeddings(1, 5), embeddings(2, 5)];
    const there = clip().valueAndGradients({ images, texts, logScale: 1 });
    const back = clip().valueAndGradients({ images: texts, texts: images, logScale: 1 });
    expect(back.value).toBe(there.value);
    expect(list(back.gradients.texts)).toEqual(
      list(there.gradients.images).map((slope) => expect.closeTo(slope, 14) as unknown as number),
    );
  });

  it("is log B where nothing tells rows apart, and 0 for one pair", () => {
    const same = tensor(new Float64Array(12).fill(1), [4, 3]);
    expect(clip().evaluate({ images: same, texts: same, logScale: 2 }).value).toBeCloseTo(Math.log(4), 14);
    const { value, gradients } = clip().valueAndGradients({
      images: embeddings(1, 1),
      texts: embeddings(2, 1),
      logScale: 2,
    });
    expect([value, ...list(gradients.images)].map(Math.abs)).toEqual([0, 0, 0, 0]);
  });

  it("keeps a loss of 1e-30 that the plain form rounds to 0", () => {
    const rows = tensor([
      [1, 0],
      [0, 1],
    ]);
    const logScale = Math.log(70);
    const { value } = clip().evaluate({ images: rows, texts: rows, logScale });
    expect(value / Math.exp(-70)).toBeCloseTo(1, 12);
  });

  it("reads both rows of a masked pair as negatives, which excludeMask removes", () => {
    const [images, texts] = [embeddings(5, 3), embeddings(6, 3)];
    const mask = tensor([1, 1, 0]);
    const batch = { images, texts, logScale: 0.5 };
    const whole = list(clip().perUnit(batch));
    expect(list(clip().perUnit({ ...batch, mask }))).toEqual([whole[0], whole[1], 0]);
    const excludeMask = tensor([
      [0, 0, 1],
      [0, 0, 1],
      [1, 1, 0],
    ]);
    const first = { images: tensor(list(images).slice(0, 6), [2, 3]), texts: tensor(list(texts).slice(0, 6), [2, 3]) };
    expect(list(clip().perUnit({ ...batch, mask, excludeMask })).slice(0, 2)).toEqual(
      list(clip().perUnit({ ...first, logScale: 0.5 })),
    );
    const poison = (given: Tensor) => tensor(Float64Array.from([...list(given).slice(0, 6), NaN, NaN, NaN]), [3, 3]);
    const poisoned = { images: poison(images), texts: poison(texts), logScale: 0.5, mask, excludeMask };
    const [clean, dirty] = [
      clip().valueAndGradients({ ...batch, mask, excludeMask }),
      clip().valueAndGradients(poisoned),
    ];
    expect(dirty.value).toBe(clean.value);
    expect(list(dirty.gradients.images)).toEqual(list(clean.gradients.images));
  });

  it("is NaN with a note where an embedding is NaN: it is everyone's negative", () => {
    const images = tensor([
      [NaN, 1],
      [1, 0],
    ]);
    const texts = tensor([
      [1, 1],
      [1, 0],
    ]);
    const { value, notes } = clip().evaluate({ images, texts, logScale: 0 });
    expect(value).toBeNaN();
    expect(notes[0]).toMatchObject({ code: "non-finite-loss", count: 2 });
  });

  it.each([NaN, Infinity, -Infinity, 710])("refuses logScale %d", (logScale) => {
    const rows = embeddings(1, 2);
    expect(() => clip().evaluate({ images: rows, texts: rows, logScale })).toThrow(
      expect.objectContaining({ code: "value", field: "logScale" }),
    );
  });

  it.each([
    ["another number of texts", { texts: embeddings(1, 3) }, "shape", "texts"],
    ["texts of another width", { texts: embeddings(1, 2, 4) }, "shape", "texts"],
    ["a pair that excludes itself", { excludeMask: tensor(new Uint8Array(4).fill(1), [2, 2]) }, "value", "excludeMask"],
    ["a missing logScale", { logScale: undefined }, "missing-field", "logScale"],
    ["logits", { images: tensor(new Float64Array(6), [2, 3], "logits") }, "role", "images"],
  ])("refuses %s", (_, fields, code, field) => {
    const batch = { images: embeddings(1, 2), texts: embeddings(2, 2), logScale: 1, ...fields };
    expect(() => clip().evaluate(batch as never)).toThrow(expect.objectContaining({ code, field }));
  });
});
