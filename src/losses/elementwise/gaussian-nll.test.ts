import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { at, expectClose, refuses } from "./element.test-helper.js";
import { gaussianNll } from "./gaussian-nll.js";
import { squaredError } from "./squared-error.js";

const predictions = tensor(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
const targets = tensor(Float64Array.of(0, 2.5, 1, 4, 7, 5), [2, 3]);

describe("gaussianNll", () => {
  it("is half of the squared error at a variance of 1", () => {
    const variance = tensor(new Float64Array(6).fill(1), [2, 3]);
    const own = gaussianNll().valueAndGradients({ predictions, targets, variance });
    const square = squaredError().valueAndGradients({ predictions, targets });
    expect(2 * own.value).toBe(square.value);
    expect([...own.gradients.predictions.data].map((slope) => 2 * Number(slope))).toEqual([
      ...square.gradients.predictions.data,
    ]);
  });

  it("adds ½ log 2π with full, and says which", () => {
    const fields = { predictions: 1, targets: 3, variance: 0.5 };
    const [bare, full] = [at(gaussianNll(), fields), at(gaussianNll({ full: true }), fields)];
    expectClose(full.loss - bare.loss, Math.log(2 * Math.PI) / 2);
    expect(full.slopes).toEqual(bare.slopes);
    expect(gaussianNll().describe()).toContain("clamped at 0.000001 in the value while its gradient passes");
    expect(gaussianNll().describe()).toContain("without the constant");
    expect(gaussianNll({ full: true }).describe()).toContain("with the constant");
  });

  it("has no gradient for a variance that equals the squared residual", () => {
    expect(at(gaussianNll(), { predictions: 1, targets: 4, variance: 9 }).slopes.variance).toBe(0);
  });

  it("clamps the variance in the value and lets the gradient pass, at the clamped value", () => {
    const [below, level] = [0, 0.25].map((variance) =>
      at(gaussianNll({ eps: 0.25 }), { predictions: 0, targets: 1, variance }),
    );
    expect(below).toEqual(level);
    expect(below!.slopes).toEqual({ predictions: -4, variance: -6 });
  });

  it.each([
    ["[]", [], [0.5], (_: number) => 0],
    ["[2, 1]", [2, 1], [0.5, 2], (unit: number) => Math.floor(unit / 3)],
  ])("takes a variance of shape %s, and sums its gradient", (_, shape, entries, entryOf) => {
    const shared = tensor(Float64Array.from(entries), shape);
    const whole = tensor(
      Float64Array.from({ length: 6 }, (_, unit) => entries[entryOf(unit)]!),
      [2, 3],
    );
    const mask = tensor(Uint8Array.of(1, 1, 0, 1, 1, 1), [2, 3]);
    const narrow = gaussianNll().valueAndGradients({ predictions, targets, mask, variance: shared });
    const wide = gaussianNll().valueAndGradients({ predictions, targets, mask, variance: whole });
    expect(narrow.value).toBe(wide.value);
    expect(narrow.gradients.predictions).toEqual(wide.gradients.predictions);
    expect(narrow.gradients.variance.shape).toEqual(shape);
    const sums = new Float64Array(entries.length);
    for (let unit = 0; unit < 6; unit++) sums[entryOf(unit)]! += Number(wide.gradients.variance.data[unit]);
    for (const [i, sum] of sums.entries()) expectClose(Number(narrow.gradients.variance.data[i]), sum);
  });

  it("refuses a variance of another shape: nothing else is broadcast", () => {
    for (const shape of [[3], [1, 3], [2], [1, 1]]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const variance = tensor(new Float64Array(size).fill(1), shape);
      expect(() => gaussianNll().evaluate({ predictions, targets, variance })).toThrow(
        expect.objectContaining({ code: "shape", field: "variance" }),
      );
    }
  });

  it("refuses a variance below 0, infinite or missing, and reads no masked one", () => {
    for (const bad of [-1e-9, Infinity, -Infinity]) {
      const fields = { predictions, targets, variance: tensor(Float64Array.of(1, 1, 1, 1, bad, 1), [2, 3]) };
      expect(() => gaussianNll().evaluate(fields)).toThrow(
        expect.objectContaining({ code: "value", field: "variance", index: [1, 1] }),
      );
      const mask = tensor(Uint8Array.of(1, 1, 1, 1, 0, 1), [2, 3]);
      expect(gaussianNll().evaluate({ ...fields, mask }).denominator).toBe(5);
    }
    expect(() => gaussianNll().evaluate({ predictions, targets } as never)).toThrow(
      expect.objectContaining({ code: "missing-field", field: "variance" }),
    );
  });

  it.each([
    [1e200, 1e300, 5e99, -1e-100, -5e-201],
    [Infinity, 2, Infinity, -Infinity, -Infinity],
    [-Infinity, 2, Infinity, Infinity, -Infinity],
    [NaN, 2, NaN, NaN, NaN],
    [1, NaN, NaN, NaN, NaN],
  ])("at a residual of %d with variance %d is %d with the slopes %d and %d", (r, variance, loss, slope, spread) => {
    const found = at(gaussianNll(), { predictions: 0, targets: r, variance });
    expectClose(found.loss, loss);
    expectClose(found.slopes.predictions!, slope);
    expectClose(found.slopes.variance!, spread);
    expect(found.notes).toHaveLength(Number.isFinite(loss) ? 0 : 1);
  });

  it("refuses options out of range", () => {
    refuses(gaussianNll, "eps", [-1e-9, Infinity, NaN, "1", null]);
    refuses(gaussianNll, "full", [1, "true", null]);
  });
});
