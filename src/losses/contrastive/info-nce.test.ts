import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { infoNce } from "./info-nce.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

function transposed(given: Tensor): Float64Array {
  const [rows, columns] = given.shape as [number, number];
  return Float64Array.from({ length: rows * columns }, (_, at) =>
    Number(given.data[(at % rows) * columns + Math.floor(at / rows)]),
  );
}

/** Similarities of rows over τ, computed the plain way. */
function similarities(queries: Tensor, keys: Tensor, temperature: number, normalize: boolean): Tensor<"unlabeled"> {
  const [rows, width] = queries.shape as [number, number];
  const columns = keys.shape[0]!;
  const rowOf = (from: Tensor, row: number) => {
    const values = list(from).slice(row * width, (row + 1) * width);
    const norm = normalize ? Math.sqrt(values.reduce((sum, x) => sum + x * x, 0)) : 1;
    return values.map((x) => x / norm);
  };
  const scores = Float64Array.from({ length: rows * columns }, (_, at) => {
    const [query, key] = [rowOf(queries, Math.floor(at / columns)), rowOf(keys, at % columns)];
    return query.reduce((sum, x, d) => sum + x * key[d]!, 0) / temperature;
  });
  return tensor(scores, [rows, columns]);
}

const diagonal = (rows: number) => tensor(Int32Array.from({ length: rows }, (_, i) => i));
const seeds = fc.integer({ min: 1, max: 1e6 });

describe("infoNce", () => {
  it("is the cross entropy over similarities, of every temperature, on cosines and on dot products", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(0.07, 0.5, 2), fc.boolean(), (seed, temperature, normalize) => {
        const [queries, keys] = [embeddings(seed, 4), embeddings(seed + 1, 6)];
        const { value } = infoNce({ temperature, normalize }).evaluate({ queries, keys });
        const logits = similarities(queries, keys, temperature, normalize);
        expect(value).toBeCloseTo(crossEntropy().evaluate({ logits, labels: diagonal(4) }).value, 9);
      }),
    );
  });

  it("is symmetric: half of each direction, to the bit", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const [queries, keys] = [embeddings(seed, 4), embeddings(seed + 1, 4)];
        const both = list(infoNce({ symmetric: true }).perUnit({ queries, keys }));
        const there = list(infoNce().perUnit({ queries, keys }));
        const back = list(infoNce().perUnit({ queries: keys, keys: queries }));
        expect(both).toEqual(there.map((loss, i) => 0.5 * loss + 0.5 * back[i]!));
      }),
    );
  });

  it("is symmetric in the similarity matrix: the transposed cross entropy is the other half", () => {
    const [queries, keys] = [embeddings(5, 3), embeddings(6, 3)];
    const logits = similarities(queries, keys, 0.07, true);
    const back = tensor(transposed(logits), [3, 3]);
    const labels = diagonal(3);
    const halves = [logits, back].map((scores) => crossEntropy().evaluate({ logits: scores, labels }).value / 2);
    expect(infoNce({ symmetric: true }).evaluate({ queries, keys }).value).toBeCloseTo(halves[0]! + halves[1]!, 10);
  });

  it("does not change when rows are scaled, on cosines; their gradients are orthogonal to them", () => {
    const [queries, keys] = [embeddings(8, 3), embeddings(9, 3)];
    const scaled = tensor(
      Float64Array.from(list(queries), (x) => 4 * x),
      [3, 3],
    );
    const at = infoNce().valueAndGradients({ queries, keys });
    const there = infoNce().valueAndGradients({ queries: scaled, keys });
    expect(there.value).toBe(at.value);
    expect(list(there.gradients.queries)).toEqual(list(at.gradients.queries).map((slope) => slope / 4));
    for (let row = 0; row < 3; row++) {
      const along = [0, 1, 2].reduce(
        (sum, d) => sum + Number(at.gradients.queries.data[3 * row + d]) * list(queries)[3 * row + d]!,
        0,
      );
      expect(along).toBeCloseTo(0, 12);
    }
  });

  it("does not overflow where embeddings are huge, nor divide by 0 where they are 0", () => {
    const huge = tensor(Float64Array.of(1e200, 1e200, -1e200, 1e200), [2, 2]);
    const none = tensor(new Float64Array(4), [2, 2]);
    expect(infoNce({ temperature: 1 }).evaluate({ queries: huge, keys: huge }).value).toBeCloseTo(
      Math.log1p(Math.exp(-1)),
      12,
    );
    const { value, gradients } = infoNce().valueAndGradients({ queries: none, keys: huge });
    expect(value).toBeCloseTo(Math.log(2), 12);
    expect(list(gradients.keys)).toEqual([0, 0, 0, 0]);
  });

  it("is 0 with one key, which has no negatives", () => {
    const { value, gradients } = infoNce().valueAndGradients({ queries: embeddings(1, 1), keys: embeddings(2, 1) });
    expect(value).toBe(0);
    expect(list(gradients.queries).map(Math.abs)).toEqual([0, 0, 0]);
  });

  it.each([1, 3])("is NaN, with a note, where an embedding is NaN beside %d keys", (count) => {
    const queries = tensor(Float64Array.of(NaN, 1, 2), [1, 3]);
    const { value, notes } = infoNce().evaluate({ queries, keys: embeddings(2, count), labels: diagonal(1) });
    expect(value).toBeNaN();
    expect(notes.length).toBeGreaterThan(0);
  });
});

describe("infoNce's temperature", () => {
  const [queries, keys] = [embeddings(3, 4), embeddings(4, 4)];

  it("has a gradient of shape [], the same for an option and for a field", () => {
    const option = infoNce({ temperature: 0.25 }).valueAndGradients({ queries, keys });
    const field = infoNce({ temperature: "field" }).valueAndGradients({ queries, keys, temperature: 0.25 });
    expect(option.gradients.temperature).toMatchObject({ shape: [], dtype: "float64" });
    expect(field.value).toBe(option.value);
    expect(list(field.gradients.temperature)).toEqual(list(option.gradients.temperature));
    const narrow = tensor(Float32Array.of(0.25), []);
    const tensorField = infoNce({ temperature: "field" }).valueAndGradients({ queries, keys, temperature: narrow });
    expect(tensorField.gradients.temperature).toMatchObject({ shape: [], dtype: "float32" });
  });

  it("follows the chain rule: the slope by log τ is τ times the slope by τ", () => {
    const at = (log: number) => infoNce({ temperature: Math.exp(log) }).evaluate({ queries, keys }).value;
    const [log, h] = [Math.log(0.3), 1e-5];
    const slope = Number(
      infoNce({ temperature: 0.3 }).valueAndGradients({ queries, keys }).gradients.temperature.data[0],
    );
    expect(0.3 * slope).toBeCloseTo((at(log + h) - at(log - h)) / (2 * h), 7);
  });

  it('stands in the contract as "field" when it is learned, and must then be given', () => {
    expect(infoNce({ temperature: "field" }).contract.options.temperature).toBe("field");
    expect(() => infoNce({ temperature: "field" }).evaluate({ queries, keys })).toThrow(
      expect.objectContaining({ code: "missing-field", field: "temperature" }),
    );
    expect(() => infoNce().evaluate({ queries, keys, temperature: 0.1 })).toThrow(
      expect.objectContaining({ code: "option", field: "temperature", fix: expect.stringContaining('"field"') }),
    );
  });

  it.each([0, -1, NaN, Infinity])("of %d is refused, as an option and as a field", (temperature) => {
    expect(() => infoNce({ temperature })).toThrow(expect.objectContaining({ code: "option", field: "temperature" }));
    expect(() => infoNce({ temperature: "field" }).evaluate({ queries, keys, temperature })).toThrow(
      expect.objectContaining({ code: "value", field: "temperature" }),
    );
  });
});

describe("infoNce's pairs", () => {
  const [queries, keys] = [embeddings(11, 3), embeddings(12, 3)];

  it("are row i with key i unless labels say otherwise, as after a gather over ranks", () => {
    const gathered = tensor(Float64Array.from([...list(embeddings(13, 3)), ...list(keys)]), [6, 3]);
    const labels = tensor([3, 4, 5]);
    const onRank1 = infoNce().evaluate({ queries, keys: gathered, labels }).value;
    const logits = similarities(queries, gathered, 0.07, true);
    expect(onRank1).toBeCloseTo(crossEntropy().evaluate({ logits, labels }).value, 9);
    const { notes } = infoNce().evaluate({ queries, keys: gathered });
    expect(notes).toEqual([expect.objectContaining({ code: "paired-by-row", field: "labels" })]);
    expect(infoNce().evaluate({ queries, keys: gathered, labels }).notes).toEqual([]);
  });

  it("with positiveMask are several: the mean of −log p over them, and a row without one is no unit", () => {
    const positiveMask = tensor([
      [1, 1, 0],
      [0, 0, 0],
      [0, 0, 1],
    ]);
    const { value, denominator } = infoNce().evaluate({ queries, keys, positiveMask });
    const of = (label: number[]) => list(infoNce().perUnit({ queries, keys, labels: tensor(label) }));
    const [first, second, third] = [of([0, 0, 0])[0]!, of([1, 1, 1])[0]!, of([2, 2, 2])[2]!];
    expect(denominator).toBe(2);
    expect(value).toBeCloseTo(((first + second) / 2 + third) / 2, 12);
    const one = tensor([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
    expect(infoNce().evaluate({ queries, keys, positiveMask: one }).value).toBe(
      infoNce().evaluate({ queries, keys }).value,
    );
  });

  it("that excludeMask names are not read, and the others are as if those keys were absent", () => {
    const poisoned = tensor(Float64Array.from(list(keys)), [3, 3]);
    const excludeMask = tensor([
      [0, 0, 1],
      [0, 0, 1],
      [1, 1, 0],
    ]);
    const batch = { queries, keys, excludeMask };
    const perUnit = list(infoNce().perUnit(batch));
    const without = infoNce().perUnit({
      queries,
      keys: tensor(list(keys).slice(0, 6), [2, 3]),
      labels: tensor([0, 1, 0]),
    });
    expect(perUnit.slice(0, 2)).toEqual(list(without).slice(0, 2));
    expect(perUnit[2]).toBe(0);
    (poisoned.data as Float64Array).fill(NaN, 6);
    const mask = tensor([1, 1, 0]);
    const clean = infoNce().valueAndGradients({ ...batch, mask });
    const dirty = infoNce().valueAndGradients({ ...batch, keys: poisoned, mask });
    expect(dirty.value).toBe(clean.value);
    expect(list(dirty.gradients.queries)).toEqual(list(clean.gradients.queries));
    expect(list(dirty.gradients.keys)).toEqual(list(clean.gradients.keys));
  });

  it("that are excluded may not be positive", () => {
    const excludeMask = tensor([
      [0, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
    expect(() => infoNce().evaluate({ queries, keys, excludeMask })).toThrow(
      expect.objectContaining({ code: "value", field: "excludeMask", index: [1, 1] }),
    );
  });

  it("of a masked row are no unit, but its key stays a negative of the others", () => {
    const mask = tensor([1, 0, 1]);
    const all = list(infoNce().perUnit({ queries, keys }));
    expect(list(infoNce().perUnit({ queries, keys, mask }))).toEqual([all[0], 0, all[2]]);
    expect(infoNce().evaluate({ queries, keys, mask }).denominator).toBe(2);
    expect(infoNce().valueAndGradients({ queries, keys, mask }).gradients.keys.data[3]).not.toBe(0);
  });

  it("of a masked row are read as negatives in both directions of symmetric", () => {
    const mask = tensor([1, 0, 1]);
    const all = list(infoNce({ symmetric: true }).perUnit({ queries, keys }));
    expect(list(infoNce({ symmetric: true }).perUnit({ queries, keys, mask }))).toEqual([all[0], 0, all[2]]);
  });

  it("of a row of weight 0 do not count, whatever its label", () => {
    const weights = tensor([1, 0, 1]);
    const batch = { queries, keys, weights };
    const { value, denominator } = infoNce().evaluate({ ...batch, labels: tensor([0, 1, 2]) });
    expect(denominator).toBe(2);
    expect(infoNce().evaluate({ ...batch, labels: tensor([0, 99, 2]) }).value).toBe(value);
  });

  it.each([
    ["symmetric with labels", { symmetric: true }, { labels: tensor([0, 1, 2]) }, "argument", "labels"],
    [
      "symmetric with positiveMask",
      { symmetric: true },
      { positiveMask: tensor(new Uint8Array(9), [3, 3]) },
      "argument",
      "positiveMask",
    ],
    ["symmetric with more keys than queries", { symmetric: true }, { keys: embeddings(1, 4) }, "argument", "keys"],
    ["fewer keys than queries without labels", {}, { keys: embeddings(1, 2) }, "argument", "keys"],
    [
      "labels beside positiveMask",
      {},
      { labels: tensor([0, 1, 2]), positiveMask: tensor(new Uint8Array(9), [3, 3]) },
      "argument",
      "positiveMask",
    ],
    ["a label out of range", {}, { labels: tensor([0, 3, 2]) }, "value", "labels"],
    ["an ignored label, which it does not know", {}, { labels: tensor([0, -100, 2]) }, "value", "labels"],
    ["keys of another width", {}, { keys: embeddings(1, 3, 2) }, "shape", "keys"],
    [
      "a positiveMask of another shape",
      {},
      { positiveMask: tensor(new Uint8Array(6), [3, 2]) },
      "shape",
      "positiveMask",
    ],
  ])("refuse %s", (_, options, fields, code, field) => {
    expect(() => infoNce(options).evaluate({ queries, keys, ...fields })).toThrow(
      expect.objectContaining({ code, field }),
    );
  });

  it("have no ignoreIndex", () => {
    expect(() => infoNce({ ignoreIndex: 0 } as never)).toThrow(expect.objectContaining({ code: "unknown" }));
  });

  it.each(["normalize", "symmetric"])("are refused when %s is no flag", (field) => {
    expect(() => infoNce({ [field]: 1 } as never)).toThrow(expect.objectContaining({ code: "option", field }));
  });
});

describe("infoNce's gradients", () => {
  it("are refused one buffer for two: each would be added to the other", () => {
    const [queries, keys] = [embeddings(1, 2), embeddings(2, 2)];
    const buffer = tensor(new Float64Array(6), [2, 3]);
    const half = tensor(new Float64Array(buffer.data.buffer, 0, 6), [2, 3]);
    for (const gradients of [
      { queries: buffer, keys: buffer },
      { queries: buffer, keys: half },
    ]) {
      expect(() => infoNce().valueAndGradients({ queries, keys }, { into: { gradients } })).toThrow(
        expect.objectContaining({ code: "argument" }),
      );
    }
  });
});
