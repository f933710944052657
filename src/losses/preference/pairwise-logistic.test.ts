import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { binaryCrossEntropy } from "../binary/binary-cross-entropy.js";
import { pairwiseLogistic } from "./pairwise-logistic.js";

const batchOf = (chosen: number, rejected: number) => ({
  chosen: tensor(Float64Array.of(chosen)),
  rejected: tensor(Float64Array.of(rejected)),
});
const reward = fc.double({ min: -50, max: 50, noNaN: true });

describe("pairwiseLogistic", () => {
  it("is the binary cross entropy of the difference against 1, and smoothed against 1 − ε", () => {
    fc.assert(
      fc.property(reward, reward, fc.constantFrom(0, 0.1, 0.5), (chosen, rejected, labelSmoothing) => {
        const pair = pairwiseLogistic({ labelSmoothing }).valueAndGradients(batchOf(chosen, rejected));
        const binary = binaryCrossEntropy().valueAndGradients({
          logits: tensor(Float64Array.of(chosen - rejected)),
          targets: tensor(Float64Array.of(1 - labelSmoothing)),
        });
        expect(pair.value).toBeCloseTo(binary.value, 12);
        expect(pair.gradients.chosen.data[0]).toBeCloseTo(Number(binary.gradients.logits.data[0]), 12);
      }),
    );
  });

  it("sees only the difference: both rewards moved alike change nothing, and the gradients cancel", () => {
    fc.assert(
      fc.property(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -40, max: 40 }), (chosen, rejected) => {
        const [here, there] = [0, 1024].map((moved) =>
          pairwiseLogistic().valueAndGradients(batchOf(chosen + moved, rejected + moved)),
        );
        expect(there!.value).toBe(here!.value);
        expect(Number(here!.gradients.chosen.data[0]) + Number(here!.gradients.rejected.data[0])).toBe(0);
      }),
    );
  });

  it("asks the chosen reward to win by the margin, smoothing included", () => {
    const margin = tensor(Float64Array.of(1.5));
    for (const labelSmoothing of [0, 0.25]) {
      const objective = pairwiseLogistic({ labelSmoothing });
      const { value } = objective.evaluate({ ...batchOf(2, 0.25), margin });
      expect(value).toBe(objective.evaluate(batchOf(0.5, 0.25)).value);
    }
  });

  it("adds c times the squared sum, with a gradient that pulls both rewards to 0", () => {
    const [plain, centered] = [0, 0.5].map((centerCoefficient) =>
      pairwiseLogistic({ centerCoefficient }).valueAndGradients(batchOf(3, 1)),
    );
    expect(centered!.value).toBeCloseTo(plain!.value + 8, 12);
    for (const side of ["chosen", "rejected"] as const) {
      expect(centered!.gradients[side].data[0]).toBeCloseTo(Number(plain!.gradients[side].data[0]) + 4, 12);
    }
  });

  it("keeps the small loss of a pair that is won by far, and the full slope of one that is lost", () => {
    const won = pairwiseLogistic().valueAndGradients(batchOf(40, 0));
    expect(won.value).toBe(4.248354255291589e-18);
    expect(won.gradients.chosen.data[0]).toBe(-4.248354255291589e-18);
    const lost = pairwiseLogistic().valueAndGradients(batchOf(-1e4, 0));
    expect([lost.value, lost.gradients.chosen.data[0], lost.gradients.rejected.data[0]]).toEqual([1e4, -1, 1]);
  });

  it.each([
    ["+∞ chosen", Infinity, 0, 0],
    ["+∞ rejected", 0, Infinity, Infinity],
    ["−∞ rejected", 0, -Infinity, 0],
    ["both +∞", Infinity, Infinity, NaN],
    ["NaN", NaN, 0, NaN],
  ])("at the limit: %s", (_, chosen, rejected, loss) => {
    expect(pairwiseLogistic().evaluate(batchOf(chosen, rejected)).value).toBe(loss);
  });

  it.each([
    ["labelSmoothing", [-0.1, 0.6, NaN, "0.1", null]],
    ["centerCoefficient", [-1, Infinity, NaN, null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => pairwiseLogistic({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("refuses a margin that is not finite, and rewards of another shape", () => {
    const margin = tensor(Float64Array.of(NaN));
    expect(() => pairwiseLogistic().evaluate({ ...batchOf(1, 0), margin })).toThrow(
      expect.objectContaining({ code: "value", field: "margin" }),
    );
    const rejected = tensor(new Float64Array(2));
    expect(() => pairwiseLogistic().evaluate({ ...batchOf(1, 0), rejected })).toThrow(
      expect.objectContaining({ code: "shape", field: "rejected" }),
    );
  });
});
