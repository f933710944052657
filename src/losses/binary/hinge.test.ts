import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { hinge } from "./hinge.js";

const at = (z: number, y: number, squared = false) => {
  const batch = { logits: tensor(Float64Array.of(z)), targets: tensor(Float64Array.of(y)) };
  const { value, gradients } = hinge({ squared }).valueAndGradients(batch);
  return [value, Number(gradients.logits.data[0]) + 0];
};

describe("hinge", () => {
  it("reads {0, 1} and {−1, 1} alike: above 0 is +1, anything else −1", () => {
    for (const z of [-2, -0.5, 0, 0.5, 2]) {
      expect(at(z, 0)).toEqual(at(z, -1));
      expect(at(z, 0.3)).toEqual(at(z, 1));
    }
  });

  it("has slope ∓1 before the kink and 0 at and beyond it", () => {
    expect(at(1 - 2 ** -40, 1)).toEqual([2 ** -40, -1]);
    expect(at(1, 1)).toEqual([0, 0]);
    expect(at(1 + 2 ** -40, 1)).toEqual([0, 0]);
    expect(at(-1, -1)).toEqual([0, 0]);
    expect(at(-0.5, -1)).toEqual([0.5, 1]);
  });

  it("squares loss and slope", () => {
    expect(at(-1, 1, true)).toEqual([4, -4]);
    expect(at(0.5, -1, true)).toEqual([2.25, 3]);
    expect(at(1, 1, true)).toEqual([0, 0]);
  });

  it.each([
    ["−∞ against −1", -Infinity, 0, [0, 0]],
    ["−∞ against +1", -Infinity, 1, [Infinity, -1]],
    ["+∞", Infinity, 1, [NaN, NaN]],
    ["NaN", NaN, 1, [NaN, NaN]],
    ["−1e4 against +1", -1e4, 1, [10001, -1]],
  ])("at the limit: %s", (_, z, y, wanted) => {
    expect(at(z, y)).toEqual(wanted);
  });

  it("refuses targets that are no numbers, and options of another kind", () => {
    expect(() => at(0, NaN)).toThrow(expect.objectContaining({ code: "value", field: "targets" }));
    expect(() => hinge({ squared: 1 } as never)).toThrow(expect.objectContaining({ code: "option", field: "squared" }));
  });
});
