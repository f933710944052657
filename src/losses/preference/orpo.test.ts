import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { orpo } from "./orpo.js";

const batchOf = (chosen: number, rejected: number) => ({
  policyChosen: tensor(Float64Array.of(chosen)),
  policyRejected: tensor(Float64Array.of(rejected)),
});
const result = (chosen: number, rejected: number, beta = 1) => {
  const { value, gradients } = orpo({ beta }).valueAndGradients(batchOf(chosen, rejected));
  return [value, Number(gradients.policyChosen.data[0]), Number(gradients.policyRejected.data[0])];
};
const odds = (score: number) => Math.exp(score) / -Math.expm1(score);

describe("orpo", () => {
  it("is the likelihood plus the logistic loss of the odds ratio", () => {
    const score = fc.double({ min: -8, max: -0.01, noNaN: true });
    fc.assert(
      fc.property(score, score, (chosen, rejected) => {
        const ratio = odds(chosen) / odds(rejected);
        const wrong = 1 / (1 + ratio);
        const [value, ofChosen, ofRejected] = result(chosen, rejected, 0.5);
        expect(value! / (-chosen + 0.5 * Math.log1p(1 / ratio))).toBeCloseTo(1, 11);
        expect(ofChosen! / (-1 + (0.5 * wrong) / Math.expm1(chosen))).toBeCloseTo(1, 11);
        expect(ofRejected! / ((-0.5 * wrong) / Math.expm1(rejected))).toBeCloseTo(1, 10);
      }),
    );
  });

  it("reaches its limit as the chosen answer becomes certain: the slope of the odds term is minus the other's odds", () => {
    const limit = -1 - odds(-1);
    expect(result(0, -1)).toEqual([0, expect.closeTo(limit, 14), 0]);
    expect(result(-1e-300, -1)[1]).toBeCloseTo(limit, 14);
    expect(result(-1e-12, -1)[1]).toBeCloseTo(limit, 10);
  });

  it("is +∞ with an infinite pull where the rejected answer is certain", () => {
    expect(result(-1, 0)).toEqual([Infinity, expect.closeTo(-1 - 1 / -Math.expm1(-1), 14), Infinity]);
    expect(result(0, 0)[0]).toBe(NaN);
  });

  it("is exact at scores of −1e4, where odds are probabilities", () => {
    expect(result(-1e4, -1e4)).toEqual([1e4 + Math.LN2, -1.5, 0.5]);
    expect(result(-1e4, -1)[0]).toBeCloseTo(2e4 + Math.log(odds(-1)), 8);
    expect(result(-1e4, -2e4)).toEqual([1e4, -1, 0]);
    expect(result(-Infinity, -1)[0]).toBe(Infinity);
  });

  it("is the likelihood alone at β = 0", () => {
    expect(result(-2, 0, 0)).toEqual([2, -1, 0]);
  });

  it("refuses a score above 0, which no log-probability is, with its place; NaN is NaN", () => {
    expect(() => orpo().evaluate(batchOf(-1, 0.5))).toThrow(
      expect.objectContaining({ code: "value", field: "policyRejected", index: [0] }),
    );
    expect(orpo().evaluate(batchOf(NaN, -1)).value).toBe(NaN);
  });

  it.each([-0.1, NaN, Infinity, null])("refuses beta %s", (beta) => {
    expect(() => orpo({ beta: beta as number })).toThrow(expect.objectContaining({ code: "option", field: "beta" }));
  });
});
