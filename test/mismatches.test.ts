/** The examples of docs/mismatches.md: that they show what they say. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

interface Run {
  readonly name: string;
  readonly log: {
    readonly evaluations: readonly {
      readonly objective: { readonly value: number };
      readonly metrics: Readonly<Record<string, number>>;
    }[];
    diagnose(): {
      readonly metrics: readonly { readonly verdict: string; readonly mismatch?: { readonly id: string } }[];
    };
  };
}

const folder = new URL("../examples/mismatches/", import.meta.url);
const load = async (name: string) => (await import(new URL(`${name}.mjs`, folder).href)).default();

/** The metric of a run's last evaluation. */
const last = ({ log }: Run) => Object.values(log.evaluations.at(-1)!.metrics)[0]!;

describe("the examples of mismatches", () => {
  it.each([
    ["cross-entropy-and-f1", "cross-entropy-f1", 0.6],
    ["token-likelihood-and-answers", "token-likelihood-answer", 0.9],
    ["squared-error-and-ranks", undefined, 0.02],
    ["info-nce-and-recall", undefined, 0.03],
    ["reward-and-preference", undefined, 0.1],
  ])(
    "show an objective that falls without its metric, and what helps: %s",
    async (name, mismatch, gain) => {
      const { runs } = (await load(name)) as { runs: readonly Run[] };
      const [wrong, mended] = runs as readonly [Run, Run];
      const values = wrong.log.evaluations.map(({ objective }) => objective.value);
      expect(values.at(-1)!).toBeLessThan(0.75 * values[0]!);
      const [found] = wrong.log.diagnose().metrics;
      expect(["stalled", "apart"]).toContain(found!.verdict);
      expect(found!.mismatch?.id).toBeDefined();
      if (mismatch) expect(found!.mismatch?.id).toBe(mismatch);
      expect(last(mended) - last(wrong)).toBeGreaterThan(gain);
    },
    60_000,
  );

  it("show what posWeight does to probabilities, and undoPosWeight undoes", async () => {
    const { before, after } = await load("pos-weight-and-calibration");
    expect(before.calibrationError).toBeGreaterThan(0.3);
    expect(after.calibrationError).toBeLessThan(0.1);
    expect(after.logLoss).toBeLessThan(before.logLoss / 2);
  });

  it("print themselves and write their logs and curves where they are asked to", () => {
    const out = mkdtempSync(join(tmpdir(), "losswright-mismatch-"));
    try {
      const script = fileURLToPath(new URL("reward-and-preference.mjs", folder));
      const printed = execFileSync(process.execPath, [script, out], { encoding: "utf8" });
      expect(printed).toContain("pairAccuracy gets worse");
      expect(readdirSync(out).sort()).toEqual([
        "curves.html",
        "pairs-of-any-length.jsonl",
        "pairs-of-one-length.jsonl",
      ]);
      expect(readFileSync(join(out, "curves.html"), "utf8")).toContain("<svg");
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  it("have their figures in the documents", () => {
    const text = readFileSync(new URL("../docs/mismatches.md", import.meta.url), "utf8");
    const figures = [...text.matchAll(/\]\((figures\/[^)]+)\)/g)].map(([, path]) => path!);
    expect(figures.length).toBe(11);
    for (const figure of figures) {
      expect(readFileSync(new URL(`../docs/${figure}`, import.meta.url), "utf8")).toMatch(/^<svg xmlns/);
    }
  });
});
