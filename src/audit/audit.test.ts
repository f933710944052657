import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { mean, meanOf, type RecordedPart, stepOf, tokenParts, weightOf } from "../../test/instruments/steps.js";
import type { StepRecord } from "../io/index.js";
import { objectiveFrom } from "../losses/index.js";
import { tensor } from "../tensor/index.js";
import { audit, auditToJson, hasFindings, type StepAuditJson } from "./audit.js";

const parts = tokenParts(new Random(11), { kept: [3, 9] });
const averaged = stepOf({
  parts,
  loss: mean(parts.map(meanOf)),
  factors: parts.map((part) => 1 / weightOf(part) / 2),
});
const [part] = parts;
const clean = stepOf({ parts: [part!], loss: meanOf(part!), factors: [1 / 3] });
const brokenLogit = (value: number): RecordedPart => {
  const { logits } = part!.fields;
  const data = Float32Array.from(logits!.data as Float32Array);
  data[part!.units[0]!.at] = value;
  return { ...part!, fields: { ...part!.fields, logits: tensor(data, logits!.shape) } };
};

/** The JSON as a reader gets it. */
const json = (record: StepRecord): StepAuditJson => JSON.parse(JSON.stringify(auditToJson("a/path", audit(record))));

describe("the JSON of an audited step", () => {
  it("has exactly these keys, in this order", () => {
    const found = json(averaged);
    expect(Object.keys(found)).toEqual(["path", "declared", "reported", "findings", "explanations"]);
    expect(Object.keys(found.declared!)).toEqual(["value", "numerator", "denominator", "contract"]);
    expect(Object.keys(found.reported)).toEqual(["loss"]);
    for (const finding of found.findings) {
      expect(Object.keys(finding)).toEqual(["check", "severity", "message", "evidence", "fix"]);
    }
    for (const explanation of found.explanations) {
      const keys = ["contract", "aggregation", "transform", "relativeError", "gradientError"];
      expect(Object.keys(explanation)).toEqual(keys);
    }
    expect([found.findings.length, found.explanations.length > 0]).toEqual([1, true]);
  });

  it("holds what was declared and what was reported", () => {
    const found = json(averaged);
    const { value, numerator, denominator, contract } = found.declared!;
    expect(found.path).toBe("a/path");
    expect([denominator, Number(numerator) / Number(denominator)]).toEqual([12, value]);
    expect(contract).toEqual(objectiveFrom(averaged.intended as never).contract);
    expect(found.reported.loss).toBe(averaged.reported.loss);
  });

  it("holds the cause with its numbers, a list with an entry a part", () => {
    const [finding] = json(averaged).findings;
    expect(finding).toMatchObject({ check: "accumulation", severity: "error" });
    expect(finding!.message).toMatch(/a mean of means.* pulls .* as hard/);
    expect(finding!.evidence).toMatchObject({
      declared: expect.any(Number),
      reported: averaged.reported.loss,
      denominator: 12,
      aggregation: "mean of means",
      parts: 2,
      gradientFactors: [expect.closeTo(2, 4), expect.closeTo(2 / 3, 4)],
    });
  });

  it("holds explanations whose contracts are objectives", () => {
    const [first] = json(averaged).explanations;
    expect(first).toMatchObject({ aggregation: "mean of means", transform: [], gradientError: expect.any(Number) });
    expect(objectiveFrom(first!.contract).name).toBe("crossEntropy");
  });

  it("has null where no gradients and no loss were recorded", () => {
    const [first] = json(stepOf({ parts: [part!], loss: meanOf(part!) })).explanations;
    expect(first!.gradientError).toBeNull();
    expect(json(stepOf({ parts: [part!], loss: null })).reported.loss).toBeNull();
  });

  it('writes "nan", "inf" and "-inf" for what JSON lacks, in evidence too', () => {
    const nan = json(stepOf({ parts: [brokenLogit(Number.NaN)], loss: Number.NaN }));
    expect([nan.declared!.value, nan.reported.loss]).toEqual(["nan", "nan"]);
    expect(nan.findings[0]!.evidence).toMatchObject({ declared: "nan", reported: "nan" });
    expect(json(stepOf({ parts: [part!], loss: Number.POSITIVE_INFINITY })).reported.loss).toBe("inf");
    expect(json(stepOf({ parts: [part!], loss: Number.NEGATIVE_INFINITY })).reported.loss).toBe("-inf");
    const noGradient = tokenParts(new Random(11), { kept: [3, 0] });
    const halved = json(stepOf({ parts: noGradient, loss: meanOf(part!) / 2, factors: [1 / 6, 0] }));
    expect(halved.findings[0]!.evidence.gradientFactors).toEqual([expect.closeTo(0.5, 4), "nan"]);
  });

  it("has null and a reason where the fields contradict the contract", () => {
    const found = json(stepOf({ parts: [{ ...part!, fields: { logits: part!.fields.logits! } }], loss: 1 }));
    expect(Object.keys(found)).toEqual(["path", "declared", "reason", "reported", "findings", "explanations"]);
    expect(found.declared).toBeNull();
    expect(found.reason).toContain("labels");
    expect(found.explanations).toEqual([]);
  });

  it("survives being written and read: no number is lost to JSON", () => {
    const texts = [averaged, clean, stepOf({ parts: [brokenLogit(1 / 0)], loss: 1 / 0 })].map((record) =>
      JSON.stringify(auditToJson("p", audit(record)), (_, value) => {
        if (typeof value === "number" && !Number.isFinite(value)) throw new Error("a number that JSON lacks");
        return value;
      }),
    );
    for (const text of texts) expect(JSON.parse(text)).toBeTypeOf("object");
  });
});

describe("an audit", () => {
  it.each([
    ["jax 0.4", "JAX"],
    ["keras 3", "Keras"],
    ["tensorflow.js 4.22", "TensorFlow.js"],
  ])("leads to the fix for the framework that computed the step: %s", (framework, heading) => {
    const record = { ...averaged, context: { ...averaged.context, framework } };
    expect(audit(record).findings[0]!.fix).toContain(`# in ${heading}: docs/checks/accumulation.md`);
    expect(audit(averaged).findings[0]!.fix).not.toContain("docs/checks");
  });

  it("has findings for errors and for numbers that contradict the contract, not for other notes", () => {
    expect(hasFindings(audit(averaged))).toBe(true);
    expect(hasFindings(audit(clean))).toBe(false);
    const puzzling = audit(stepOf({ parts: [part!], loss: 123 }));
    expect(puzzling.findings.map(({ check, severity }) => [check, severity])).toEqual([["unexplained", "note"]]);
    expect(hasFindings(puzzling)).toBe(true);
    expect(hasFindings(audit(stepOf({ parts: [part!], loss: null })))).toBe(false);
  });

  it.each([
    ["of an objective that does not exist", { objective: "noSuchLoss" }, "unknown"],
    ["of an option that does not exist", { options: { labelShft: 1 } }, "unknown"],
    ["of an option out of range", { options: { labelShift: -1 } }, "option"],
    ["of a reduction that does not suit", { reduction: { per: "element" } }, "reduction"],
  ])("refuses a contract %s", (_, intended, code) => {
    expect(() => audit(stepOf({ parts: [part!], loss: 1, intended }))).toThrow(expect.objectContaining({ code }));
  });
});
