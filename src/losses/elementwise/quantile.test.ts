import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { absoluteError } from "./absolute-error.js";
import { atResidual, expectClose, refuses } from "./element.test-helper.js";
import { quantile } from "./quantile.js";

describe("quantile", () => {
  it("weighs the sides of the residual by q and 1 − q, with the gradient 0 between them", () => {
    expect(atResidual(quantile({ quantiles: 0.75 }), 2)).toMatchObject({ loss: 1.5, slope: -0.75 });
    expect(atResidual(quantile({ quantiles: 0.75 }), -2)).toMatchObject({ loss: 0.5, slope: 0.25 });
    expect(atResidual(quantile({ quantiles: 0.75 }), 0)).toEqual({ loss: 0, slope: 0, notes: [] });
  });

  it("is half of the absolute error by default", () => {
    for (const r of [-3, -1e-300, 0, 7]) {
      const [half, whole] = [atResidual(quantile(), r), atResidual(absoluteError(), r)];
      expect([2 * half.loss, 2 * half.slope]).toEqual([whole.loss, whole.slope]);
    }
  });

  it("is least where a share q of the targets lies below", () => {
    const targets = tensor(Float64Array.from({ length: 101 }, (_, i) => i));
    const costOf = (guess: number) =>
      quantile({ quantiles: 0.9 }).evaluate({ predictions: tensor(new Float64Array(101).fill(guess)), targets }).value;
    const guesses = Array.from({ length: 101 }, (_, i) => costOf(i));
    expect(guesses.indexOf(Math.min(...guesses))).toBe(90);
  });

  it("takes one quantile an entry of the last axis, in lists and typed arrays", () => {
    const predictions = tensor(new Float64Array(4), [2, 2]);
    const targets = tensor(Float64Array.of(1, 1, -1, -1), [2, 2]);
    const list = quantile({ quantiles: [0.25, 1] });
    expect([...list.perUnit({ predictions, targets }).data]).toEqual([0.25, 1, 0.75, 0]);
    const typed = quantile({ quantiles: Float64Array.of(0.25, 1) as never });
    expect(typed.contract).toEqual(list.contract);
  });

  it.each([
    [0.3, Infinity, Infinity, -0.3],
    [0.3, -Infinity, Infinity, 0.7],
    [0, Infinity, 0, 0],
    [1, -Infinity, 0, 0],
    [1, NaN, NaN, NaN],
    [0, NaN, NaN, NaN],
  ])("for the quantile %d at a residual of %d is %d with the gradient %d", (quantiles, r, loss, slope) => {
    const found = atResidual(quantile({ quantiles }), r);
    expect(found.loss).toBe(loss);
    expectClose(found.slope, slope, 1);
  });

  it("refuses what is no quantile", () =>
    refuses(quantile, "quantiles", [-0.1, 1.1, NaN, Infinity, "0.5", null, [], [0.5, 2], [null], {}]));

  it("refuses a list of another length than the last axis", () => {
    const batch = { predictions: tensor(new Float64Array(6), [2, 3]), targets: tensor(new Float64Array(6), [2, 3]) };
    expect(() => quantile({ quantiles: [0.1, 0.9] }).evaluate(batch)).toThrow(
      expect.objectContaining({ code: "option", field: "quantiles", found: "2 quantiles for predictions [2, 3]" }),
    );
  });

  it("says its quantiles", () => {
    expect(quantile().describe()).toContain("at 0.5;");
    expect(quantile({ quantiles: [0.1, 0.9] }).describe()).toContain("[0.1,0.9] along the last axis");
  });
});
