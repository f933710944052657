import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { sigmoid, softmax, tensor } from "../tensor/index.js";
import { drawnSamples, fieldsOf, numbers } from "./samples.test-helper.js";
import { temperatureScaling } from "./temperature-scaling.js";

/** Every logit row with every label, weighted by how likely it is at a temperature: the fit must find that one. */
function expectedOutcomes(rows: readonly number[][], temperature: number) {
  const probabilities = softmax(tensor(rows.map((row) => row.map((z) => z / temperature))));
  const classes = rows[0]!.length;
  return {
    logits: tensor(rows.flatMap((row) => row.map(() => row))),
    labels: tensor(rows.flatMap((row) => row.map((_, k) => k))),
    weights: tensor(Float64Array.from(numbers(probabilities)), [rows.length * classes]),
  };
}

describe("temperatureScaling", () => {
  it("finds the temperature that the labels were drawn at", () => {
    const entry = fc.double({ min: -8, max: 8, noNaN: true });
    const row = fc.array(entry, { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 2, maxLength: 10 }),
        fc.double({ min: 0.2, max: 20, noNaN: true }),
        (rows, temperature) => {
          fc.pre(rows.some((z) => Math.max(...z) - Math.min(...z) > 1));
          const found = temperatureScaling(expectedOutcomes(rows, temperature));
          expect(found.temperature / temperature).toBeCloseTo(1, 8);
          expect(found.nll).toBeLessThanOrEqual(found.nllBefore);
        },
      ),
    );
  });

  it("finds it for binary logits, of which the classes of two logits are another form", () => {
    const logits = [-3, -1, 0.5, 2, 4];
    const temperature = 2.5;
    const likely = numbers(sigmoid(tensor(logits.map((z) => z / temperature))));
    const binary = temperatureScaling({
      logits: [...logits, ...logits],
      labels: [...logits.map(() => 1), ...logits.map(() => 0)],
      weights: [...likely, ...likely.map((p) => 1 - p)],
    });
    expect(binary.temperature).toBeCloseTo(temperature, 10);
    const pairs = temperatureScaling({
      logits: [...logits, ...logits].map((z) => [0, z]),
      labels: [...logits.map(() => 1), ...logits.map(() => 0)],
      weights: [...likely, ...likely.map((p) => 1 - p)],
    });
    expect(pairs.temperature).toBeCloseTo(temperature, 10);
    expect(pairs.nll).toBeCloseTo(binary.nll, 12);
  });

  it.each([1, 3])("gives the same bits for every order of the samples, %s logits each", (classes) => {
    fc.assert(
      fc.property(drawnSamples(classes), (samples) => {
        const [one, other] = [fieldsOf(samples), fieldsOf(samples, samples.order)].map(temperatureScaling);
        expect(other!.toJSON()).toEqual(one!.toJSON());
      }),
      { numRuns: 50 },
    );
  });

  it.each([1, 4])("is the lowest loss nearby, %s logits each", (classes) => {
    fc.assert(
      fc.property(drawnSamples(classes), (samples) => {
        const fields = fieldsOf(samples);
        const found = temperatureScaling(fields);
        fc.pre(found.notes.length === 0);
        const lossAt = (temperature: number) => {
          const scaled = samples.logits.map((z) => z / temperature);
          const rows = tensor(Float64Array.from(scaled), fields.logits.shape);
          return temperatureScaling({ ...fields, logits: rows }).nllBefore;
        };
        expect(lossAt(found.temperature)).toBeCloseTo(found.nll, 12);
        for (const factor of [0.97, 1.03]) {
          expect(lossAt(found.temperature * factor)).toBeGreaterThan(found.nll - 1e-13);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("does not read what the mask or a weight of 0 takes out", () => {
    const logits = [
      [2, 0, 1],
      [NaN, NaN, NaN],
      [0, 1, 0.5],
      [1, 3, 2],
    ];
    const labels = [0, -100, 2, 1];
    const kept = temperatureScaling({ logits: [logits[0]!, logits[2]!, logits[3]!], labels: [0, 2, 1] });
    expect(temperatureScaling({ logits, labels, mask: [1, 0, 1, 1] }).toJSON()).toEqual(kept.toJSON());
    expect(temperatureScaling({ logits, labels, weights: [1, 0, 1, 1] }).toJSON()).toEqual(kept.toJSON());
    const under = { logits, labels, mask: [1, 0, 1, 1], weights: [1, NaN, 1, 1] };
    expect(temperatureScaling(under).toJSON()).toEqual(kept.toJSON());
  });

  it("takes any leading axes and dtypes, and classes that are forbidden", () => {
    const data = [1, 0, 2, 0.5, -1, 1, 3, 1];
    const flat = temperatureScaling({ logits: tensor(Float32Array.from(data), [4, 2]), labels: [0, 1, 1, 0] });
    const deep = {
      logits: tensor(Float32Array.from(data), [2, 2, 2]),
      labels: tensor(BigInt64Array.of(0n, 1n, 1n, 0n), [2, 2]),
    };
    expect(temperatureScaling(deep).toJSON()).toEqual(flat.toJSON());
    const without = temperatureScaling({
      logits: [
        [1, 0],
        [0, 0.5],
        [2, 1],
      ],
      labels: [0, 1, 1],
    });
    const forbidden = {
      logits: [
        [1, 0, -Infinity],
        [0, 0.5, -Infinity],
        [2, 1, -Infinity],
      ],
      labels: [0, 1, 1],
    };
    expect(temperatureScaling(forbidden).temperature).toBeCloseTo(without.temperature, 14);
  });

  it.each([
    [
      "at 0.001, where every label has the highest logit",
      [
        [2, 0],
        [0, 1],
      ],
      [0, 1],
      0.001,
      "separable",
    ],
    [
      "at 1000, where the logits say the contrary",
      [
        [0, 2],
        [1, 0],
      ],
      [0, 1],
      1000,
      "uninformative",
    ],
    [
      "at 1, where logits are flat",
      [
        [1, 1],
        [5, 5],
      ],
      [0, 1],
      1,
      "flat-logits",
    ],
    [
      "at 0.001, where logits are so far apart that the loss is 0",
      [
        [2e5, 0],
        [0, 1e5],
      ],
      [0, 1],
      0.001,
      "separable",
    ],
    ["at 0.001 for binary logits", [1, -2, 3], [1, 0, 1], 0.001, "separable"],
    ["at 1 for binary logits of 0", [0, 0], [1, 0], 1, "flat-logits"],
  ])("ends %s, and says so", (_, logits, labels, temperature, code) => {
    const found = temperatureScaling({ logits, labels });
    expect(found.temperature).toBe(temperature);
    expect(found.notes).toEqual([expect.objectContaining({ code })]);
    expect(found.nll).toBeLessThanOrEqual(found.nllBefore);
    expect(Number.isFinite(found.nll)).toBe(true);
  });

  it("finds temperatures of logits of any size", () => {
    for (const size of [1e-2, 1, 300]) {
      const rows = [
        [1, 0],
        [0, 1],
        [2, 0],
        [1, 0],
      ].map((row) => row.map((z) => z * size));
      const { temperature } = temperatureScaling({ logits: rows, labels: [0, 1, 0, 1] });
      const { temperature: unit } = temperatureScaling({
        logits: [
          [1, 0],
          [0, 1],
          [2, 0],
          [1, 0],
        ],
        labels: [0, 1, 0, 1],
      });
      expect(temperature / (unit * size)).toBeCloseTo(1, 10);
    }
  });

  it("applies softmax(z / T), and keeps shape, dtype and the order of the classes", () => {
    const found = temperatureScaling({
      logits: [
        [2, 0, 1],
        [0, 1, 0.5],
        [1, 3, 2],
      ],
      labels: [0, 2, 1],
    });
    const logits = tensor(Float32Array.of(1, 2, 0, -1, 0, 5), [1, 2, 3]);
    const applied = found.apply(logits);
    expect(applied).toMatchObject({ dtype: "float32", shape: [1, 2, 3], role: "probabilities" });
    const scaled = tensor(
      Float64Array.from(numbers(logits), (z) => z / found.temperature),
      [1, 2, 3],
    );
    expect(numbers(applied)).toEqual(numbers(softmax(scaled)).map(Math.fround));
    const binary = temperatureScaling({ logits: [1, -1, 2, -2], labels: [1, 0, 0, 1] });
    expect(binary.apply([[0, 1e4]]).shape).toEqual([1, 2]);
    expect(numbers(binary.apply([0]))).toEqual([0.5]);
  });

  const good = {
    logits: tensor([
      [2, 0],
      [0, 1],
    ]),
    labels: tensor([0, 1]),
  };
  const probabilities = softmax(good.logits);
  refuses([
    [
      "probabilities",
      () => temperatureScaling({ ...good, logits: wrong(probabilities) }),
      "role",
      "logits",
      /before the softmax/,
    ],
    [
      "probabilities to apply to",
      () => temperatureScaling(good).apply(wrong(probabilities)),
      "role",
      "logits",
      /before the softmax/,
    ],
    [
      "another number of classes",
      () => temperatureScaling(good).apply([[1, 2, 3]]),
      "shape",
      "logits",
      /\[\.\.\., 2\]/,
    ],
    [
      "a typed array",
      () => temperatureScaling({ ...good, logits: wrong(new Float32Array(4)) }),
      "argument",
      "logits",
      /tensor\(data, shape\)/,
    ],
    [
      "a label out of range",
      () => temperatureScaling({ ...good, labels: [0, 2] }),
      "value",
      "labels",
      /2 at \[1\].*0\.\.1.*mask/,
    ],
    ["a label of −100", () => temperatureScaling({ ...good, labels: [0, -100] }), "value", "labels", /mask of 0/],
    [
      "half a label",
      () => temperatureScaling({ logits: [1, -1], labels: [1, 0.5] }),
      "value",
      "labels",
      /0\.5 at \[1\]/,
    ],
    [
      "labels of one class",
      () => temperatureScaling({ ...good, labels: [1, 1] }),
      "value",
      "labels",
      /more than one class.*held-out/,
    ],
    [
      "labels of one class in a mask",
      () => temperatureScaling({ ...good, mask: [1, 0] }),
      "value",
      "labels",
      /1 labels/,
    ],
    [
      "a NaN logit",
      () =>
        temperatureScaling({
          ...good,
          logits: [
            [2, 0],
            [NaN, 1],
          ],
        }),
      "value",
      "logits",
      /NaN at \[1, 0\].*mask of 0/,
    ],
    [
      "an infinite logit",
      () =>
        temperatureScaling({
          ...good,
          logits: [
            [2, Infinity],
            [0, 1],
          ],
        }),
      "value",
      "logits",
      /finite/,
    ],
    [
      "a label that is forbidden",
      () =>
        temperatureScaling({
          ...good,
          logits: [
            [-Infinity, 0],
            [0, 1],
          ],
        }),
      "value",
      "logits",
      /off the label/,
    ],
    [
      "nothing",
      () => temperatureScaling({ logits: tensor(new Float64Array(0), [0, 2]), labels: tensor(new Int32Array(0)) }),
      "empty",
      "labels",
      /held-out/,
    ],
    ["nothing that counts", () => temperatureScaling({ ...good, weights: [0, 0] }), "empty", "labels", /weight 0/],
    [
      "one class",
      () => temperatureScaling({ logits: [[1], [2]], labels: [0, 0] }),
      "shape",
      "logits",
      /drop the last axis/,
    ],
    ["labels of another shape", () => temperatureScaling({ ...good, labels: [0, 1, 1] }), "shape", "logits", /\[3\]/],
    ["weights of another shape", () => temperatureScaling({ ...good, weights: [1] }), "shape", "weights", /\[2\]/],
    ["a negative weight", () => temperatureScaling({ ...good, weights: [1, -1] }), "value", "weights", /-1 at \[1\]/],
    ["a mask of halves", () => temperatureScaling({ ...good, mask: [1, 0.5] }), "value", "mask", /0 or 1/],
    [
      "a misspelt field",
      () => temperatureScaling(wrong({ ...good, wieghts: [1, 1] })),
      "unknown",
      "wieghts",
      /"weights"/,
    ],
    ["no object", () => temperatureScaling(wrong(undefined)), "argument", "argument", /an object/],
    ["no labels", () => temperatureScaling(wrong({ logits: good.logits })), "argument", "labels", /tensor/],
  ]);
});
