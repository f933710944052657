import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { binaryCrossEntropy } from "../binary/binary-cross-entropy.js";
import { ordinal } from "./ordinal.js";
import { labeled, logitRow, numbers } from "./rows.test-helper.js";

describe("ordinal", () => {
  it("is the sum of binary cross entropies of the questions 'above class j?'", () => {
    fc.assert(
      fc.property(logitRow, fc.nat(), (logits, any) => {
        const label = any % (logits.length + 1);
        const { value, gradients } = ordinal().valueAndGradients(labeled(logits, label));
        const targets = tensor(Float64Array.from(logits, (_, j) => Number(label > j)));
        const binary = binaryCrossEntropy({ divideBy: { constant: 1 } }).valueAndGradients({
          logits: tensor(Float64Array.from(logits)),
          targets,
        });
        expect(value).toBeCloseTo(binary.value, 12);
        expect(numbers(gradients.logits)).toEqual(numbers(binary.gradients.logits));
      }),
    );
  });

  it("takes K labels over K − 1 logits, and says so of others", () => {
    for (const label of [0, 1, 2])
      expect(ordinal().evaluate(labeled([0, 0], label)).value).toBeCloseTo(2 * Math.LN2, 14);
    for (const label of [3, -1]) {
      expect(() => ordinal().evaluate(labeled([0, 0], label))).toThrow(
        expect.objectContaining({
          code: "value",
          field: "labels",
          index: [0],
          expected: expect.stringContaining("0..2"),
        }),
      );
    }
    expect(ordinal().evaluate(labeled([0, 0], -100)).denominator).toBe(0);
  });

  it("reads thresholds from another axis", () => {
    const logits = tensor(Float64Array.of(1, 2, 3, 4, 5, 6), [1, 2, 3]);
    const labels = tensor(Int32Array.of(0, 1, 2), [1, 3]);
    const moved = tensor(Float64Array.of(1, 4, 2, 5, 3, 6), [1, 3, 2]);
    expect(ordinal({ classAxis: 1 }).evaluate({ logits, labels }).value).toBe(
      ordinal().evaluate({ logits: moved, labels }).value,
    );
  });

  it.each([
    ["−∞ where the label is not above", [-Infinity], 0, [0, 0]],
    ["−∞ where it is", [-Infinity], 1, [Infinity, -1]],
    ["+∞", [Infinity], 1, [NaN, NaN]],
    ["NaN", [NaN], 0, [NaN, NaN]],
    ["±1e4, right", [1e4, -1e4], 1, [0, 0, 0]],
    ["±1e4, wrong", [-1e4, 1e4], 1, [2e4, -1, 1]],
  ])("at the limit: %s", (_, logits, label, wanted) => {
    const { value, gradients } = ordinal().valueAndGradients(labeled(logits, label));
    expect([value, ...numbers(gradients.logits)]).toEqual(wanted);
  });

  it("refuses another kind", () => {
    expect(() => ordinal({ kind: "corn" as never })).toThrow(
      expect.objectContaining({ code: "option", field: "kind" }),
    );
  });
});
