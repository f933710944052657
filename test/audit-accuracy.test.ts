/** docs/audit-accuracy.md against the audit: what the page says of a thousand steps, checked on a hundred of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  accuracyOf,
  drawnCounts,
  judge,
  keepsPromises,
  mistakeRow,
  mistakesOf,
  page,
  pageSteps,
} from "./steps-generator/accuracy.js";
import { drawStep } from "./steps-generator/draw.js";

const text = readFileSync(join(import.meta.dirname, "..", "docs", "audit-accuracy.md"), "utf8");
const listed = mistakesOf(text);
const rerun = 100;

describe("the page on the audit's accuracy", () => {
  it("has the table that follows from its own list of mistakes and from the drawn steps", () => {
    expect(text, "Fix: npm run bench:audit.").toBe(page(drawnCounts(pageSteps), listed));
  });

  it("lists the mistakes of the first hundred steps as the audit makes them", () => {
    const made = Array.from({ length: rerun }, (_, index) => judge(drawStep(index)) ?? []).flat();
    const said = listed.filter(({ index }) => index < rerun);
    expect(made.map(mistakeRow), "Fix: npm run bench:audit.").toEqual(said.map(mistakeRow));
  });

  it("shows a recall, a precision and a rate of false alarms that are good enough", () => {
    expect(accuracyOf(pageSteps, listed)).toSatisfy(keepsPromises);
  });
});

describe("a verdict", () => {
  const step = drawStep(1);

  it("is right where the bug is found and nothing else but what is tolerated", () => {
    const { record } = drawStep(31);
    expect(judge({ ...step, record, bug: "metric-missing", tolerated: [] })).toBeUndefined();
  });

  it("is wrong where a bug is missed, where another is found, and where a right step is flagged", () => {
    const { record } = drawStep(31);
    const right = drawStep(0);
    const wrong = (bug: typeof step.bug, from = record) => judge({ ...step, record: from, bug, tolerated: [] });
    expect(wrong("shape", right.record)).toMatchObject({ missed: true, falseAlarms: [] });
    expect(wrong("shape")).toMatchObject({ missed: true, falseAlarms: ["metric-missing"] });
    expect(wrong(undefined)).toMatchObject({ missed: false, falseAlarms: ["metric-missing"] });
    expect(judge({ ...step, record, bug: undefined, tolerated: ["metric-missing"] })).toBeUndefined();
  });

  it("counts an audit that throws as a false alarm", () => {
    const { record } = drawStep(0);
    const unknown = { ...record, intended: { objective: "noSuchObjective" } };
    expect(judge({ ...step, record: unknown, bug: undefined })).toMatchObject({ falseAlarms: ["throws"] });
  });
});

describe("accuracy", () => {
  it("counts recall over bugs, precision over findings, false alarms over right steps", () => {
    const missed = { index: 1, bug: "shape", missed: true, falseAlarms: [], story: "" };
    const alarm = { index: 2, bug: undefined, missed: false, falseAlarms: ["shape", "smoothing"], story: "" };
    const beside = { index: 3, bug: "shape", missed: false, falseAlarms: ["loss-mask"], story: "" };
    expect(accuracyOf(10, [missed, alarm, beside])).toEqual({
      clean: 5,
      buggy: 5,
      found: 4,
      falseAlarms: 3,
      cleanFlagged: 1,
      recall: 0.8,
      precision: 4 / 7,
      falseAlarmRate: 0.2,
    });
  });

  it("reads back from a page the mistakes that were written on it", () => {
    const mistakes = [
      { index: 4, bug: undefined, missed: false, falseAlarms: ["shape", "loss-mask"], story: "A story, with commas." },
      { index: 5, bug: "shape", missed: true, falseAlarms: [], story: "Another: −∞ [N, 1]." },
      { index: 7, bug: "label-shift", missed: true, falseAlarms: ["throws"], story: "A third." },
    ];
    expect(mistakesOf(page(drawnCounts(40), mistakes))).toEqual(mistakes);
  });
});
