import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { logitRow, numbers } from "../categorical/rows.test-helper.js";
import { distillation } from "./distillation.js";
import { klDivergence } from "./kl-divergence.js";

const rowOf = (entries: readonly number[]) => tensor(Float64Array.from(entries), [1, entries.length]);
const rows = logitRow.chain((left) =>
  fc.tuple(
    fc.constant(left),
    fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: left.length, maxLength: left.length }),
  ),
);
const batchOf = (student: readonly number[], teacher: readonly number[], label?: number) => ({
  logits: rowOf(student),
  teacherLogits: rowOf(teacher),
  ...(label !== undefined && { labels: tensor(Int32Array.of(label)) }),
});

describe("distillation", () => {
  it("is α T² KL(teacher_T‖student_T) + (1 − α) cross entropy at temperature 1", () => {
    fc.assert(
      fc.property(rows, fc.constantFrom(1, 2, 0.5), fc.constantFrom(0, 0.3, 1), ([z, t], temperature, alpha) => {
        const mine = distillation({ temperature, alpha }).valueAndGradients(batchOf(z, t, 1));
        const softened = {
          logits: rowOf(z.map((entry) => entry / temperature)),
          targetLogits: rowOf(t.map((entry) => entry / temperature)),
        };
        const soft = klDivergence().valueAndGradients(softened);
        const hard = crossEntropy().valueAndGradients({ logits: rowOf(z), labels: tensor(Int32Array.of(1)) });
        const weight = alpha * temperature * temperature;
        expect(mine.value).toBeCloseTo(weight * soft.value + (1 - alpha) * hard.value, 11);
        for (const [k, slope] of numbers(mine.gradients.logits).entries()) {
          const fromSoft = (weight / temperature) * Number(soft.gradients.logits.data[k]);
          expect(slope).toBeCloseTo(fromSoft + (1 - alpha) * Number(hard.gradients.logits.data[k]), 11);
        }
      }),
    );
  });

  it("is the soft part alone, with weight 1, without labels, whatever alpha is", () => {
    const batch = batchOf([0, 1, 2], [2, 1, 0]);
    expect(distillation({ alpha: 0.1 }).evaluate(batch).value).toBe(distillation({ alpha: 1 }).evaluate(batch).value);
    expect(distillation().describe()).toContain("the KL alone, with weight 1, where there are no labels");
  });

  it("keeps the size of the soft gradient over temperatures, unless T² is left out", () => {
    const batch = batchOf([0, 1, 2], [2, 1, 0]);
    const slope = (options: object) => Number(distillation(options).valueAndGradients(batch).gradients.logits.data[0]);
    // (z − t)/K in the limit of high temperature, for centered logits.
    expect(slope({ temperature: 1e4 })).toBeCloseTo(-2 / 3, 3);
    const ratio = slope({ temperature: 3 }) / slope({ temperature: 3, scaleByTemperatureSquared: false });
    expect(ratio).toBeCloseTo(9, 12);
    expect(distillation({ scaleByTemperatureSquared: false }).describe()).toContain("not times T²");
  });

  it("gives neither part at an ignored label", () => {
    const batch = {
      logits: tensor([
        [0, 1],
        [5, 2],
      ]),
      teacherLogits: tensor([
        [1, 0],
        [NaN, 0],
      ]),
      labels: tensor([1, -100]),
    };
    const { value, denominator, gradients } = distillation().valueAndGradients(batch);
    expect(denominator).toBe(1);
    expect(value).toBe(distillation().evaluate(batchOf([0, 1], [1, 0], 1)).value);
    expect(numbers(gradients.logits).slice(2)).toEqual([0, 0]);
  });

  it("gives no gradient to the teacher, and none where both agree", () => {
    const { value, gradients } = distillation({ temperature: 2 }).valueAndGradients(batchOf([3, 1], [3, 1]));
    expect(Object.keys(gradients)).toEqual(["logits"]);
    expect([value, ...numbers(gradients.logits)]).toEqual([0, 0, 0]);
  });

  it("does not read a part of weight 0", () => {
    const plain = crossEntropy().valueAndGradients({ logits: rowOf([0, 1]), labels: tensor([0]) });
    const hard = distillation({ alpha: 0 }).valueAndGradients(batchOf([0, 1], [NaN, 0], 0));
    expect([hard.value, ...numbers(hard.gradients.logits)]).toEqual([plain.value, ...numbers(plain.gradients.logits)]);
    const forbidden = batchOf([-Infinity, 0], [-Infinity, 0], 0);
    expect(distillation({ alpha: 1 }).evaluate(forbidden).value).toBe(0);
    expect(distillation({ alpha: 0.5 }).evaluate(forbidden).value).toBe(Infinity);
  });

  it.each([
    ["of the student", batchOf([NaN, 0], [0, 1], 0)],
    ["of the teacher", batchOf([0, 1], [Infinity, 0], 0)],
    ["of the teacher, without labels", batchOf([0, 1], [NaN, 0])],
  ])("is NaN with a note where a logit %s is none", (_, batch) => {
    const { value, gradients, notes } = distillation().valueAndGradients(batch);
    expect([value, ...numbers(gradients.logits)]).toEqual([NaN, NaN, NaN]);
    expect(notes).toMatchObject([{ code: "non-finite-input" }]);
  });

  it("is exact at ±1e4", () => {
    const { value, gradients } = distillation({ temperature: 2 }).valueAndGradients(
      batchOf([1e4, -1e4], [-1e4, 1e4], 1),
    );
    // ½ · 4 · 1e4 + ½ · 2e4
    expect([value, ...numbers(gradients.logits)]).toEqual([3e4, 1.5, -1.5]);
  });

  it("under a shift reads the teacher beside the student", () => {
    const wave = (step: number) =>
      tensor(
        Float64Array.from({ length: 6 }, (_, i) => Math.sin(step * i)),
        [1, 3, 2],
      );
    const batch = { logits: wave(1.1), teacherLogits: wave(2.7) };
    const plain = numbers(distillation().perUnit(batch));
    expect(numbers(distillation({ labelShift: 1 }).perUnit(batch))).toEqual([0, plain[0], plain[1]]);
  });

  it.each([
    ["temperature", [0, -1, NaN, Infinity]],
    ["alpha", [-0.1, 1.1, NaN, null]],
    ["scaleByTemperatureSquared", [1, null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => distillation({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });
});
