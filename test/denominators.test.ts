/** What divides follows from labels, masks, weights and lengths alone: it is known before there are any logits. */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { canonicalText } from "../src/contract/index.js";
import {
  crossEntropy,
  dpo,
  LosswrightError,
  objectiveNames,
  policyGradient,
  squaredError,
  tensor,
} from "../src/index.js";
import { type Case, drawn } from "./instruments/batches.js";

describe.each(objectiveNames())("%s: its denominator", (name) => {
  const seen = { equal: 0, refused: 0 };
  afterAll(() => console.log(`${name}: ${seen.equal} denominators equal, ${seen.refused} asked for the units' shape`));

  it("is the same without the fields that have a gradient, or asks for what tells the shape of the units", () => {
    const check = ({ objective, batch }: Case) => {
      const { fields } = objective.definition;
      const hasGradient = (field: string) => (fields[field]?.gradient ?? "none") !== "none";
      const constants = Object.fromEntries(Object.entries(batch).filter(([field]) => !hasGradient(field)));
      const whole = JSON.stringify(objective.denominator(batch));
      try {
        expect(JSON.stringify(objective.denominator(constants))).toBe(whole);
        seen.equal++;
      } catch (error) {
        if (!(error instanceof LosswrightError)) throw error;
        expect(error).toMatchObject({ code: "missing-field", expected: "a field that tells how many units there are" });
        seen.refused++;
      }
    };
    fc.assert(fc.property(drawn(name), check), { numRuns: 100 });
    expect(seen.equal).toBeGreaterThan(0);
  });
});

describe("a denominator without logits", () => {
  const labels = tensor(Int32Array.of(0, 2, -100, 1), [2, 2]);

  it("counts labels, with class weights too", () => {
    expect(crossEntropy().denominator({ labels }).value).toBe(3);
    expect(crossEntropy({ classWeights: [1, 2, 4] }).denominator({ labels }).value).toBe(7);
  });

  it("refuses a label that no class weight stands for", () => {
    const act = () => crossEntropy({ classWeights: [1, 2] }).denominator({ labels });
    expect(act).toThrow(expect.objectContaining({ code: "value", field: "labels", index: [0, 1] }));
  });

  it("takes the units' shape from weights or mask where no other field tells it, but not from one entry a row", () => {
    const mask = tensor([1, 0, 1]);
    expect(dpo().denominator({ mask, referenceChosen: mask, referenceRejected: mask }).value).toBe(2);
    const perRow = tensor([[1], [1]]);
    const act = () => squaredError().denominator({ mask: perRow });
    expect(act).toThrow(expect.objectContaining({ code: "missing-field" }));
  });

  it("is not told by a field of which one entry holds for several units", () => {
    const advantages = tensor(Float64Array.of(1, 2, 3));
    const objective = policyGradient();
    expect(() => objective.denominator({ advantages })).toThrow(expect.objectContaining({ code: "missing-field" }));
    expect(objective.denominator({ advantages, mask: tensor(new Uint8Array(12).fill(1), [3, 4]) }).value).toBe(12);
    expect(objective.denominator({ advantages, logProbs: tensor(new Float64Array(12), [3, 4]) }).value).toBe(12);
  });

  it("leaves an evaluation without logits the error that it was", () => {
    const objective = crossEntropy();
    objective.denominator({ labels });
    const act = () => objective.evaluate({ labels } as never);
    expect(act).toThrow(expect.objectContaining({ code: "missing-field", field: "logits" }));
  });

  it("is the contract's own", () => {
    const text = canonicalText(crossEntropy().denominator({ labels }).toJSON() as never);
    expect(text).toContain('"objective":"crossEntropy"');
  });
});
