import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { mean, meanOf, stepOf, sumOf, tokenParts, total, weightOf } from "../../test/instruments/steps.js";
import { LosswrightError } from "../errors/index.js";
import type { StepRecord } from "../io/index.js";
import { audit, hasFindings } from "./audit.js";
import { auditPage } from "./html/page.js";
import { type Paint, report } from "./report.js";
import { checksNamed, fails, PageSteps, RunAudit, sift, withoutTensors } from "./run.js";

const same = (text: string) => text;
const plain: Paint = { bold: same, dim: same, red: same, yellow: same, green: same };

const parts = tokenParts(new Random(7), { kept: [3, 11], length: 12 });
const weight = total(parts.map(weightOf));
const right = stepOf({ parts, loss: total(parts.map(sumOf)) / weight, factors: parts.map(() => 1 / weight) });
const averaged = stepOf({
  parts,
  loss: mean(parts.map(meanOf)),
  factors: parts.map((part) => 1 / weightOf(part) / parts.length),
});
const puzzling: StepRecord = { ...right, reported: { ...right.reported, loss: 7 } };
const silent: StepRecord = {
  ...right,
  reported: { loss: null, gradients: {} },
  parts: right.parts.map((part) => ({ ...part, reported: { loss: null, gradients: {} } })),
};
const [clean, wrong, doubtful, noted] = [right, averaged, puzzling, silent].map(audit) as [
  ReturnType<typeof audit>,
  ReturnType<typeof audit>,
  ReturnType<typeof audit>,
  ReturnType<typeof audit>,
];

/** The audit of a step under a number, or a name alone. */
function named(found: typeof clean, step: number | string): typeof clean {
  const { record } = found.step;
  const more =
    typeof step === "number" ? { name: `step-${step}`, context: { ...record.context, step } } : { name: step };
  return { ...found, step: { ...found.step, record: { ...record, ...more } } };
}

function runOf(...steps: readonly (readonly [found: typeof clean, step: number | string])[]): RunAudit {
  const run = new RunAudit("runs/my-run");
  for (const [found, step] of steps) run.add(`runs/my-run/${step}`, named(found, step));
  return run;
}

describe("what makes an audit fail", () => {
  it("is a finding of the severity or a graver one, and numbers without a known cause are as grave as a warning", () => {
    const verdicts = [clean, wrong, doubtful, noted].map((found) =>
      (["error", "warning", "note", "never"] as const).map((level) => fails(found, level)),
    );
    expect(verdicts).toEqual([
      [false, false, false, false],
      [true, true, true, false],
      [false, true, true, false],
      [false, false, true, false],
    ]);
  });

  it("is by default what was never clean", () => {
    for (const found of [clean, wrong, doubtful, noted]) expect(fails(found)).toBe(hasFindings(found));
  });
});

describe("ignored checks", () => {
  it("are named each alone or in lists", () => {
    expect([...checksNamed(["label-shift, loss-mask", "denominator"])]).toEqual([
      "label-shift",
      "loss-mask",
      "denominator",
    ]);
    expect(checksNamed([]).size).toBe(0);
  });

  it.each([
    ["label-shfit", 'write "label-shift".'],
    ["label-shift,", "name a check, or leave the option out."],
    ["toString", "name a check, or leave the option out."],
  ])("refuse %j", (name, fix) => {
    expect(() => checksNamed([name])).toThrow(LosswrightError);
    try {
      checksNamed([name]);
    } catch (error) {
      expect(error).toMatchObject({ code: "unknown", fix });
    }
  });

  it("are taken out and given back, and leave other audits as they are", () => {
    const { audit: sifted, ignored } = sift(wrong, new Set(["accumulation"]));
    expect(sifted.findings).toEqual([]);
    expect(ignored.map(({ check }) => check)).toEqual(["accumulation"]);
    expect(sift(wrong, new Set(["shape"])).audit).toBe(wrong);
  });
});

describe("a run", () => {
  it("tells a finding's first and last step, how often it was found, and until when the run was clean", () => {
    const run = runOf([clean, 500], [clean, 1000], [wrong, 1500], [clean, 2000], [wrong, 2500]);
    expect(run.report(plain)).toBe(
      [
        "runs/my-run         5 steps",
        "  WRONG  accumulation: 2 of 5 steps, since step 1500, last at 2500.",
        "  CLEAN  3 of 5 steps; clean until step 1000.",
      ].join("\n"),
    );
    expect(run.toJSON()).toEqual({
      path: "runs/my-run",
      steps: 5,
      unreadable: [],
      left: 0,
      findings: [
        {
          check: "accumulation",
          severity: "error",
          count: 2,
          first: "runs/my-run/1500",
          last: "runs/my-run/2500",
          steps: ["runs/my-run/1500", "runs/my-run/2500"],
        },
      ],
    });
  });

  it("names a step by its directory where it has no number", () => {
    expect(runOf([clean, "a"], [wrong, "b"]).report(plain)).toContain(
      "  WRONG  accumulation: 1 of 2 steps, at b.\n  CLEAN  1 of 2 steps; clean until a.",
    );
  });

  it("says once that all steps have a finding, or that all are clean", () => {
    expect(runOf([wrong, 1], [wrong, 2]).report(plain)).toContain("  WRONG  accumulation: all 2 steps.");
    expect(runOf([wrong, 1]).report(plain)).toContain("  WRONG  accumulation: the one step.");
    expect(runOf([clean, 1], [clean, 2]).report(plain)).toBe("runs/my-run         2 steps\n  CLEAN  all of them.");
  });

  it("calls no step clean that has a note, nor the time before it", () => {
    const text = runOf([noted, 1], [clean, 2], [wrong, 3]).report(plain);
    expect(text).toContain("  NOTE   unexplained: 1 of 3 steps, at step 1.");
    expect(text).toContain("  CLEAN  1 of 3 steps.");
  });

  it("has the gravest findings first, and numbers without a cause in doubt", () => {
    const text = runOf([doubtful, 1], [noted, 2], [wrong, 3]).report(plain);
    expect(text.match(/^ {2}(WRONG|DOUBT|NOTE|CLEAN) +\S+/gm)).toEqual([
      "  WRONG  accumulation:",
      "  DOUBT  unexplained:",
    ]);
    expect(text).toContain("unexplained: 2 of 3 steps, since step 1, last at 2.");
  });

  it("counts what could not be read, and what was left when it was stopped", () => {
    const run = runOf([clean, 1]);
    run.addUnreadable("runs/my-run/2");
    run.stop(4);
    expect(run.report(plain).split("\n")[0]).toBe("runs/my-run         1 step, 1 unreadable, stopped with 4 left");
    expect(run.toJSON()).toMatchObject({ steps: 1, unreadable: ["runs/my-run/2"], left: 4 });
  });

  it("tells which step is the first faulty one", () => {
    const run = new RunAudit("run");
    const firsts = [clean, doubtful, wrong].map((found, i) => run.add(`run/${i}`, found));
    expect(firsts).toEqual([false, true, false]);
  });

  it("keeps 80 columns and shows no control characters, whatever steps are called", () => {
    const hostile = `\u001b[2J${"x".repeat(300)}\n`;
    const text = runOf([clean, hostile], [wrong, hostile], [wrong, "b"]).report(plain);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).not.toContain("\u001b");
    expect(new RunAudit(hostile).report(plain)).not.toContain("\u001b");
  });
});

describe("an audit without tensors", () => {
  it("tells the next step what they share, as the whole one does", () => {
    for (const found of [clean, wrong, doubtful, noted]) {
      expect(report(clean, plain, withoutTensors(found))).toBe(report(clean, plain, found));
    }
  });

  it("holds no number of a batch", () => {
    const seen = new Set<unknown>();
    const walk = (value: unknown): void => {
      expect(ArrayBuffer.isView(value) && (value as Uint8Array).length > 128).toBe(false);
      if (typeof value !== "object" || value === null || seen.has(value)) return;
      seen.add(value);
      for (const entry of Object.values(value)) walk(entry);
    };
    const { record, parts: audited, searched, reported, declared } = withoutTensors(wrong).step;
    walk([record, audited, searched, reported, declared!.gradients]);
    expect(seen.size).toBeGreaterThan(10);
  });

  it("has the verdict of the whole one in an overview", () => {
    const all = [clean, wrong, doubtful, noted].map((found, i) => named(found, i));
    const overviewOf = (audits: readonly (typeof clean)[]) =>
      /<section class="overview">[\s\S]*?<\/section>/.exec(
        auditPage(audits.map((found, i) => ({ path: `step-${i}`, audit: found }))),
      )![0];
    expect(overviewOf(all.map(withoutTensors)).replaceAll("positions", "tokens")).toBe(overviewOf(all));
  });
});

describe("the steps of a page", () => {
  const isWhole = ({ audit: { step } }: { audit: typeof clean }) =>
    Object.keys(step.record.parts[0]!.fields).length > 0;

  it("stay whole as long as there is room", () => {
    const page = new PageSteps();
    for (let i = 0; i < 20; i++) page.add(`step-${i}`, clean);
    expect(page.audits.every(isWhole)).toBe(true);
    expect(page.audits.map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, i) => `step-${i}`));
  });

  it("stay whole beyond it where they are drawn: six, those that are not clean before the others", () => {
    const page = new PageSteps(0);
    const steps = [clean, clean, wrong, clean, clean, clean, clean, clean, wrong, clean];
    for (const [i, found] of steps.entries()) page.add(`step-${i}`, found);
    expect(page.audits.flatMap((each, i) => (isWhole(each) ? [i] : []))).toEqual([0, 1, 2, 3, 4, 8]);
    for (let i = 0; i < 6; i++) page.add(`late-${i}`, wrong);
    expect(page.audits.flatMap((each, i) => (isWhole(each) ? [i] : []))).toEqual([2, 8, 10, 11, 12, 13]);
  });
});
