import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { pairwiseLogistic } from "./pairwise-logistic.js";
import { simPo } from "./sim-po.js";

const batchOf = (chosen: number, rejected: number) => ({
  policyChosen: tensor(Float64Array.of(chosen)),
  policyRejected: tensor(Float64Array.of(rejected)),
});

describe("simPo", () => {
  it("is the pairwise logistic loss of rewards β · score with the margin γ", () => {
    const score = fc.double({ min: -20, max: 0, noNaN: true });
    fc.assert(
      fc.property(score, score, fc.constantFrom(0, 0.5, 1.5), (chosen, rejected, gamma) => {
        const here = simPo({ beta: 2, gamma }).valueAndGradients(batchOf(chosen, rejected));
        const pair = pairwiseLogistic().valueAndGradients({
          chosen: tensor(Float64Array.of(2 * chosen)),
          rejected: tensor(Float64Array.of(2 * rejected)),
          margin: tensor(Float64Array.of(gamma)),
        });
        expect(here.value).toBe(pair.value);
        expect(here.gradients.policyChosen.data[0]).toBe(2 * Number(pair.gradients.chosen.data[0]));
        expect(here.gradients.policyRejected.data[0]).toBe(2 * Number(pair.gradients.rejected.data[0]));
      }),
    );
  });

  it("takes γ in the unit of the reward: the loss is log 2 where β times the difference is γ", () => {
    expect(simPo({ beta: 4, gamma: 1 }).evaluate(batchOf(-1, -1.25)).value).toBe(Math.LN2);
  });

  it("has TRL's defaults, on mean scores", () => {
    expect(simPo().contract.options).toEqual({ beta: 0.1, gamma: 0.5, score: "mean" });
  });

  it.each([
    [-Infinity, 0, Infinity],
    [0, -Infinity, 0],
    [-Infinity, -Infinity, NaN],
    [-1e4, 0, 1e4 + 0.5],
  ])("at %d against %d", (chosen, rejected, loss) => {
    expect(simPo({ beta: 1 }).evaluate(batchOf(chosen, rejected)).value).toBe(loss);
  });

  it.each([
    ["beta", [0, -1, NaN, Infinity, null]],
    ["gamma", [-0.1, NaN, Infinity, null]],
    ["score", ["total", "", null, 1]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => simPo({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });
});
