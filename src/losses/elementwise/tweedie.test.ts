import { describe, expect, it } from "vitest";
import { at, expectClose, refuses } from "./element.test-helper.js";
import { squaredError } from "./squared-error.js";
import { tweedie } from "./tweedie.js";

const deviance = (power: number, predictions: number, targets: number) =>
  at(tweedie({ power }), { predictions, targets });

describe("tweedie", () => {
  it("is the squared error at power 0, for numbers of any sign", () => {
    for (const [p, y] of [[-2, 3] as const, [0, 0] as const, [1.5, -Infinity] as const]) {
      expect(deviance(0, p, y)).toEqual(at(squaredError(), { predictions: p, targets: y }));
    }
  });

  it("is the deviance of Poisson, gamma and inverse Gaussian at 1, 2 and 3", () => {
    const [y, m] = [3, 2];
    expectClose(deviance(1, m, y).loss, 2 * (y * Math.log(y / m) - y + m));
    expectClose(deviance(2, m, y).loss, 2 * (Math.log(m / y) + y / m - 1), 20);
    expectClose(deviance(3, m, y).loss, (y - m) ** 2 / (y * m * m));
    for (const power of [1, 2, 3]) expectClose(deviance(power, m, y).slopes.predictions!, (2 * (m - y)) / m ** power);
  });

  it("goes smoothly through powers 1 and 2", () => {
    for (const power of [1, 2]) {
      for (const step of [1e-15, 1e-12, 1e-9]) {
        const [here, near] = [deviance(power, 2, 3), deviance(power === 1 ? power + step : power - step, 2, 3)];
        expect(Math.abs(near.loss - here.loss)).toBeLessThan(2 * step + 1e-14);
      }
    }
  });

  it("costs 2 μ^a/a at a target of 0, with the slope 2 μ^(1−p), a = 2 − p", () => {
    for (const power of [-1, 1, 1.5, 1.9]) {
      const { loss, slopes } = deviance(power, 3, 0);
      expectClose(loss, (2 * 3 ** (2 - power)) / (2 - power));
      expectClose(slopes.predictions!, 2 * 3 ** (1 - power));
    }
  });

  it.each([
    [-1, -2, 3, true],
    [-1, 2, 0, false],
    [-1, 2, -3, false],
    [0, -2, -3, true],
    [1, 0, 3, true],
    [1, -1, 3, false],
    [1, 2, 0, false],
    [1.5, 0, 3, true],
    [1.5, -1e-9, 3, false],
    [1.5, 1, -1, false],
    [2, 0, 3, false],
    [2, 1, 0, false],
    [3, 0, 3, false],
    [3, 1, -2, false],
    [2.5, 1, 2, true],
  ])("at power %d with target %d and prediction %d: defined is %s", (power, targets, predictions, defined) => {
    if (defined) expect(deviance(power, predictions, targets).notes).toEqual([]);
    else expect(() => deviance(power, predictions, targets)).toThrow(expect.objectContaining({ code: "value" }));
  });

  it("gives NaN at a NaN prediction, with a note, and names the field that leaves its domain", () => {
    expect(deviance(1.5, NaN, 1)).toMatchObject({ loss: NaN, notes: ["non-finite-input"] });
    expect(() => deviance(2, 1, 0)).toThrow(expect.objectContaining({ field: "targets", index: [0] }));
    expect(() => deviance(1.5, 0, 0)).toThrow(expect.objectContaining({ field: "predictions", index: [0] }));
  });

  it("refuses powers that no distribution has", () =>
    refuses(tweedie, "power", [0.5, 0.999, NaN, Infinity, "1.5", null]));
});
