/**
 * Laws of the audit for every objective, on drawn batches: numbers of the library itself are clean, and whatever was
 * reported, an audit ends in findings that can be printed and written, never in an error.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { audit, auditToJson, type Finding, report } from "../src/audit/index.js";
import { type Objective, objectiveNames, type Tensor, tensor } from "../src/index.js";
import type { StepPart, StepRecord } from "../src/io/index.js";
import { isTensor } from "../src/tensor/index.js";
import { type Case, drawn } from "./instruments/batches.js";

const runs = 20;
const same = (text: string) => text;
const plain = { bold: same, dim: same, red: same, yellow: same, green: same };

/** A batch as a record holds it: tensors alone. */
function fieldsOf({ batch }: Case): Record<string, Tensor> {
  const given = Object.entries(batch).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => [name, isTensor(value) ? value : tensor(new Float64Array([value as number]), [])]),
  );
}

function recordOf({ contract }: Objective, body: Partial<StepRecord>): StepRecord {
  const intended = JSON.parse(JSON.stringify(contract));
  return {
    format: 1,
    name: "drawn",
    intended,
    reported: { loss: null, gradients: {} },
    context: {},
    parts: [],
    ...body,
  };
}

/** Drawn batches mean nothing: smoothed soft targets and scores that look like probabilities are among them. */
function isAboutNumbers({ check, evidence }: Finding): boolean {
  if (check === "smoothing") return !("labelSmoothing" in evidence);
  return check !== "probabilities-as-logits" || "declared" in evidence;
}

const named = objectiveNames().map((name) => [name]);

describe("the numbers of the library are clean for", () => {
  it.each(named)("%s, whole", (name) => {
    fc.assert(
      fc.property(drawn(name), (found) => {
        const { value, gradients } = found.objective.valueAndGradients(found.batch);
        fc.pre(Number.isFinite(value));
        const record = recordOf(found.objective, { fields: fieldsOf(found), reported: { loss: value, gradients } });
        const given = audit(record).findings.filter(isAboutNumbers);
        expect(given.map(({ check, message }) => `${check}: ${message}`)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });

  it.each(named)("%s, in two micro-batches", (name) => {
    fc.assert(
      fc.property(drawn(name), (found) => {
        const { objective, batch } = found;
        // Equal keys in both would be one group; a constant divides the step once, not each part.
        fc.pre(batch.groupKeys === undefined && typeof objective.reduction.divideBy !== "object");
        const { value, gradients, denominator } = objective.valueAndGradients(batch);
        fc.pre(Number.isFinite(value) && denominator > 0);
        const shares = objective.valueAndGradients(batch, { denominator: 2 * denominator }).gradients;
        const part: StepPart = { fields: fieldsOf(found), reported: { loss: value, gradients: shares }, context: {} };
        const reported = { loss: value, gradients: {} };
        const { findings } = audit(recordOf(objective, { reported, parts: [part, part] }));
        const given = findings
          .filter(isAboutNumbers)
          .map(({ check, severity, message }) => `${severity} ${check}: ${message}`);
        // A row's loss depends on its whole batch: two of them may be no step that can be judged, and that is said.
        const judged = objective.couples ? given.filter((text) => !text.includes("cannot be evaluated on")) : given;
        expect(judged).toEqual([]);
        expect(Object.keys(gradients).sort()).toEqual(Object.keys(shares).sort());
      }),
      { numRuns: runs },
    );
  });
});

describe("whatever was reported, an audit can be printed and written for", () => {
  const anything = fc.oneof(
    fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1e300, 5e-324),
    fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
  );

  it.each(named)("%s", (name) => {
    fc.assert(
      fc.property(
        drawn(name),
        anything,
        fc.option(anything),
        fc.boolean(),
        fc.boolean(),
        (found, loss, fill, inParts, ranks) => {
          const { objective, batch } = found;
          const gradients: Record<string, Tensor> = {};
          if (fill !== null) {
            for (const [field, { data, shape }] of Object.entries(objective.valueAndGradients(batch).gradients)) {
              if (isTensor(batch[field])) gradients[field] = tensor(new Float64Array(data.length).fill(fill), shape);
            }
          }
          const part = (rank: number): StepPart => ({
            fields: fieldsOf(found),
            reported: { loss, gradients },
            context: ranks ? { rank } : {},
          });
          const reported = { loss, gradients: inParts ? {} : gradients };
          const body = inParts ? { parts: [part(0), part(1)] } : { fields: fieldsOf(found) };
          const result = audit(recordOf(objective, { ...body, reported }));
          const checks = result.findings.map(({ check }) => check);
          expect(new Set(checks).size).toBe(checks.length);
          const text = report(result, plain);
          expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
          expect(text).not.toMatch(/undefined|\[object|null/);
          const json = JSON.stringify(auditToJson("p", result), (_, value) => {
            if (typeof value === "number" && !Number.isFinite(value)) throw new Error("a number that JSON lacks");
            return value;
          });
          expect(JSON.parse(json)).toHaveProperty("findings");
        },
      ),
      { numRuns: runs },
    );
  });
});
