import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { at, expectClose } from "./element.test-helper.js";
import { squaredLogError } from "./squared-log-error.js";

describe("squaredLogError", () => {
  // mpmath, 50 digits; the difference of two logarithms keeps 6 digits in the first row.
  it.each([
    [1e6, 1e6 + 1e-3, 9.999980939977177e-19, -1.9999960940007156e-15],
    [-0.999, 5, 75.68155685432663, -17399.029496420368],
    [1e10, 0, 530.189811052445, 4.605170185547574e-9],
    [3, 3.5, 0.013872843488432896, -0.05889151782819173],
  ])("of prediction %d and target %d is %d with the slope %d", (predictions, targets, loss, slope) => {
    const found = at(squaredLogError(), { predictions, targets });
    expectClose(found.loss, loss, 5);
    expectClose(found.slopes.predictions!, slope, 5);
  });

  it("depends on the ratio of 1 + value alone, and not on the side", () => {
    const { loss } = at(squaredLogError(), { predictions: 1, targets: 3 });
    expectClose(at(squaredLogError(), { predictions: 3, targets: 1 }).loss, loss, 1);
    expectClose(at(squaredLogError(), { predictions: 7, targets: 15 }).loss, loss, 1);
  });

  it("gives NaN at a NaN prediction, with a note", () => {
    expect(at(squaredLogError(), { predictions: NaN, targets: 1 })).toEqual({
      loss: NaN,
      slopes: { predictions: NaN },
      notes: ["non-finite-input"],
    });
  });

  it.each(["predictions", "targets"])("refuses live %s of −1 and below, infinite ones too", (field) => {
    for (const value of [-1, -2, Infinity, -Infinity]) {
      const good = tensor(Float64Array.of(1, 1));
      const batch = { predictions: good, targets: good, [field]: tensor(Float64Array.of(1, value)) };
      expect(() => squaredLogError().evaluate(batch)).toThrow(
        expect.objectContaining({ code: "value", field, index: [1], expected: "a finite number above -1" }),
      );
      expect(squaredLogError().evaluate({ ...batch, mask: tensor(Uint8Array.of(1, 0)) }).value).toBe(0);
    }
  });
});
