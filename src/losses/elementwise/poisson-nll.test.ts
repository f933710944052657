import { describe, expect, it } from "vitest";
import { at, expectClose, refuses } from "./element.test-helper.js";
import { poissonNll } from "./poisson-nll.js";
import { tweedie } from "./tweedie.js";

describe("poissonNll", () => {
  it("has its minimum where the rate is the count", () => {
    expectClose(at(poissonNll(), { predictions: Math.log(4), targets: 4 }).loss, 4 - 4 * Math.log(4));
    expect(at(poissonNll(), { predictions: 0, targets: 1 }).slopes.predictions).toBe(0);
    expect(at(poissonNll({ logInput: false, eps: 0 }), { predictions: 4, targets: 4 }).slopes.predictions).toBe(0);
  });

  it("is the same from a rate and from its logarithm, and the slopes follow the chain rule", () => {
    for (const [rate, count] of [[0.5, 3] as const, [7, 0] as const, [2, 2.5] as const]) {
      const ofLog = at(poissonNll(), { predictions: Math.log(rate), targets: count });
      const ofRate = at(poissonNll({ logInput: false, eps: 0 }), { predictions: rate, targets: count });
      expectClose(ofRate.loss, ofLog.loss, 20);
      expectClose(ofRate.slopes.predictions! * rate, ofLog.slopes.predictions!, 20);
    }
  });

  it("differs by a constant from half of the deviance at power 1", () => {
    const excess = (rate: number) => {
      const own = at(poissonNll({ logInput: false, eps: 0 }), { predictions: rate, targets: 3 });
      return own.loss - at(tweedie({ power: 1 }), { predictions: rate, targets: 3 }).loss / 2;
    };
    expect(excess(0.5)).toBeCloseTo(3 - 3 * Math.log(3), 13);
    expect(excess(8)).toBeCloseTo(excess(0.5), 13);
  });

  it.each([
    [0, 0],
    [0.5, 0],
    [1, 0],
    [2, 2 * Math.log(2) - 2 + Math.log(4 * Math.PI) / 2],
    [50, 50 * Math.log(50) - 50 + Math.log(100 * Math.PI) / 2],
  ])("adds Stirling's log y! for a target of %d: %d", (targets, constant) => {
    for (const options of [{}, { logInput: false }]) {
      const [bare, full] = [false, true].map((full) =>
        at(poissonNll({ ...options, full }), { predictions: 2, targets }),
      );
      expect(full!.loss - bare!.loss).toBeCloseTo(constant, 12);
      expect(full!.slopes).toEqual(bare!.slopes);
    }
  });

  it.each([
    [{}, -Infinity, 0, 0, 0],
    [{}, -Infinity, 2, Infinity, -2],
    [{}, Infinity, 0, Infinity, Infinity],
    [{}, Infinity, 2, Infinity, Infinity],
    [{}, 1e4, 2, Infinity, Infinity],
    [{}, -1e4, 2, 2e4, -2],
    [{}, NaN, 0, NaN, NaN],
    [{ logInput: false, eps: 0 }, 0, 0, 0, 1],
    [{ logInput: false, eps: 0 }, 0, 2, Infinity, -Infinity],
    [{ logInput: false, eps: 0.5 }, 0, 2, 2 * Math.LN2, -3],
    [{ logInput: false }, NaN, 2, NaN, NaN],
  ])("with %j at a prediction of %d and a target of %d is %d with the slope %d", (options, z, y, loss, slope) => {
    const found = at(poissonNll(options), { predictions: z, targets: y });
    expectClose(found.loss, loss);
    expectClose(found.slopes.predictions!, slope);
    expect(found.notes.length).toBe(Number.isFinite(loss) ? 0 : 1);
  });

  it("refuses counts below 0, and rates too, but not their logarithms", () => {
    for (const [options, fields, field] of [
      [{}, { predictions: 1, targets: -1 }, "targets"],
      [{}, { predictions: 1, targets: NaN }, "targets"],
      [{}, { predictions: 1, targets: Infinity }, "targets"],
      [{ logInput: false }, { predictions: -0.5, targets: 1 }, "predictions"],
      [{ logInput: false }, { predictions: Infinity, targets: 1 }, "predictions"],
    ] as const) {
      expect(() => at(poissonNll(options), fields)).toThrow(expect.objectContaining({ code: "value", field }));
    }
    expect(at(poissonNll(), { predictions: -0.5, targets: 1 }).notes).toEqual([]);
  });

  it("says what the predictions are and whether log y! is in it", () => {
    expect(poissonNll().describe()).toContain("from the logarithm of the rate, without log y!");
    expect(poissonNll({ logInput: false, full: true }).describe()).toContain("from the rate, 1e-8 added");
    expect(poissonNll({ full: true }).describe()).toContain("Stirling's approximation");
  });

  it("refuses options out of range", () => {
    refuses(poissonNll, "eps", [-1e-9, Infinity, NaN, "1", null]);
    refuses(poissonNll, "logInput", [0, "false", null]);
    refuses(poissonNll, "full", [1, "true", null]);
  });
});
