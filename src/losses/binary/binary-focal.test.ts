import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { binaryCrossEntropy } from "./binary-cross-entropy.js";
import { binaryFocal } from "./binary-focal.js";

const batchOf = (z: number, y: number) => ({ logits: tensor(Float64Array.of(z)), targets: tensor(Float64Array.of(y)) });
const at = (z: number, y: number, options = {}) => {
  const { value, gradients, notes } = binaryFocal({ alpha: null, ...options }).valueAndGradients(batchOf(z, y));
  return { value, slope: Number(gradients.logits.data[0]) + 0, notes: notes.length };
};
const logit = fc.double({ min: -50, max: 50, noNaN: true });
const unit = fc.double({ min: 0, max: 1, noNaN: true });

describe("binaryFocal", () => {
  it("is binary cross entropy at gamma 0 without alpha, to the bit, also for soft targets", () => {
    fc.assert(
      fc.property(logit, unit, (z, y) => {
        const plain = binaryCrossEntropy().valueAndGradients(batchOf(z, y));
        const focal = at(z, y, { gamma: 0 });
        expect(focal.value).toBe(plain.value);
        expect(focal.slope).toBe(Number(plain.gradients.logits.data[0]) + 0);
      }),
    );
  });

  it("is the formula with p_t where that loses nothing", () => {
    fc.assert(
      fc.property(fc.double({ min: -4, max: 4, noNaN: true }), unit, (z, y) => {
        const p = 1 / (1 + Math.exp(-z));
        const pt = p * y + (1 - p) * (1 - y);
        const likelihood = -y * Math.log(p) - (1 - y) * Math.log(1 - p);
        expect(at(z, y, { gamma: 1.5 }).value).toBeCloseTo((1 - pt) ** 1.5 * likelihood, 12);
      }),
    );
  });

  it("weighs positives by alpha and negatives by 1 − alpha, and neither enters the denominator", () => {
    for (const [y, factor] of [
      [1, 0.25],
      [0, 0.75],
      [0.5, 0.5],
    ] as const) {
      expect(at(0.7, y, { alpha: 0.25 }).value).toBeCloseTo(factor * at(0.7, y).value, 14);
    }
    expect(binaryFocal().evaluate(batchOf(0.7, 1)).denominator).toBe(1);
  });

  it("keeps the digits of an easy element: 1 − p_t is no difference", () => {
    // p = 1 − e^−40: loss e^−80 · e^−40.
    expect(at(40, 1).value / Math.exp(-120)).toBeCloseTo(1, 12);
    expect(at(-40, 0).slope / (3 * Math.exp(-120))).toBeCloseTo(1, 12);
  });

  it.each([
    ["right beyond doubles", 1e4, 1, 0.5, 0, 0],
    ["right beyond doubles, gamma 0", 1e4, 1, 0, 0, 0],
    ["wrong", -1e4, 1, 2, 1e4, -1],
    ["wrong", 1e4, 0, 0.5, 1e4, 1],
    ["−∞ against 0", -Infinity, 0, 0.5, 0, 0],
    ["−∞ against 1", -Infinity, 1, 2, Infinity, -1],
    ["+∞", Infinity, 1, 2, NaN, NaN],
    ["NaN", NaN, 0, 2, NaN, NaN],
  ])("at the limit: %s (z %d, y %d, gamma %d)", (_, z, y, gamma, value, slope) => {
    expect(at(z, y, { gamma })).toEqual({ value, slope, notes: Number.isFinite(value) ? 0 : 1 });
  });

  it("is silent for the side that alpha takes out, but hides no NaN", () => {
    expect(at(-Infinity, 1, { alpha: 0 })).toEqual({ value: 0, slope: 0, notes: 0 });
    expect(at(NaN, 1, { alpha: 0 }).value).toBeNaN();
  });

  it.each([
    ["alpha", [-0.1, 1.1, NaN, "1"]],
    ["gamma", [-0.1, NaN, Infinity, null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => binaryFocal({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("says what it does with gamma and alpha", () => {
    expect(binaryFocal().describe()).toContain("gradient through");
    expect(binaryFocal().describe()).toContain("not in the denominator");
    expect(binaryFocal({ alpha: null }).contract.options).toEqual({ alpha: null, gamma: 2 });
  });
});
