import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { angularMargin } from "./angular-margin.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const batchOf = (cosines: number[], label = 0) => ({ logits: tensor([cosines]), labels: tensor([label]) });
const cosine = fc.double({ min: -0.99, max: 0.99, noNaN: true });
const row = fc.array(cosine, { minLength: 4, maxLength: 4 });

describe("angularMargin", () => {
  it("is the cross entropy of scaled cosines for margin 0, with scale times its gradient", () => {
    fc.assert(
      fc.property(row, (cosines) => {
        const found = angularMargin({ margin: 0, scale: 16 }).valueAndGradients(batchOf(cosines, 2));
        const same = crossEntropy().valueAndGradients(
          batchOf(
            cosines.map((c) => 16 * c),
            2,
          ),
        );
        expect(found.value).toBe(same.value);
        expect(list(found.gradients.logits)).toEqual(list(same.gradients.logits).map((slope) => 16 * slope));
      }),
    );
  });

  it("moves the label's angle by the margin", () => {
    fc.assert(
      fc.property(row, fc.double({ min: 0, max: 1, noNaN: true }), (cosines, margin) => {
        const angle = Math.acos(cosines[0]!) + margin;
        fc.pre(angle < Math.PI - 1e-6);
        const moved = [Math.cos(angle), ...cosines.slice(1)].map((c) => 8 * c);
        const found = angularMargin({ margin, scale: 8 }).evaluate(batchOf(cosines)).value;
        expect(found).toBeCloseTo(crossEntropy().evaluate(batchOf(moved)).value, 12);
      }),
    );
  });

  it("past π − m subtracts m sin m, with slope 1, and jumps there", () => {
    const edge = -Math.cos(0.5);
    const of = (c: number) => angularMargin({ scale: 1 }).valueAndGradients(batchOf([c, 0]));
    const [before, past] = [of(edge + 1e-12), of(edge - 1e-12)];
    const z = (value: number) => -Math.log(Math.expm1(value)); // the label's logit against 0
    expect(z(before.value)).toBeCloseTo(-1, 5);
    expect(z(past.value)).toBeCloseTo(edge - 0.5 * Math.sin(0.5), 10);
    const slopes = list(past.gradients.logits);
    expect(slopes[0]! + slopes[1]!).toBeCloseTo(0, 15);
  });

  it("leaves out labels that are ignored", () => {
    const logits = tensor([
      [0.1, 0.2],
      [0.3, 0.4],
    ]);
    const { denominator, gradients } = angularMargin().valueAndGradients({ logits, labels: tensor([1, -100]) });
    expect(denominator).toBe(1);
    expect(list(gradients.logits).slice(2)).toEqual([0, 0]);
  });

  it("has an infinite slope on the class center itself, and says so", () => {
    const found = angularMargin({ scale: 4 }).valueAndGradients(batchOf([1, 0.5]));
    expect(Number.isFinite(found.value)).toBe(true);
    expect(list(found.gradients.logits)[0]).toBe(-Infinity);
    expect(found.notes).toEqual([expect.objectContaining({ code: "infinite-slope" })]);
    const flat = angularMargin({ scale: 4, margin: 0 }).valueAndGradients(batchOf([1, 0.5]));
    expect(list(flat.gradients.logits).every(Number.isFinite)).toBe(true);
    expect(flat.notes).toEqual([]);
    const alone = angularMargin().valueAndGradients(batchOf([1]));
    expect([alone.value, list(alone.gradients.logits)[0]]).toEqual([0, 0]);
  });

  it("lets rounding pass a little beyond 1, and refuses what is no cosine, with its place", () => {
    expect(angularMargin().evaluate(batchOf([1.0000001, 0])).value).toBeCloseTo(
      angularMargin().evaluate(batchOf([1, 0])).value,
      4,
    );
    for (const cosines of [
      [0.5, 3],
      [-1.1, 0],
    ]) {
      expect(() => angularMargin().evaluate(batchOf(cosines))).toThrow(
        expect.objectContaining({ code: "value", field: "logits", fix: expect.stringContaining("norms") }),
      );
    }
  });

  it.each([
    ["−∞ forbids a class", [0.3, -Infinity], 0, 0, 0],
    ["−∞ at the label is +∞", [-Infinity, 0.3], 0, Infinity, -64],
    ["+∞ is NaN", [0.3, Infinity], 0, NaN, NaN],
    ["+∞ at the label is NaN", [Infinity, 0.3], 0, NaN, NaN],
    ["NaN is NaN", [NaN, 0.3], 0, NaN, NaN],
    ["nothing but −∞ is NaN", [-Infinity, -Infinity], 0, NaN, NaN],
  ])("at the limit: %s", (_, cosines, label, loss, slope) => {
    const { value, gradients, notes } = angularMargin().valueAndGradients(batchOf(cosines, label));
    expect(value).toBe(loss);
    expect(list(gradients.logits)[label]! + 0).toBe(slope);
    expect(notes.length).toBe(Number.isFinite(loss) ? 0 : 1);
  });

  it.each([
    ["margin", [-0.1, Math.PI, NaN, Infinity, "0.5", null]],
    ["scale", [0, -1, NaN, Infinity, "64", null]],
    ["ignoreIndex", [0.5, NaN]],
  ])("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => angularMargin({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("refuses a label out of range", () => {
    expect(() => angularMargin().evaluate(batchOf([0.1, 0.2], 2))).toThrow(
      expect.objectContaining({ code: "value", field: "labels" }),
    );
  });
});
