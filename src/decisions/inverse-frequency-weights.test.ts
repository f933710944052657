import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { inverseFrequencyWeights } from "./inverse-frequency-weights.js";

describe("inverseFrequencyWeights", () => {
  it("gives every class the same share, and the whole data set the weight n", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1e6 }), { minLength: 1, maxLength: 20 }), (counts) => {
        const { data } = inverseFrequencyWeights(counts);
        const total = counts.reduce((sum, count) => sum + count, 0);
        for (const [k, count] of counts.entries()) {
          expect((data[k]! * count * counts.length) / total).toBeCloseTo(1, 12);
        }
      }),
    );
  });

  it("takes a tensor of any dtype, or a list", () => {
    const expected = [...inverseFrequencyWeights([90, 9, 1]).data];
    for (const counts of [Int32Array.of(90, 9, 1), BigInt64Array.of(90n, 9n, 1n), Float32Array.of(90, 9, 1)]) {
      const found = inverseFrequencyWeights(tensor(counts));
      expect(found).toMatchObject({ dtype: "float64", shape: [3], role: "weights" });
      expect([...found.data]).toEqual(expected);
    }
  });

  it.each([
    ["a class without examples", [3, 0, 1], "value", [1]],
    ["a negative count", [3, -1], "value", [1]],
    ["NaN", [NaN, 1], "value", [0]],
    ["∞", [1, Infinity], "value", [1]],
    ["no class at all", [], "shape", undefined],
    ["two axes", [[1, 2]], "shape", undefined],
    ["a typed array", Int32Array.of(1, 2), "argument", undefined],
    ["labels", tensor([0, 1], undefined, "classIndices"), "role", undefined],
  ])("refuses %s", (_, counts, code, index) => {
    expect(() => inverseFrequencyWeights(counts as never)).toThrow(
      expect.objectContaining({ code, where: "inverseFrequencyWeights", field: "counts", ...(index && { index }) }),
    );
  });
});
