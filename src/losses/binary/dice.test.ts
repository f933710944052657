import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { dice } from "./dice.js";
import { tversky } from "./tversky.js";

const logits = tensor(Float64Array.of(0.5, -1, 2, 3, -2, 0.1, 0, 1, -1, 0.3, 2, -3), [2, 2, 3]);
const targets = tensor(Float64Array.of(1, 0, 1, 1, 0, 0.5, 0, 1, 0, 0, 1, 0), [2, 2, 3]);
const flat = { logits: tensor(logits.data, [2, 6]), targets: tensor(targets.data, [2, 6]) };

describe("dice", () => {
  it("is tversky at one half each and half of smooth, to the bit", () => {
    const [left, right] = [dice({ smooth: 0.6 }), tversky({ smooth: 0.3 })].map((o) => o.valueAndGradients(flat));
    expect(left!.value).toBe(right!.value);
    expect([...left!.gradients.logits.data]).toEqual([...right!.gradients.logits.data]);
  });

  it("is its formula, a row of axis 0 a unit", () => {
    const p = [...flat.logits.data].map((z) => 1 / (1 + Math.exp(-Number(z))));
    const y = [...flat.targets.data].map(Number);
    const rows = [0, 6].map((start) => {
      let [both, area] = [0, 0];
      for (let i = start; i < start + 6; i++) {
        both += p[i]! * y[i]!;
        area += p[i]! + y[i]!;
      }
      return 1 - (2 * both + 1) / (area + 1);
    });
    const perUnit = dice().perUnit({ logits, targets });
    expect(perUnit.shape).toEqual([2]);
    for (const [i, row] of rows.entries()) expect(perUnit.data[i]).toBeCloseTo(row, 14);
    expect(dice().evaluate({ logits, targets }).denominator).toBe(2);
  });

  it("takes rows out by a mask of rows, and weighs them", () => {
    const one = dice().evaluate({ logits, targets, mask: tensor([0, 1]) });
    expect(one.denominator).toBe(1);
    expect(one.value).toBe(dice().perUnit({ logits, targets }).data[1]);
    expect(dice().evaluate({ logits, targets, weights: tensor([0.5, 0.25]) }).denominator).toBe(0.75);
  });

  it("takes elements out of the sums by a mask of elements, which are not even read", () => {
    const mask = tensor(Uint8Array.of(1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0), [2, 2, 3]);
    const spoilt = (values: ArrayLike<number | bigint>, bad: number) =>
      tensor(
        Float64Array.from(values as Float64Array, (value, i) => (mask.data[i] ? value : bad)),
        [2, 2, 3],
      );
    const clean = dice().valueAndGradients({ logits, targets, mask });
    const poisoned = { logits: spoilt(logits.data, NaN), targets: spoilt(targets.data, NaN), mask };
    const { value, gradients, notes } = dice().valueAndGradients(poisoned);
    expect(notes).toEqual([]);
    expect(value).toBe(clean.value);
    expect([...gradients.logits.data]).toEqual([...clean.gradients.logits.data]);
    expect(gradients.logits.data[3]).toBe(0);
    const kept = { logits: tensor([[0.5, -1, 2, -2]]), targets: tensor(Float64Array.of(1, 0, 1, 0), [1, 4]) };
    expect(dice().perUnit({ logits, targets, mask }).data[0]).toBe(dice().perUnit(kept).data[0]);
  });

  it("has no unit in a row without elements", () => {
    const mask = tensor(Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1), [2, 6]);
    expect(dice().evaluate({ ...flat, mask }).denominator).toBe(1);
    const empty = { logits: tensor(new Float64Array(0), [3, 0]), targets: tensor(new Float64Array(0), [3, 0]) };
    expect(dice().evaluate(empty).denominator).toBe(0);
  });

  it("has loss 1 and no gradient without positives at smooth 0, and 1 − s/(Σp + s) otherwise", () => {
    const none = { logits: tensor([[0.5, -3, 2]]), targets: tensor(new Float64Array(3), [1, 3]) };
    const { value, gradients } = dice({ smooth: 0 }).valueAndGradients(none);
    expect(value).toBe(1);
    expect([...gradients.logits.data].map((slope) => Number(slope) + 0)).toEqual([0, 0, 0]);
    const area = [0.5, -3, 2].reduce((sum, z) => sum + 1 / (1 + Math.exp(-z)), 0);
    expect(dice({ smooth: 2 }).evaluate(none).value).toBeCloseTo(1 - 2 / (area + 2), 14);
  });

  it("refuses targets outside [0, 1], a mask of another shape and a negative smooth", () => {
    const bad = tensor(
      Float64Array.from(targets.data as Float64Array, (y, i) => (i === 7 ? 1.5 : y)),
      [2, 2, 3],
    );
    expect(() => dice().evaluate({ logits, targets: bad })).toThrow(
      expect.objectContaining({ code: "value", field: "targets", index: [1] }),
    );
    expect(() => dice().evaluate({ logits, targets, mask: tensor(new Float64Array(6), [2, 3]) })).toThrow(
      expect.objectContaining({ code: "shape", field: "mask" }),
    );
    expect(() => dice({ smooth: -1 })).toThrow(expect.objectContaining({ code: "option", field: "smooth" }));
    expect(() => dice({ per: "element" })).toThrow(expect.objectContaining({ code: "reduction", field: "per" }));
  });
});
