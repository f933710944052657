import { describe, expect, it } from "vitest";
import { binaryCrossEntropy } from "../losses/all.js";
import { tensor } from "../tensor/index.js";
import { posWeightFrom } from "./pos-weight-from.js";

describe("posWeightFrom", () => {
  it("counts negatives for each positive, for one label or each of several", () => {
    expect(posWeightFrom([1, 0, 0, 0])).toBe(3);
    const several = posWeightFrom([
      [1, 0],
      [0, 1],
      [0, 1],
    ]);
    expect(several).toMatchObject({ shape: [2], dtype: "float64", role: "weights" });
    expect([...(several as { data: Float64Array }).data]).toEqual([2, 0.5]);
  });

  it("takes targets of any dtype, soft ones in part, and more leading axes as examples", () => {
    expect(posWeightFrom(tensor([true, false, false]))).toBe(2);
    expect(posWeightFrom(tensor(BigInt64Array.of(1n, 0n)))).toBe(1);
    expect(posWeightFrom([0.25, 0.25])).toBe(3);
    const deep = posWeightFrom(tensor(Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 0), [2, 2, 2]));
    expect([...(deep as { data: Float64Array }).data]).toEqual([3, 3]);
    expect(posWeightFrom([1, 1])).toBe(0);
  });

  it("gives positives and negatives the same pull at probability 1/2", () => {
    const targets = tensor(Float64Array.of(1, 0, 0, 0, 0));
    const logits = tensor(new Float64Array(5));
    const posWeight = posWeightFrom(targets) as number;
    const { gradients } = binaryCrossEntropy({ posWeight }).valueAndGradients({ logits, targets });
    expect(Array.from(gradients.logits.data as Float64Array).reduce((sum, slope) => sum + slope, 0)).toBeCloseTo(0, 15);
  });

  it.each([
    ["no positive", [0, 0], "value", [0]],
    ["a class without positives", [[1, 0]], "value", [1]],
    ["no target at all", [], "value", [0]],
    ["a target of 2", [0, 2], "value", [1]],
    ["NaN", [NaN], "value", [0]],
    ["a scalar", tensor(Float64Array.of(1), []), "shape", undefined],
    ["logits", tensor([1, 0], undefined, "logits"), "role", undefined],
    ["a number", 1, "argument", undefined],
  ])("refuses %s", (_, targets, code, index) => {
    expect(() => posWeightFrom(targets as never)).toThrow(
      expect.objectContaining({ code, where: "posWeightFrom", field: "targets", ...(index && { index }) }),
    );
  });

  it("names the class without positives", () => {
    expect(() =>
      posWeightFrom([
        [1, 1, 0],
        [0, 1, 0],
      ]),
    ).toThrow(/class 2/);
  });
});
