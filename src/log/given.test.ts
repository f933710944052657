/** What a log takes for an objective and its metrics, and what it refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { crossEntropy, squaredError } from "../losses/all.js";
import { weightedSum } from "../losses/weighted-sum.js";
import { accuracy, brierScore, recall } from "../metrics/index.js";
import { tensor } from "../tensor/index.js";
import { openObjectiveLog } from "./files.js";
import { mergeLogs, ObjectiveLog } from "./index.js";

const batch = {
  logits: tensor([
    [2, 0],
    [0, 1],
  ]),
  labels: tensor(Int32Array.of(0, 0)),
};
const made = () => new ObjectiveLog({ objective: crossEntropy(), metrics: ["accuracy"] });
const folder = mkdtempSync(join(tmpdir(), "losswright-given-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a log takes", () => {
  it("an evaluation by its tally, a tally, or a number", () => {
    const evaluated = crossEntropy().evaluate(batch);
    const log = made();
    log.step(1, evaluated);
    log.step(2, evaluated.tally);
    log.step(3, evaluated.value);
    log.evaluation(3, {
      objective: evaluated,
      metrics: { accuracy: accuracy().update({ predictions: batch.labels, labels: batch.labels }) },
    });
    expect(log.entries.map(({ objective }) => objective.value)).toEqual([1, 2, 3, 3].map(() => evaluated.value));
    expect(log.entries.map(({ objective }) => objective.tally !== undefined)).toEqual([true, true, false, true]);
  });

  it("an evaluation with gradients, and one of a weighted sum", () => {
    const objective = weightedSum({
      policy: { objective: crossEntropy(), weight: 1 },
      value: { objective: squaredError(), weight: 2 },
    });
    const fields = { policy: batch, value: { predictions: tensor([1]), targets: tensor([2]) } };
    const log = new ObjectiveLog({ objective, metrics: ["accuracy"] });
    const evaluated = objective.evaluate(fields);
    log.step(1, evaluated);
    expect(log.entries[0]!.objective.value).toBe(evaluated.value);
    const alone = made();
    alone.step(1, crossEntropy().valueAndGradients(batch));
    expect(alone.entries[0]!.objective.tally).toBeDefined();
  });
});

describe("a log refuses", () => {
  const going = () => {
    const log = made();
    log.step(4, 1);
    return log;
  };
  const closed = () => {
    const opened = openObjectiveLog(join(folder, "closed"), { objective: crossEntropy(), metrics: ["accuracy"] });
    opened.close();
    opened.log.step(1, 2);
  };
  const opened = (more: object) => () =>
    openObjectiveLog(
      join(folder, "options"),
      wrong({ objective: crossEntropy(), metrics: ["accuracy"], ...more }),
    ).close();
  refuses([
    [
      "another metric under a metric's name",
      () => made().evaluation(1, { objective: 1, metrics: { accuracy: recall() } }),
      "argument",
      "metrics.accuracy",
      /log it as recall/,
    ],
    [
      "several numbers as one",
      () => made().evaluation(1, { objective: 1, metrics: { accuracy: wrong(brierScore().compute()) } }),
      "argument",
      "metrics.accuracy",
      /an option such as part/,
    ],
    [
      "a checkpoint that it has not reached",
      () => going().resume({ fromStep: 999 }),
      "argument",
      "fromStep",
      /ends at step 4/,
    ],
    [
      "a misspelt metric",
      () => new ObjectiveLog({ objective: crossEntropy(), metrics: ["acuracy"] }),
      "argument",
      "metrics.acuracy",
      /write "accuracy"/,
    ],
    [
      "a metric by another library's name",
      () => new ObjectiveLog({ objective: crossEntropy(), metrics: ["f1"] }),
      "argument",
      "metrics.f1",
      /write "fBeta"/,
    ],
    ["what is no log among logs", () => mergeLogs([wrong({ log: made() })]), "argument", undefined, /pass \.log/],
    ["a misspelt option of its file", opened({ tensorboard: true }), "unknown", "tensorboard", /"tensorBoard"/],
    ["an entry after it was closed", closed, "file", undefined, /goes on where it ended/],
  ]);

  it("nothing of a checkpoint where it holds no entry yet", () => {
    expect(made().resume({ fromStep: 999 })).toBe(0);
  });
});
