import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sigmoid, tensor } from "../tensor/index.js";
import { binaryPriorLogit } from "./binary-prior-logit.js";
import { posWeightFrom } from "./pos-weight-from.js";

describe("binaryPriorLogit", () => {
  it("is the inverse of the sigmoid", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 1 - 1e-12, noNaN: true }), (prior) => {
        const logit = binaryPriorLogit(prior);
        expect(Number(sigmoid(tensor(Float64Array.of(logit))).data[0]) / prior).toBeCloseTo(1, 12);
      }),
    );
  });

  it.each([
    [0.5, 0],
    [0.01, -4.59511985013459],
    [0.5 + 2 ** -53, 2 ** -51],
    [0.5 - 2 ** -54, -(2 ** -52)],
    [1e-300, -690.7755278982137],
    [1 - 2 ** -53, 36.7368005696771],
  ])("of %d is %d", (prior, logit) => {
    const found = binaryPriorLogit(prior);
    if (logit === 0) expect(found).toBe(0);
    else expect(found / logit).toBeCloseTo(1, 14);
  });

  it("of targets is that of their frequency, −log of posWeightFrom", () => {
    const targets = [1, 0, 0, 0];
    expect(binaryPriorLogit(targets)).toBeCloseTo(binaryPriorLogit(0.25), 14);
    expect(binaryPriorLogit(targets)).toBeCloseTo(-Math.log(posWeightFrom(targets) as number), 14);
    const several = binaryPriorLogit([
      [1, 0],
      [0, 1],
      [0, 1],
    ]);
    expect([...(several as { data: Float64Array }).data]).toEqual(
      [-Math.LN2, Math.LN2].map((x) => expect.closeTo(x, 14)),
    );
    expect(binaryPriorLogit([1, 0])).toBe(0);
  });

  it.each([
    ["0", 0, "prior"],
    ["1", 1, "prior"],
    ["NaN", NaN, "prior"],
    ["targets without a positive", [0, 0], "targets"],
    [
      "targets without a negative",
      [
        [1, 0],
        [1, 1],
      ],
      "targets",
    ],
    ["targets beyond 1", [0, 3], "targets"],
  ])("refuses %s", (_, prior, field) => {
    expect(() => binaryPriorLogit(prior as never)).toThrow(expect.objectContaining({ code: "value", field }));
  });
});
