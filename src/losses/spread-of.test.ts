import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { Spread } from "../tally/index.js";
import { tensor } from "../tensor/index.js";
import { crossEntropy, ctc, infoNce, squaredError } from "./all.js";

const predictions = tensor(Float64Array.of(1, 2, 3, 4), [2, 2]);
const targets = tensor(Float64Array.of(0, 0, 0, Number.NaN), [2, 2]);
const weights = tensor(Float64Array.of(1, 3, 2, 0), [2, 2]);

describe("evaluate with standardError", () => {
  it("is √(Σ w²(l − value)²) / Σ w, and what is weighed by 0 leaves no trace", () => {
    const found = squaredError().evaluate({ predictions, targets, weights }, { standardError: true });
    const value = (1 * 1 + 3 * 4 + 2 * 9) / 6;
    const squares = 1 * (1 - value) ** 2 + 9 * (4 - value) ** 2 + 4 * (9 - value) ** 2;
    expect(found.value).toBe(value);
    expect(found.standardError).toBeCloseTo(Math.sqrt(squares) / 6, 14);
    expect(found.effectiveSampleSize).toBeCloseTo(36 / 14, 14);
  });

  it("draws whole sequences where the contract averages them", () => {
    const labels = tensor(Int32Array.of(0, 1, 0, -100), [2, 2]);
    const logits = tensor(Float64Array.of(1, 0, 0, 0, 3, 1, 9, 9), [2, 2, 2]);
    const of = (per: "token" | "sequence") =>
      crossEntropy({ per }).evaluate({ logits, labels }, { standardError: true });
    const losses = crossEntropy().perUnit({ logits, labels }).data;
    const means = [(losses[0]! + losses[1]!) / 2, losses[2]!];
    const centered = means.map((mean) => (mean - (means[0]! + means[1]!) / 2) ** 2);
    expect(of("sequence").standardError).toBeCloseTo(Math.sqrt(centered[0]! + centered[1]!) / 2, 14);
    expect(of("sequence").effectiveSampleSize).toBe(2);
    expect(of("token").effectiveSampleSize).toBe(3);
  });

  it("counts class weights inside numerator and denominator as the value does", () => {
    const batch = {
      logits: tensor([
        [1, 0],
        [0, 2],
        [1, 1],
      ]),
      labels: tensor(Int32Array.of(0, 1, 1)),
    };
    const found = crossEntropy({ classWeights: [1, 4] }).evaluate(batch, { standardError: true });
    const losses = crossEntropy().perUnit(batch).data;
    const squares = [1, 4, 4].map((weight, unit) => (weight * (losses[unit]! - found.value)) ** 2);
    expect(found.standardError).toBeCloseTo(Math.sqrt(squares.reduce((a, b) => a + b)) / 9, 14);
  });

  it("takes whole sequences with their lengths: CTC by frame labels", () => {
    const logits = tensor(
      Float64Array.from({ length: 2 * 4 * 3 }, (_, i) => Math.sin(i)),
      [2, 4, 3],
    );
    const batch = {
      logits,
      labels: tensor(Int32Array.of(1, 2, 1, 0), [2, 2]),
      inputLengths: tensor(Int32Array.of(4, 4)),
      labelLengths: tensor(Int32Array.of(2, 1)),
    };
    const found = ctc({ per: "sequence", layout: "BTC" }).evaluate(batch, { standardError: true });
    expect(found.effectiveSampleSize).toBe(2);
    expect(found.standardError).toBeGreaterThan(0);
  });

  it("merges over parts to the bits of the whole", () => {
    const part = (from: number, to: number) => ({
      predictions: tensor(Float64Array.of(1, 2, 3, 4, 5).slice(from, to)),
      targets: tensor(new Float64Array(to - from)),
    });
    const of = (from: number, to: number) => squaredError().evaluate(part(from, to), { standardError: true });
    const merged = of(0, 2).spread.merge(Spread.fromJSON(JSON.parse(JSON.stringify(of(2, 5).spread))));
    expect(merged.standardError).toBe(of(0, 5).standardError);
    expect(merged.toJSON()).toEqual(of(0, 5).spread.toJSON());
  });

  it("is there for kernels too, and leaves the value what it is", () => {
    const batch = {
      predictions: tensor(Float32Array.from({ length: 300 }, (_, i) => Math.sin(i))),
      targets: tensor(new Float32Array(300)),
    };
    const found = squaredError().evaluate(batch, { standardError: true });
    expect(found.ranBy).toBe("wasm");
    expect(found.value).toBe(squaredError().evaluate(batch).value);
    const reference = squaredError().withEngine("reference").evaluate(batch, { standardError: true });
    expect(found.standardError).toBeCloseTo(reference.standardError, 8);
  });

  it("is no number where nothing was counted", () => {
    const batch = { predictions: tensor([1]), targets: tensor([1]), mask: tensor([0]) };
    expect(squaredError().evaluate(batch, { standardError: true }).standardError).toBeNaN();
  });

  describe("is refused for", () => {
    const queries = tensor([
      [1, 0],
      [0, 1],
    ]);
    const logits = tensor([
      [1, 0],
      [0, 1],
    ]);
    const labels = tensor(Int32Array.of(0, 1));
    refuses([
      [
        "coupled batches",
        () => infoNce().evaluate({ queries, keys: queries }, { standardError: true }),
        "unsupported",
        "standardError",
        /several batches/,
      ],
      [
        "pieces of groups",
        () =>
          crossEntropy({ per: "sequence" }).evaluate({ logits, labels, groupKeys: labels }, { standardError: true }),
        "unsupported",
        "standardError",
        /without groupKeys/,
      ],
      [
        "a misspelt option",
        () => crossEntropy().evaluate({ logits, labels }, wrong({ standardErrors: true })),
        "unknown",
        "standardErrors",
        /"standardError"/,
      ],
      [
        "fields in a second object",
        () => crossEntropy().evaluate(wrong({ logits }), wrong({ labels })),
        "unknown",
        "labels",
        /one object/,
      ],
      [
        "a word for true",
        () => crossEntropy().evaluate({ logits, labels }, wrong({ standardError: "yes" })),
        "option",
        "standardError",
        /true or false/,
      ],
    ]);
  });
});
