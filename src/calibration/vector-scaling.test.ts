import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { softmax, tensor } from "../tensor/index.js";
import { drawnSamples, fieldsOf, numbers } from "./samples.test-helper.js";
import { temperatureScaling } from "./temperature-scaling.js";
import { vectorScaling } from "./vector-scaling.js";

/** The mean loss and its gradient by scale and bias, plainly. */
function lossAt(logits: number[][], labels: number[], weights: number[], scale: number[], bias: number[]) {
  const total = weights.reduce((sum, w) => sum + w, 0);
  const gradient = { scale: scale.map(() => 0), bias: bias.map(() => 0) };
  let loss = 0;
  logits.forEach((row, i) => {
    const moved = row.map((z, k) => scale[k]! * z + bias[k]!);
    const peak = Math.max(...moved);
    const sum = moved.reduce((all, z) => all + Math.exp(z - peak), 0);
    loss += (weights[i]! / total) * (Math.log(sum) + peak - moved[labels[i]!]!);
    moved.forEach((z, k) => {
      const residual = (weights[i]! / total) * (Math.exp(z - peak) / sum - (k === labels[i] ? 1 : 0));
      gradient.scale[k]! += residual * row[k]!;
      gradient.bias[k]! += residual;
    });
  });
  return { loss, gradient };
}

const rowsOf = (flat: readonly number[], width: number) =>
  Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));

describe("vectorScaling", () => {
  it("finds the scales and biases that the labels were drawn at", () => {
    const [scale, bias] = [
      [0.5, 1.5, 0.8],
      [0.7, -0.2, -0.5],
    ];
    const rows = [
      [1, 2, 0],
      [3, -1, 0.5],
      [0, 0, 2],
      [-1, 1, 1],
      [2, 2, -2],
      [0.3, -1, -2],
      [-2, 3, 1],
    ];
    const probabilities = softmax(tensor(rows.map((row) => row.map((z, k) => scale[k]! * z + bias[k]!))));
    const found = vectorScaling({
      logits: rows.flatMap((row) => row.map(() => row)),
      labels: rows.flatMap((row) => row.map((_, k) => k)),
      weights: numbers(probabilities),
    });
    numbers(found.scale).forEach((a, k) => {
      expect(a).toBeCloseTo(scale[k]!, 6);
    });
    numbers(found.bias).forEach((b, k) => {
      expect(b).toBeCloseTo(bias[k]!, 6);
    });
    expect(found.notes).toEqual([]);
  });

  it("has no slope left, and at most the loss of one temperature", () => {
    fc.assert(
      fc.property(drawnSamples(3), (samples) => {
        const fields = fieldsOf(samples);
        const found = vectorScaling(fields);
        const [scale, bias] = [numbers(found.scale), numbers(found.bias)];
        const rows = rowsOf(samples.logits, 3);
        const { loss, gradient } = lossAt(rows, samples.labels, samples.weights, scale, bias);
        expect(loss).toBeCloseTo(found.nll, 10);
        scale.forEach((a, k) => {
          // The ridge of 1e-9 is part of the loss.
          expect(Math.abs(gradient.scale[k]! + 1e-9 * (a - 1))).toBeLessThan(1e-9);
          expect(Math.abs(gradient.bias[k]! + 1e-9 * bias[k]!)).toBeLessThan(1e-9);
        });
        expect(found.nllBefore).toBeCloseTo(temperatureScaling(fields).nllBefore, 10);
        expect(found.nll).toBeLessThan(temperatureScaling(fields).nll + 1e-6);
        expect(found.notes.some(({ code }) => code === "unsettled")).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("gives the same bits for every order of the samples", () => {
    fc.assert(
      fc.property(drawnSamples(4), (samples) => {
        const [one, other] = [fieldsOf(samples), fieldsOf(samples, samples.order)].map(vectorScaling);
        expect(other!.toJSON()).toEqual(one!.toJSON());
      }),
      { numRuns: 30 },
    );
  });

  it("ends on separable samples, with a note, and near what they say", () => {
    const found = vectorScaling({
      logits: [
        [2, 0],
        [0, 1],
        [3, 0],
      ],
      labels: [0, 1, 0],
    });
    expect(found.notes).toEqual([expect.objectContaining({ code: "separable" })]);
    expect(found.nll).toBeLessThan(1e-5);
    expect(Math.max(...numbers(found.scale).map(Math.abs))).toBeLessThan(100);
  });

  it("says which class no sample has", () => {
    const logits = [
      [2, 0, 1],
      [0, 1, 0],
      [1, 2, 3],
      [1, 0, 1],
    ];
    const found = vectorScaling({ logits, labels: [0, 1, 0, 1] });
    expect(found.notes).toContainEqual(expect.objectContaining({ code: "absent-class", count: 1 }));
    expect(Math.max(...numbers(found.apply(logits)).filter((_, i) => i % 3 === 2))).toBeLessThan(0.01);
  });

  it("brings back the share of each class, which a temperature cannot", () => {
    // Probabilities of a model trained with the class weights 1 and 5: its logits are log p + log w.
    const shares = [0.1, 0.3, 0.5, 0.7, 0.9];
    const weighted = shares.map((p) => [Math.log(1 - p), Math.log(5 * p)]);
    const found = vectorScaling({
      logits: [...weighted, ...weighted],
      labels: [...shares.map(() => 1), ...shares.map(() => 0)],
      weights: [...shares, ...shares.map((p) => 1 - p)],
    });
    const back = numbers(found.apply(weighted)).filter((_, i) => i % 2 === 1);
    back.forEach((p, i) => {
      expect(p).toBeCloseTo(shares[i]!, 6);
    });
  });

  it("applies to any leading axes, in the precision given", () => {
    const found = vectorScaling({
      logits: [
        [2, 0],
        [0, 1],
        [0.5, 1],
        [1, 2],
      ],
      labels: [0, 1, 0, 1],
    });
    const applied = found.apply(tensor(new Float32Array(8), [2, 2, 2]));
    expect(applied).toMatchObject({ dtype: "float32", shape: [2, 2, 2], role: "probabilities" });
    expect(numbers(applied)[0]! + numbers(applied)[1]!).toBeCloseTo(1, 6);
  });

  const good = {
    logits: tensor([
      [2, 0],
      [0, 1],
    ]),
    labels: tensor([0, 1]),
  };
  refuses([
    [
      "probabilities",
      () => vectorScaling({ ...good, logits: wrong(softmax(good.logits)) }),
      "role",
      "logits",
      /before the softmax/,
    ],
    [
      "probabilities to apply to",
      () => vectorScaling(good).apply(wrong(softmax(good.logits))),
      "role",
      "logits",
      /before the softmax/,
    ],
    ["binary logits", () => vectorScaling({ logits: [1, -1], labels: [1, 0] }), "shape", "logits", /plattScaling/],
    [
      "a forbidden class",
      () =>
        vectorScaling({
          ...good,
          logits: [
            [2, -Infinity],
            [0, 1],
          ],
        }),
      "value",
      "logits",
      /finite/,
    ],
    [
      "a NaN",
      () =>
        vectorScaling({
          ...good,
          logits: [
            [2, NaN],
            [0, 1],
          ],
        }),
      "value",
      "logits",
      /NaN at \[0, 1\]/,
    ],
    ["a label out of range", () => vectorScaling({ ...good, labels: [0, 5] }), "value", "labels", /0\.\.1/],
    ["one class alone", () => vectorScaling({ ...good, labels: [0, 0] }), "value", "labels", /every class/],
    ["another number of classes", () => vectorScaling(good).apply([[1, 2, 3]]), "shape", "logits", /\[\.\.\., 2\]/],
    ["an unknown field", () => vectorScaling(wrong({ ...good, ridge: 1 })), "unknown", "ridge", /one of logits/],
    ["nothing", () => vectorScaling({ ...good, mask: [0, 0] }), "empty", "labels", /at least one sample/],
  ]);
});
