import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sigmoid, tensor } from "../tensor/index.js";
import { undoPosWeight } from "./undo-pos-weight.js";

describe("undoPosWeight", () => {
  it("gives back the probability that a weighted fit hides", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        (p, w) => {
          // The logit that minimizes −w p log σ(z) − (1 − p) log σ(−z).
          const fitted = tensor(Float64Array.of(Math.log((w * p) / (1 - p))));
          expect(Number(sigmoid(undoPosWeight(fitted, w)).data[0])).toBeCloseTo(p, 12);
        },
      ),
    );
  });

  it("keeps shape, dtype and infinities, and leaves weight 1 alone", () => {
    const logits = tensor(Float32Array.of(1, -2, Infinity, NaN), [2, 2]);
    const same = undoPosWeight(logits, 1);
    expect(same).toMatchObject({ dtype: "float32", shape: [2, 2], role: "logits" });
    expect([...same.data]).toEqual([...logits.data]);
    expect(undoPosWeight(logits, 3).data[2]).toBe(Infinity);
    expect(logits.data[0]).toBe(1);
  });

  it("takes one weight an entry of the last axis, as a list or a tensor", () => {
    const logits = tensor([
      [0, 0],
      [1, 1],
    ]);
    const expected = [0, -Math.LN2, 1, 1 - Math.LN2].map((x) => expect.closeTo(x, 15));
    for (const weights of [[1, 2], tensor(Float64Array.of(1, 2))]) {
      expect([...undoPosWeight(logits, weights).data].map((z) => Number(z) + 0)).toEqual(expected);
    }
    expect(undoPosWeight(logits, tensor(Float64Array.of(1), [])).data[2]).toBe(1);
  });

  const logits = tensor([[0, 0]]);
  it.each([
    ["a weight of 0", logits, 0, "value", "posWeight"],
    ["a negative weight", logits, [1, -1], "value", "posWeight"],
    ["an infinite weight", logits, Infinity, "value", "posWeight"],
    ["weights of another length", logits, [1, 2, 3], "shape", "posWeight"],
    ["weights of two axes", logits, [[1, 2]], "shape", "posWeight"],
    ["no weight", logits, undefined, "argument", "posWeight"],
    ["probabilities", tensor(new Float64Array(2), [1, 2], "probabilities"), 2, "role", "logits"],
    ["integers", tensor(new Int32Array(2)), 2, "dtype", "logits"],
    ["a list", [0, 1], 2, "argument", "logits"],
  ])("refuses %s", (_, given, weight, code, field) => {
    expect(() => undoPosWeight(given as never, weight as never)).toThrow(expect.objectContaining({ code, field }));
  });
});
