import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { asymmetric } from "./asymmetric.js";
import { binaryCrossEntropy } from "./binary-cross-entropy.js";
import { binaryFocal } from "./binary-focal.js";

const batchOf = (z: number, y: number) => ({ logits: tensor(Float64Array.of(z)), targets: tensor(Float64Array.of(y)) });
const at = (z: number, y: number, options = {}) => {
  const { value, gradients, notes } = asymmetric(options).valueAndGradients(batchOf(z, y));
  return { value, slope: Number(gradients.logits.data[0]) + 0, notes: notes.length };
};
const logit = fc.double({ min: -30, max: 30, noNaN: true });
const unit = fc.double({ min: 0, max: 1, noNaN: true });
const off = { gammaPositive: 0, gammaNegative: 0, clip: 0 };

describe("asymmetric", () => {
  it("is binary cross entropy with everything off", () => {
    fc.assert(
      fc.property(logit, unit, (z, y) => {
        const plain = binaryCrossEntropy().valueAndGradients(batchOf(z, y));
        const mine = at(z, y, off);
        expect(mine.value).toBe(plain.value);
        expect(mine.slope).toBeCloseTo(Number(plain.gradients.logits.data[0]), 13);
      }),
    );
  });

  it("is focal loss on each side without clip", () => {
    fc.assert(
      fc.property(logit, fc.constantFrom(0, 1), fc.constantFrom(0.5, 1, 2, 4), (z, y, gamma) => {
        const focal = binaryFocal({ alpha: null, gamma }).valueAndGradients(batchOf(z, y));
        const mine = at(z, y, { gammaPositive: gamma, gammaNegative: gamma, clip: 0 });
        const slope = Number(focal.gradients.logits.data[0]);
        expect(Math.abs(mine.value - focal.value)).toBeLessThanOrEqual(1e-13 * focal.value);
        expect(Math.abs(mine.slope - slope)).toBeLessThanOrEqual(1e-13 * Math.abs(slope));
      }),
    );
  });

  it("leaves negatives below the clip out, and starts smoothly above it", () => {
    const z = -Math.log(19); // p = 0.05
    expect(at(z - 1e-6, 0)).toEqual({ value: 0, slope: 0, notes: 0 });
    expect(at(-1e4, 0)).toEqual({ value: 0, slope: 0, notes: 0 });
    const just = at(z + 1e-3, 0);
    expect(just.value).toBeGreaterThan(0);
    expect(just.value).toBeLessThan(1e-18);
  });

  it("has both one-sided slopes at the clip's kink when nothing flattens it", () => {
    const options = { gammaNegative: 0, clip: 0.5 }; // p = 0.5 at z = 0, 1 − s = 1 there
    expect(at(-1e-9, 0, options).slope).toBe(0);
    expect(at(1e-9, 0, options).slope).toBeCloseTo(0.25, 8);
    expect(at(0, 0, options).slope).toBe(0);
  });

  it.each([
    ["wrong negative, no clip", 1e4, 0, { clip: 0 }, 1e4, 1],
    ["wrong negative, the clip bounds it", 1e4, 0, {}, 0.95 ** 4 * -Math.log(0.05), 0],
    ["wrong positive", -1e4, 1, {}, 1e4, -1],
    ["right positive", 1e4, 1, { gammaPositive: 0.5 }, 0, 0],
    ["right negative", -1e4, 0, { gammaNegative: 0.5, clip: 0 }, 0, 0],
    ["−∞ against 1", -Infinity, 1, { gammaPositive: 2 }, Infinity, -1],
    ["−∞ against 0", -Infinity, 0, { clip: 0 }, 0, 0],
    ["+∞", Infinity, 1, {}, NaN, NaN],
    ["NaN", NaN, 0, {}, NaN, NaN],
  ])("at the limit: %s", (_, z, y, options, value, slope) => {
    const found = at(z, y, options);
    if (Number.isFinite(value)) expect(found.value).toBeCloseTo(value, 12);
    else expect(found.value).toBe(value);
    expect(found.slope).toBe(slope);
    expect(found.notes).toBe(Number.isFinite(value) ? 0 : 1);
  });

  it.each([
    ["gammaPositive", [-1, NaN, Infinity]],
    ["gammaNegative", [-1, NaN, null]],
    ["clip", [-0.1, 1, NaN]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => asymmetric({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });
});
