import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { softmax, tensor } from "../tensor/index.js";
import { decide } from "./decide.js";

const zeroOne = [
  [0, 1, 1],
  [1, 0, 1],
  [1, 1, 0],
];

describe("decide", () => {
  it("takes the most likely class where every error costs the same", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 3, maxLength: 3 }), (logits) => {
        fc.pre(new Set(logits.map((z) => Math.round(z * 1e6) + 0)).size === 3);
        const probabilities = softmax(tensor([logits]));
        const found = decide({ probabilities, costs: zeroOne });
        expect([...found.data]).toEqual([logits.indexOf(Math.max(...logits))]);
      }),
    );
  });

  it("is a threshold of c_01/(c_01 + c_10) for two classes", () => {
    const costs = [
      [0, 1],
      [3, 0],
    ];
    const of = (p: number) => decide({ probabilities: [[1 - p, p]], costs }).data[0];
    expect([of(0.2), of(0.24), of(0.26), of(0.9)]).toEqual([0, 0, 1, 1]);
    // Equally cheap: the first decision.
    expect(of(0.25)).toBe(0);
  });

  it("knows decisions that are no class: a last column that asks a person", () => {
    const costs = [
      [0, 10, 2],
      [10, 0, 2],
    ];
    const probabilities = [
      [0.9, 0.1],
      [0.5, 0.5],
      [0.1, 0.9],
    ];
    expect([...decide({ probabilities, costs }).data]).toEqual([0, 2, 1]);
  });

  it("keeps the leading axes", () => {
    const probabilities = tensor(new Float32Array(12).fill(1 / 3), [2, 2, 3]);
    expect(decide({ probabilities, costs: zeroOne })).toMatchObject({
      dtype: "int32",
      shape: [2, 2],
      role: "classIndices",
    });
    expect(decide({ probabilities: [0.2, 0.7, 0.1], costs: zeroOne })).toMatchObject({
      shape: [],
      data: Int32Array.of(1),
    });
    expect(decide({ probabilities: tensor(new Float64Array(0), [0, 3]), costs: zeroOne }).shape).toEqual([0]);
  });

  const fair = [[0.2, 0.3, 0.5]];
  it.each([
    [
      "logits",
      { probabilities: tensor(new Float64Array(3), [1, 3], "logits"), costs: zeroOne },
      "role",
      "probabilities",
    ],
    ["what lies outside [0, 1]", { probabilities: [[2, -1, 0]], costs: zeroOne }, "value", "probabilities"],
    ["NaN", { probabilities: [[NaN, 0.5, 0.5]], costs: zeroOne }, "value", "probabilities"],
    ["rows that do not sum to 1", { probabilities: [[0.5, 0.1, 0.1]], costs: zeroOne }, "value", "probabilities"],
    ["another number of classes", { probabilities: [[0.5, 0.5]], costs: zeroOne }, "shape", "probabilities"],
    ["one number a row", { probabilities: tensor(Float64Array.of(1), []), costs: zeroOne }, "shape", "probabilities"],
    ["costs of one axis", { probabilities: fair, costs: [1, 2, 3] }, "shape", "costs"],
    ["costs of no decision", { probabilities: fair, costs: tensor(new Float64Array(0), [3, 0]) }, "shape", "costs"],
    ["an infinite cost", { probabilities: fair, costs: [[0], [Infinity], [1]] }, "value", "costs"],
    ["no costs", { probabilities: fair }, "argument", "costs"],
    ["an unknown argument", { probabilities: fair, costs: zeroOne, cost: zeroOne }, "unknown", "cost"],
  ])("refuses %s", (_, input, code, field) => {
    expect(() => decide(input as never)).toThrow(expect.objectContaining({ code, where: "decide", field }));
  });
});
