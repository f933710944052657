import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { cpo } from "./cpo.js";
import { dpo } from "./dpo.js";

const batchOf = (chosen: number, rejected: number) => ({
  policyChosen: tensor(Float64Array.of(chosen)),
  policyRejected: tensor(Float64Array.of(rejected)),
});
const score = fc.double({ min: -60, max: 0, noNaN: true });

describe("cpo", () => {
  it("is DPO without a reference plus the negative log-likelihood of the chosen answer", () => {
    fc.assert(
      fc.property(score, score, fc.constantFrom(0.1, 1, 4), (chosen, rejected, beta) => {
        const here = cpo({ beta }).valueAndGradients(batchOf(chosen, rejected));
        const preference = dpo({ beta, referenceFree: true }).valueAndGradients(batchOf(chosen, rejected));
        expect(here.value).toBe(preference.value - chosen);
        expect(here.gradients.policyChosen.data[0]).toBe(Number(preference.gradients.policyChosen.data[0]) - 1);
        expect(here.gradients.policyRejected.data[0]).toBe(preference.gradients.policyRejected.data[0]);
      }),
    );
  });

  it("writes mean scores into the contract unless told otherwise, and computes the same", () => {
    expect(cpo().contract.options).toEqual({ beta: 0.1, score: "mean" });
    expect(cpo().describe()).toContain("means of token log-probabilities");
    expect(cpo({ score: "sum" }).describe()).toContain("sums of token log-probabilities");
    expect(cpo({ score: "sum" }).evaluate(batchOf(-3, -4)).value).toBe(cpo().evaluate(batchOf(-3, -4)).value);
  });

  it("is exact at extremes", () => {
    const { value, gradients } = cpo({ beta: 1 }).valueAndGradients(batchOf(-1e4, 0));
    expect([value, gradients.policyChosen.data[0], gradients.policyRejected.data[0]]).toEqual([2e4, -2, 1]);
    expect(cpo({ beta: 1 }).evaluate(batchOf(0, -40)).value).toBe(4.248354255291589e-18);
    expect(cpo().evaluate(batchOf(-Infinity, 0)).value).toBe(Infinity);
    expect(cpo().evaluate(batchOf(0, -Infinity)).value).toBe(0);
  });

  it.each([0, -1, NaN, Infinity, "1"])("refuses beta %s", (beta) => {
    expect(() => cpo({ beta: beta as number })).toThrow(expect.objectContaining({ code: "option", field: "beta" }));
  });

  it("refuses log-probabilities of tokens: a score is one number an answer", () => {
    const tokens = tensor(new Float64Array(6), [2, 3]);
    expect(() => cpo().evaluate({ policyChosen: tokens, policyRejected: tokens })).toThrow(
      expect.objectContaining({ code: "shape", field: "policyChosen" }),
    );
  });
});
