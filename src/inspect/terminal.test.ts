import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { objectiveFrom } from "../losses/index.js";
import { tensor } from "../tensor/index.js";
import { inspectAlignments } from "./inspect-alignments.js";
import { inspectArray } from "./inspect-array.js";
import { type TokenPaint, terminalText } from "./terminal.js";
import { packedChat, textOf } from "./views.test-helper.js";
import { columnsOf } from "./visible.js";

const tag = (name: string) => (text: string) => `<${name}>${text}</${name}>`;
const colored: TokenPaint = {
  bold: tag("bold"),
  dim: tag("dim"),
  red: tag("red"),
  green: tag("green"),
  cyan: tag("cyan"),
  magenta: tag("magenta"),
  underline: tag("underline"),
};
const same = (text: string) => text;
const plain: TokenPaint = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  cyan: same,
  magenta: same,
  underline: same,
};
const wrap = (label: string, text: string) => [label + text];
const all = { rows: { first: 0, count: 99 } };

describe("terminalText", () => {
  it("shows tokens, labels under them, and under these the mask", () => {
    const text = terminalText(packedChat(), all, { paint: plain, wrap });
    expect(text.split("\n").slice(-4)).toEqual([
      "  row 0  4 trained, 2 prompt, 4 padding; mean loss 2.079",
      "     0 |1 3 4  5 6 |2 3 7 [4 padding]",
      " label |  - 4  5 6 |  - 7 -",
      "       |  p !p ^ ^ |  p ^ _",
    ]);
    expect(text).toContain("\n  ! prompt in the loss: 1 position\n");
  });

  it("shows texts where there is a vocabulary, and nothing of them acts on the terminal", () => {
    const text = terminalText(packedChat(), { ...all, textOf }, { paint: plain, wrap });
    expect(text).toContain("<s> ·a");
    expect(text).toContain("\\u{1b}[31m");
    expect(text).not.toContain("\u001b");
  });

  it("tells by color nothing that the marks do not tell", () => {
    const painted = terminalText(packedChat(), all, { paint: colored, wrap });
    expect(painted.replace(/<\/?(bold|dim|red|green|cyan|magenta|underline)>/g, "")).toBe(
      terminalText(packedChat(), all, { paint: plain, wrap }),
    );
    expect(painted).toContain("<green>^</green>");
    expect(painted).toContain("<red>!p</red>");
    expect(painted).toContain("<underline><green>7</green></underline>");
  });

  it("keeps 80 columns, whatever the tokens are, and shows every position once", () => {
    const labels = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 60 });
    const words = fc.string({ unit: "grapheme", maxLength: 30 });
    fc.assert(
      fc.property(labels, words, (row, word) => {
        const inspection = inspectArray(tensor(Int32Array.from(row)), "x");
        const shown = terminalText(
          inspection,
          { ...all, textOf: (id) => (id % 2 ? word : undefined) },
          { paint: plain, wrap },
        );
        const lines = shown.split("\n");
        const body = lines.slice(lines.findIndex((line) => line.startsWith("  row 0")) + 1);
        expect(Math.max(...body.map(columnsOf))).toBeLessThanOrEqual(80);
        const marks = body.filter((_, i) => i % 2 === 1).flatMap((line) => line.match(/\^+/g) ?? []);
        expect(marks).toHaveLength(row.length);
      }),
    );
  });

  it("says how many rows it leaves out", () => {
    const inspection = inspectArray(tensor(new Int32Array(12), [6, 2]), "x");
    const text = terminalText(inspection, { rows: { first: 2, count: 3 } }, { paint: plain, wrap });
    expect(text.match(/row \d/g)).toEqual(["row 2", "row 3", "row 4"]);
    expect(text).toContain("3 more rows (--row N, --rows N)");
  });

  it("shows an alignment frame by frame, and what it collapses to", () => {
    const logits = tensor(Float64Array.from([9, 0, 0, 9, 9, 0, 0, 9]), [4, 1, 2]);
    const one = tensor(Int32Array.of(2));
    const fields = {
      logits,
      labels: tensor(Int32Array.of(1, 1), [1, 2]),
      inputLengths: tensor([4]),
      labelLengths: one,
    };
    const batch = inspectAlignments(objectiveFrom({ objective: "ctc" }), fields);
    const inspection = { name: "x", task: null, rule: "ctc", contract: null, batches: [batch] };
    const text = terminalText(inspection, { ...all, textOf: () => "a" }, { paint: plain, wrap });
    expect(text).toContain("  labels  a a\n  frames  . a . a\n  best    a a (");
  });
});
