import { describe, expect, it } from "vitest";
import type { StepRecord } from "../io/index.js";
import { tensor } from "../tensor/index.js";
import { inspectStep } from "./inspect-step.js";
import { inspectionToJson } from "./to-json.js";

const fields = () => ({
  logits: tensor(new Float64Array(12), [1, 3, 4]),
  labels: tensor([1, 2, 3], [1, 3]),
});

const record = (change: Partial<StepRecord>): StepRecord => ({
  format: 1,
  name: "step",
  intended: { objective: "crossEntropy", options: { labelShift: 1 } },
  reported: { loss: null, gradients: {} },
  context: {},
  parts: [],
  ...change,
});

const part = (context: StepRecord["context"]) => ({
  fields: fields(),
  context,
  reported: { loss: null, gradients: {} },
});

describe("inspectStep", () => {
  it("shows a whole step as one batch without a title", () => {
    const { name, task, rule, contract, batches } = inspectStep(
      record({ fields: fields(), context: { task: "a task" } }),
    );
    expect([name, task, rule.slice(0, 32)]).toEqual(["step", "a task", "cross entropy of each next token"]);
    expect(contract!.objective).toBe("crossEntropy");
    expect(batches.map(({ title, rows }) => [title, rows])).toEqual([[null, 1]]);
  });

  it("shows parts as batches, named by what the record says of them", () => {
    const parts = [part({}), part({ rank: 1 }), part({ rank: 1, microBatch: 0 })];
    const titles = inspectStep(record({ parts })).batches.map(({ title }) => title);
    expect(titles).toEqual(["micro-batch 1", "part 2, rank 1", "part 3, rank 1, micro-batch 0"]);
  });

  it("lets what the step says of all tokens hold for its parts", () => {
    const inputIds = tensor([5, 6, 0], [1, 3]);
    const context = { sequence: { padId: 0 } };
    const [batch] = inspectStep(record({ context, parts: [part({ sequence: { inputIds } })] })).batches;
    expect(batch).toMatchObject({ counts: { padding: 0, oddities: [{ oddity: "padding in the loss", count: 1 }] } });
  });

  it("says of pieces of the same rows that labels may be scored in the piece before", () => {
    const { batches } = inspectStep(record({ context: { splitAxis: "sequence" }, parts: [part({})] }));
    expect(batches[0]!.notes.join()).toContain("the piece before");
  });

  it("refuses what it cannot show, with the fix", () => {
    const intended = { objective: "weightedSum", parts: {} };
    expect(() => inspectStep(record({ intended, fields: fields() }))).toThrow(
      expect.objectContaining({ code: "unsupported", fix: expect.any(String) }),
    );
    expect(() => inspectStep(record({ intended: { objective: "crossEntropi" }, fields: fields() }))).toThrow(
      /write "crossEntropy"/,
    );
  });
});

describe("inspectionToJson", () => {
  it("is JSON, also where numbers are not finite, and holds the rows asked for", () => {
    const logits = tensor(new Float64Array(12).fill(Number.NaN), [1, 3, 4]);
    const inspection = inspectStep(record({ fields: { ...fields(), logits } }));
    const json = inspectionToJson(inspection, { rows: { first: 0, count: 9 } });
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
    expect(json.batches[0]).toMatchObject({ shape: [1, 3], sum: { numerator: "nan", denominator: 2 } });
    const [row] = (json.batches[0] as { rows: { positions: { loss: unknown }[] }[] }).rows;
    expect(row!.positions.map(({ loss }) => loss)).toEqual([null, "nan", "nan"]);
    expect(inspectionToJson(inspection, { rows: { first: 1, count: 9 } }).batches[0]).toMatchObject({ rows: [] });
  });
});
