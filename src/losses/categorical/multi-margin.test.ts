import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { multiMargin } from "./multi-margin.js";
import { labeled, numbers } from "./rows.test-helper.js";

const at = (logits: readonly number[], label: number, options = {}) => {
  const { value, gradients } = multiMargin(options).valueAndGradients(labeled(logits, label));
  return [value, ...numbers(gradients.logits)];
};

describe("multiMargin", () => {
  it("sums hinges over the other classes and divides by the number of all", () => {
    expect(at([1, 0.5, 2, -3], 0)).toEqual([(0.5 + 2) / 4, -0.5, 0.25, 0.25, 0]);
    expect(at([1, 0.5, 2, -3], 0, { p: 2 })).toEqual([(0.25 + 4) / 4, -1.25, 0.25, 1, 0]);
  });

  it("has slope 0 at the kink and beyond, 1/K before it", () => {
    expect(at([1, 0], 0)).toEqual([0, 0, 0]);
    expect(at([1, -(2 ** -40)], 0)).toEqual([0, 0, 0]);
    expect(at([1, 2 ** -40], 0)).toEqual([2 ** -41, -0.5, 0.5]);
  });

  it("asks for another margin", () => {
    expect(at([1, 0], 0, { margin: 3 })).toEqual([1, -0.5, 0.5]);
    expect(at([1, 0.5], 0, { margin: 0 })).toEqual([0, 0, 0]);
  });

  it("scales by the label's class weight, which stands in perUnit and does not divide", () => {
    const batch = {
      logits: tensor([
        [0, 0.5],
        [0, 0],
      ]),
      labels: tensor([0, 1]),
    };
    const plain = numbers(multiMargin().perUnit(batch));
    const classWeights = [2, 0.5];
    expect(numbers(multiMargin({ classWeights }).perUnit(batch))).toEqual([2 * plain[0]!, 0.5 * plain[1]!]);
    expect(multiMargin({ classWeights }).evaluate(batch).denominator).toBe(2);
    expect(multiMargin({ classWeights }).describe()).toContain("not in the denominator");
  });

  it.each([
    ["a class forbidden", [1, -Infinity, 0.5], 0, [0.5 / 3, -1 / 3, 0, 1 / 3]],
    ["the label forbidden", [-Infinity, 0], 0, [Infinity, -0.5, 0.5]],
    ["nothing but −∞", [-Infinity, -Infinity], 0, [NaN, NaN, NaN]],
    ["+∞ at the label", [Infinity, 0], 0, [NaN, NaN, NaN]],
    ["NaN", [0, NaN], 0, [NaN, NaN, NaN]],
    ["±1e4", [-1e4, 1e4], 0, [10000.5, -0.5, 0.5]],
    ["one class", [3], 0, [0, 0]],
  ])("at the limit: %s", (_, logits, label, wanted) => {
    expect(at(logits, label)).toEqual(wanted);
  });

  it("is silent at a class weight of 0, also where the loss would be infinite", () => {
    expect(at([-Infinity, 0], 0, { classWeights: [0, 1] })).toEqual([0, 0, 0]);
  });

  it.each([
    ["p", [0, 1.5, 3, NaN]],
    ["margin", [NaN, Infinity, null]],
    ["classWeights", [[-1, 1], 2]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => multiMargin({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("takes labels alone", () => {
    const { logits } = labeled([0, 1], 0);
    expect(() => multiMargin().evaluate({ logits } as never)).toThrow(
      expect.objectContaining({ code: "missing-field", field: "labels" }),
    );
    expect(() => multiMargin().evaluate({ ...labeled([0, 1], 0), targets: logits } as never)).toThrow(
      expect.objectContaining({ code: "unknown", field: "targets" }),
    );
  });
});
