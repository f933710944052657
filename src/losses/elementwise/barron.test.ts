import { describe, expect, it } from "vitest";
import { objectiveFrom } from "../registry.js";
import { barron } from "./barron.js";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";
import { pseudoHuber } from "./pseudo-huber.js";

const residuals = [-30, -2, -1e-5, 0, 1e-9, 0.3, 1, 4, 1e3];

describe("barron", () => {
  // mpmath, 450 digits.
  it.each([
    [3, 1, 1, 2.162277660168379, 0.9486832980505138],
    [1e-9, 1, 1, 5e-19, 1e-9],
    [2, -2, 0.5, 1.6, 0.32],
    [1.5, 1.5, 1, 0.8638227104969525, 0.9794913085884157],
    [50, 1e-12, 0.7, 7.8446406413738465, 0.03998432614428834],
    [50, 2 - 2 ** -40, 0.7, 2551.020408122358, 102.04081632484791],
    [5, 4, 2, 8.0078125, 5.15625],
    [1e200, 0.5, 1, 2.7108060108295345e100, 1.3554030054147673e-100],
  ])("at a residual of %d with alpha %d and scale %d is %d with the slope −%d", (r, alpha, scale, loss, slope) => {
    const found = atResidual(barron({ alpha, scale }), r);
    expectClose(found.loss, loss, 4);
    expectClose(found.slope, -slope, 4);
  });

  it.each([
    [2, (q: number) => (q * q) / 2, (q: number) => q],
    [0, (q: number) => Math.log1p((q * q) / 2), (q: number) => q / (1 + (q * q) / 2)],
    [-Infinity, (q: number) => -Math.expm1((-q * q) / 2), (q: number) => q * Math.exp((-q * q) / 2)],
  ])("is its limit at alpha %d, and close to it nearby", (alpha, loss, slope) => {
    const nearby =
      alpha === -Infinity ? [-1e15, -1e100] : [alpha - 1e-12, alpha + 1e-12, alpha - 1e-300, alpha + 1e-300];
    for (const r of residuals) {
      const exact = atResidual(barron({ alpha, scale: 2 }), r);
      expectClose(exact.loss, loss(r / 2));
      expectClose(exact.slope, -slope(r / 2) / 2, 100);
      for (const close of nearby) {
        const found = atResidual(barron({ alpha: close, scale: 2 }), r);
        expect(Math.abs(found.loss - exact.loss)).toBeLessThanOrEqual(1e-10 * exact.loss);
        expect(Math.abs(found.slope - exact.slope)).toBeLessThanOrEqual(1e-10 * Math.abs(exact.slope) + 1e-60);
      }
    }
  });

  it("times scale² is pseudoHuber at alpha 1", () => {
    for (const r of residuals) {
      const [general, own] = [atResidual(barron({ scale: 3 }), r), atResidual(pseudoHuber({ delta: 3 }), r)];
      expectClose(9 * general.loss, own.loss);
      expectClose(9 * general.slope, own.slope);
    }
  });

  it("rises with alpha at every residual", () => {
    const alphas = [-Infinity, -1e6, -2, -1e-9, 0, 1e-9, 0.5, 1, 1.999, 2, 2.001, 4];
    for (const r of [0.1, 1, 5]) {
      const losses = alphas.map((alpha) => atResidual(barron({ alpha }), r).loss);
      expect(losses).toEqual([...losses].sort((a, b) => a - b));
    }
  });

  it.each([
    [Infinity, Infinity, Infinity],
    [3, Infinity, Infinity],
    [2, Infinity, Infinity],
    [1.5, Infinity, Infinity],
    [1, Infinity, 0.25],
    [0.5, Infinity, 0],
    [0, Infinity, 0],
    [-2, 2, 0],
    [-Infinity, 1, 0],
  ])("with alpha %d at a residual of ±∞ is %d with the slope ∓%d", (alpha, loss, slope) => {
    for (const sign of [1, -1]) {
      const found = atResidual(barron({ alpha, scale: 4 }), sign * Infinity);
      expect(found.loss).toBe(loss);
      expect(found.slope + 0).toBe(-sign * slope + 0);
    }
  });

  it("gives NaN at NaN whatever alpha is", () => {
    for (const alpha of [-Infinity, -2, 0, 1, 2, 3, Infinity]) {
      expect(atResidual(barron({ alpha }), NaN)).toEqual({ loss: NaN, slope: NaN, notes: ["non-finite-input"] });
    }
  });

  it("does not underflow to NaN where e^(−q²/2) is 0", () => {
    expect(atResidual(barron({ alpha: -Infinity }), 1e200)).toMatchObject({ loss: 1, slope: 0 });
  });

  it("writes an infinite alpha into its contract as text, and reads it", () => {
    const objective = barron({ alpha: -Infinity });
    expect(objective.contract.options).toEqual({ alpha: "-inf", scale: 1 });
    expect(objectiveFrom(objective.contract).contract).toEqual(objective.contract);
  });

  it("refuses what is no alpha or no scale", () => {
    refuses(barron, "alpha", [NaN, "1", null, [1]]);
    refuses(barron, "scale", [0, -1, Infinity, NaN, "1", null]);
  });
});
