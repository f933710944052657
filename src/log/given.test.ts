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
import { logPage, mergeLogs, ObjectiveLog } from "./index.js";

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

describe("beside an evaluation, a step", () => {
  const evaluated = crossEntropy().evaluate(batch);

  it("keeps its metrics", () => {
    const log = made();
    log.step(1, { ...evaluated, metrics: { accuracy: 0.5 } });
    expect(log.entries[0]).toMatchObject({ objective: { value: evaluated.value }, metrics: { accuracy: 0.5 } });
  });

  it("refuses metrics that are misspelt", () => {
    const misspelt = { ...evaluated, metric: { accuracy: 0.5 } };
    expect(() => made().step(1, misspelt)).toThrow(/unknown field of an evaluation "metric"/);
  });

  it("takes every field that an evaluation has", () => {
    const log = made();
    log.step(1, crossEntropy().evaluate(batch, { standardError: true }));
    expect(log.entries[0]!.objective.value).toBe(evaluated.value);
  });
});

describe("a page", () => {
  const run = (objective: ObjectiveLog["header"]["contract"], count: number) => {
    const metrics = { left: { goal: "maximize" }, right: { goal: "maximize" } } as const;
    const log = new ObjectiveLog({ objective, metrics });
    for (let i = 0; i < count; i++)
      log.evaluation(i, { objective: count - i, metrics: { left: 0.5, right: 1 - i / 50 } });
    return log;
  };
  const bands = (html: string) => [...html.matchAll(/class="soft mark"[^>]*>([^<]*)/g)].map(([, text]) => text);

  it("names every alarm of a band", () => {
    const html = logPage([{ name: "a", log: run(crossEntropy().contract, 12) }]);
    expect(bands(html)).toEqual(["alarm: left stalled, right apart", "alarm: left stalled", "alarm: right apart"]);
    expect(html).toContain(">crossEntropy</text>");
  });

  it("names the runs of a band, and takes no objective's name for another's", () => {
    const several = [
      { name: "a", log: run(crossEntropy().contract, 12) },
      { name: "b", log: run(squaredError().contract, 12) },
      { name: "c", log: run(squaredError().contract, 15) },
    ];
    const html = logPage(several);
    expect(bands(html)).toEqual(Array(3).fill(["alarm in a, b", "alarm in c"]).flat());
    expect(html).toContain(">objective</text>");
    expect(html).not.toContain(">crossEntropy</text>");
    expect(html).toContain("objective of b: squaredError");
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
  const closedAndResumed = () => {
    const opened = openObjectiveLog(join(folder, "resumed"), { objective: crossEntropy(), metrics: ["accuracy"] });
    opened.log.step(4, 2);
    opened.close();
    opened.log.resume({ fromStep: 1 });
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
    ["nothing in place of a log", () => mergeLogs([made(), wrong(undefined)]), "argument", undefined, /place 1/],
    ["a log that is not in a list", () => mergeLogs(wrong(made())), "argument", undefined, /found no list/],
    ["a misspelt option of its file", opened({ tensorboard: true }), "unknown", "tensorboard", /"tensorBoard"/],
    ["a return to a checkpoint after it was closed", closedAndResumed, "file", undefined, /a change after close/],
    ["an entry after it was closed", closed, "file", undefined, /goes on where it ended/],
  ]);

  it("nothing of a checkpoint later than its last entry, which drops nothing", () => {
    expect(made().resume({ fromStep: 999 })).toBe(0);
    expect(going().resume({ fromStep: 15 })).toBe(0);
  });
});
