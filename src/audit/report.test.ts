import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import {
  mean,
  meanOf,
  type RecordedPart,
  stepOf,
  sumOf,
  type TokenWishes,
  tokenParts,
  total,
  weightOf,
} from "../../test/instruments/steps.js";
import type { StepRecord } from "../io/index.js";
import { tensor } from "../tensor/index.js";
import { audit } from "./audit.js";
import { type Paint, report } from "./report.js";

const same = (text: string) => text;
const plain: Paint = { bold: same, dim: same, red: same, yellow: same, green: same };
const marked: Paint = {
  bold: (text) => `<b>${text}</b>`,
  dim: (text) => `<d>${text}</d>`,
  red: (text) => `<r>${text}</r>`,
  yellow: (text) => `<y>${text}</y>`,
  green: (text) => `<g>${text}</g>`,
};
const shown = (record: StepRecord, previous?: StepRecord) => report(audit(record), plain, previous && audit(previous));
const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));

const tokens = (kept: readonly number[], wishes: Partial<TokenWishes> = {}) =>
  tokenParts(new Random(7), { kept, length: 12, ...wishes });
const right = (parts: readonly RecordedPart[]) => {
  const weight = total(parts.map(weightOf));
  return { parts, loss: total(parts.map(sumOf)) / weight, factors: parts.map(() => 1 / weight) };
};
const averaged = (parts: readonly RecordedPart[]) => ({
  parts,
  loss: mean(parts.map(meanOf)),
  factors: parts.map((part) => 1 / weightOf(part) / parts.length),
});

describe("the report of a step", () => {
  it("has a line of the table for each of many parts, and 80 columns", () => {
    const parts = tokens(Array.from({ length: 40 }, (_, part) => 3 + part));
    const text = shown(stepOf(averaged(parts)));
    expect(text).toContain("one step in 40 micro-batches");
    expect(text.match(/^ +\d+ +\d+ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+x(, too (large|small))?$/gm)).toHaveLength(40);
    expect(text).toContain("… 40 in all) / 40: a mean of means");
    expect(text).toMatch(/^ {3}whole step/m);
    expect(widest(text)).toBeLessThanOrEqual(80);
  });

  it("keeps 80 columns where the numbers of the table are large", () => {
    const parts = tokens([4, 40], { weight: () => 54321.9876, scale: 3000 });
    const text = shown(stepOf(averaged(parts)));
    expect(text).toMatch(/weight +sum of losses +mean/);
    expect(widest(text)).toBeLessThanOrEqual(80);
    const far = stepOf({ ...averaged(parts), loss: 1e33, factors: [1e12, 3e12] });
    expect(widest(shown(far))).toBeLessThanOrEqual(80);
  });

  it("cuts words that are longer than a line", () => {
    const weights = Array.from({ length: 60 }, (_, k) => k + 0.5);
    const parts = tokens([4, 9], { classes: 60, classWeights: weights });
    const record = stepOf({ ...averaged(parts), context: { task: "x".repeat(200) } });
    expect(widest(shown(record))).toBeLessThanOrEqual(80);
    expect(shown(record).replace(/\s/g, "")).toContain("x".repeat(200));
  });

  it("keeps 80 columns in the code of a fix", () => {
    const options = { ignoreIndex: -1000, classWeights: [1, 2, 3, 4, 5], labelShift: 1 };
    const parts = tokens([4, 9], { shift: 1, classWeights: options.classWeights }).map((part) => ({
      ...part,
      fields: {
        ...part.fields,
        labels: tensor(
          (part.fields.labels!.data as BigInt64Array).map((y) => (y === -100n ? -1000n : y)),
          part.fields.labels!.shape,
        ),
      },
    }));
    const text = shown(stepOf({ ...averaged(parts), intended: { options } }));
    expect(text).toContain("n = sum(class_weights[y].sum() for y in kept)");
    expect(widest(text)).toBeLessThanOrEqual(80);
  });

  it("gives a long name its own line", () => {
    const record = { ...stepOf(right(tokens([5]))), name: `${"a-record-with-quite-a-long-name-".repeat(2)}indeed` };
    const [first, second] = shown(record).split("\n");
    expect(first).toBe(record.name);
    expect(second).toBe(`${" ".repeat(20)}crossEntropy`);
    expect(widest(shown(record))).toBeLessThanOrEqual(80);
  });

  it("shows no control characters of a record, and takes its name as it is", () => {
    const record = stepOf({ ...right(tokens([5])), context: { task: "a\u001b[31mb\nc\u009bd" } });
    const text = report(audit({ ...record, name: "$&-\u001b[2J-$1" }), marked);
    expect(text.split("\n")[0]).toBe("<b>$&- [2J-$1</b>          a [31mb c d");
  });

  it("says of a clean step what agrees, in one line, and has no table", () => {
    const text = shown(stepOf(right(tokens([5, 9]))));
    expect(text).toMatch(/CLEAN {2}\S+ \/ 14 = \S+ = reported \(\de-\d+\); gradient factor 1\.000 x 2$/);
    expect(text).not.toContain("sum of losses");
  });

  it("counts in the gradient factor the parts that have a gradient", () => {
    expect(shown(stepOf(right(tokens([5, 0, 9]))))).toMatch(/gradient factor 1\.000 x 2$/);
    const nothing = shown(stepOf({ parts: tokens([0]), loss: 0, factors: [0] }));
    expect(nothing).toMatch(/CLEAN {2}0 \/ 0 = 0 = reported \(exactly\)$/);
  });

  it("says where no loss was reported", () => {
    const parts = right(tokens([5]));
    expect(shown(stepOf({ ...parts, loss: null }))).toMatch(/CLEAN .*, no loss was reported; gradient factor 1\.000$/);
  });

  it("marks errors in red, clean steps in green and notes dimly, and the name in bold", () => {
    expect(report(audit(stepOf(averaged(tokens([5, 9])))), marked)).toMatch(/^<b>step<\/b> [\s\S]*<r>WRONG<\/r>/);
    expect(report(audit(stepOf(right(tokens([5])))), marked)).toContain("<g>CLEAN</g>");
    const doubt = report(audit(stepOf({ ...right(tokens([5])), loss: 77 })), marked);
    expect(doubt).toContain("<y>DOUBT</y>");
    expect(doubt).toContain("unexplained: The contract gives");
    const silent = report(audit(stepOf({ parts: tokens([5]), loss: null })), marked);
    expect(silent).toContain("<d>NOTE</d>");
    expect(silent).not.toContain("CLEAN");
  });

  it.each([
    ["micro-batches, with the name of one in the table", undefined, "4 micro-batches", "micro-batch"],
    ["ranks, where each is one", [0, 1, 2, 3], "4 ranks", "rank"],
    ["parts, where ranks have several", [0, 0, 1, 1], "4 parts", "part"],
  ])("calls parts %s", (_, ranks, counted, word) => {
    const text = shown(stepOf({ ...averaged(tokens([5, 9, 3, 20])), ...(ranks && { ranks }) }));
    expect(text.split("\n")[0]).toBe(`step                one step in ${counted}`);
    expect(text).toMatch(new RegExp(`^ +${word}   tokens   sum of losses`, "m"));
    if (word !== "rank") expect(text).toMatch(new RegExp(`A token of ${word} \\d pulls`));
  });

  it("tells a contradiction without a table", () => {
    const [part] = tokens([5]);
    const text = shown(stepOf({ parts: [{ ...part!, fields: { logits: part!.fields.logits! } }], loss: 1 }));
    expect(text).toMatch(/WRONG {2}shape: The fields contradict the contract/);
    expect(text).not.toContain("sum of losses");
  });
});

describe("the report of a second step", () => {
  const parts = tokens([5, 9]);

  it("does not tell the same step and contract twice", () => {
    const text = shown(stepOf(averaged(parts)), stepOf(right(parts)));
    expect(text.split("\n")[0]).toBe("step                the same step and contract");
    expect(text).not.toContain("declared:");
  });

  it("does not call another step of the same contract the same", () => {
    const others = tokenParts(new Random(8), { kept: [5, 9], length: 12 });
    const text = shown(stepOf(right(others)), stepOf(right(parts)));
    expect(text.split("\n")[0]).toBe("step                one step in 2 micro-batches; the same contract");
    expect(text).not.toContain("declared:");
  });

  it("tells another contract in full", () => {
    const weighted = tokens([5, 9], { classWeights: [1, 2, 3, 4, 5] });
    expect(shown(stepOf(right(weighted)), stepOf(right(parts)))).toContain("declared: cross entropy");
  });
});
