import { describe, expect, it } from "vitest";
import { at, expectClose } from "./element.test-helper.js";
import { gammaNll } from "./gamma-nll.js";
import { tweedie } from "./tweedie.js";

describe("gammaNll", () => {
  it("is 2(−log(y/μ) + (y − μ)/μ), without its cancellation near the mean", () => {
    // mpmath, 50 digits.
    expectClose(at(gammaNll(), { predictions: 2, targets: 3 }).loss, 0.18906978378367123);
    // δ² − 2δ³/3 + … for y/μ = 1 + δ.
    expectClose(at(gammaNll(), { predictions: 1, targets: 1 + 2 ** -40 }).loss, 2 ** -80 * (1 - 2 ** -39 / 3));
    expect(at(gammaNll(), { predictions: 0.3, targets: 0.3 })).toEqual({
      loss: 0,
      slopes: { predictions: 0 },
      notes: [],
    });
  });

  it("depends on the ratio alone", () => {
    const { loss, slopes } = at(gammaNll(), { predictions: 2, targets: 3 });
    const scaled = at(gammaNll(), { predictions: 2e100, targets: 3e100 });
    expectClose(scaled.loss, loss, 20);
    expectClose(scaled.slopes.predictions!, slopes.predictions! / 1e100, 4);
  });

  it("is tweedie with power 2, to the bit", () => {
    for (const targets of [1e-6, 0.5, 2, 100]) {
      expect(at(gammaNll(), { predictions: 2, targets })).toEqual(
        at(tweedie({ power: 2 }), { predictions: 2, targets }),
      );
    }
  });

  it("gives NaN at a NaN prediction, with a note", () => {
    expect(at(gammaNll(), { predictions: NaN, targets: 1 })).toMatchObject({ loss: NaN, notes: ["non-finite-input"] });
  });

  it("refuses what is not above 0", () => {
    for (const bad of [0, -1, Infinity]) {
      for (const field of ["predictions", "targets"]) {
        expect(() => at(gammaNll(), { predictions: 1, targets: 1, [field]: bad })).toThrow(
          expect.objectContaining({ code: "value", field, expected: "a finite number above 0" }),
        );
      }
    }
  });
});
