/**
 * The pages of the audit's checks and of its explanations, held against the code: every check has a page of the same
 * sections, the evidence it lists is the evidence that is emitted, the example it shows is what the audit says, and the
 * tables of explanations list what the search has, no more and no less.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { toleranceOf } from "../src/audit/audited-step.js";
import { checks } from "../src/audit/checks/index.js";
import { aggregations, type PartSums } from "../src/audit/explain/aggregations.js";
import { hasRowLoss } from "../src/audit/explain/row-losses.js";
import { transformNames } from "../src/audit/explain/transform.js";
import { audit, type Finding } from "../src/audit/index.js";
import type { ContractInput } from "../src/contract/index.js";
import { objectiveFrom } from "../src/index.js";
import { readStep } from "../src/io/files.js";
import { drawStep } from "./steps-generator/draw.js";

const root = join(import.meta.dirname, "..");
const pages = join(root, "docs", "checks");
const sources = join(root, "src", "audit");
const steps = join(root, "test", "steps");
const ids = checks.map(({ id }) => id);
const frameworks = ["PyTorch", "JAX", "Keras", "TensorFlow.js", "losswright"];
const languages = ["python", "python", "python", "ts", "js"];

const read = (...path: string[]) => readFileSync(join(...path), "utf8");
const pageOf = (id: string) => read(pages, `${id}.md`);
const explanations = read(root, "docs", "explanations.md");

/** The sections of a page by their headings of one level. */
function sectionsOf(markdown: string, level: number): Map<string, string> {
  const mark = `${"#".repeat(level)} `;
  const out = new Map<string, string>();
  let [heading, inCode] = ["", false];
  for (const line of markdown.split("\n")) {
    if (line.startsWith("```")) inCode = !inCode;
    if (!inCode && line.startsWith(mark)) {
      heading = line.slice(mark.length);
      out.set(heading, "");
    } else if (heading) out.set(heading, `${out.get(heading)}${line}\n`);
  }
  return out;
}

/** The cells in code of a table's first column, table by table. */
function tablesOf(markdown: string): string[][] {
  const tables: string[][] = [];
  let own: string[] | undefined;
  for (const line of markdown.split("\n")) {
    if (!line.startsWith("|")) own = undefined;
    else if (!own) {
      own = [];
      tables.push(own);
    } else own.push(...[...line.matchAll(/^\| `([^`]+)` \|/g)].map(([, name]) => name!));
  }
  return tables;
}

const sectionOf = (heading: string) => sectionsOf(explanations, 2).get(heading) ?? "";
const [ofExplained] = tablesOf(sectionOf("Evidence of an explained finding")) as [string[]];
/** Drawn steps that the pages are held against, beside the recorded ones; half of them have a bug. */
const drawnSteps = 120;
const evidenceOn = (id: string) => tablesOf(sectionsOf(pageOf(id), 2).get("Evidence") ?? "").flat();

/** Every name of evidence that a page lists, those of the page of explanations too where it points there. */
function listedOn(id: string): string[] {
  const pointsThere = sectionsOf(pageOf(id), 2).get("Evidence")!.includes("#evidence-of-an-explained-finding");
  return [...evidenceOn(id), ...(pointsThere ? ofExplained : [])];
}

/** The file of a check; what the fields contradict the contract in is told in one place for two of them. */
function ownSourceOf(id: string): string {
  const own = read(sources, "checks", `${id}.ts`);
  return own.includes("contradictionOf(") ? own + read(sources, "checks", "contradiction.ts") : own;
}

/** The source that the evidence of a check comes from. */
function sourceOf(id: string): string {
  const own = ownSourceOf(id);
  return own.includes("./aggregation.js") ? own + read(sources, "checks", "aggregation.ts") : own;
}

/** Message and reason, without the last digits of how near an explanation comes. */
const messageOf = ({ message, why }: Finding) => rounded([message, why].filter(Boolean).join(" "));
const rounded = (text: string) =>
  text.replace(/(exactly|to \de-(\d+))\./g, (all, _, digits) => (Number(digits ?? 99) > 14 ? "exactly." : all));

describe("the pages of the checks", () => {
  it("are one for each check, and an index", () => {
    expect(readdirSync(pages).sort()).toEqual(["README.md", ...ids.map((id) => `${id}.md`)].sort());
  });

  it("are listed in the index with what they look for, in the order of the checks", () => {
    const rows = read(pages, "README.md").matchAll(/^\| \[`([\w-]+)`\]\(([\w-]+)\.md\) \| (.+) \| (.+) \| (.+) \|$/gm);
    const listed = [...rows];
    expect(listed.map(([, id]) => id)).toEqual(ids);
    for (const [, id, file] of listed) expect(file).toBe(id);
  });

  it("are listed with every severity that their findings have, and no other", () => {
    const index = read(pages, "README.md");
    const helper = {
      explained: read(sources, "checks", "explained.ts"),
      parts: read(sources, "checks", "aggregation.ts"),
    };
    for (const id of ids) {
      const listed = new RegExp(`\\(${id}\\.md\\) .* \\| ([^|]+) \\|$`, "m").exec(index)![1]!.split(", ");
      const own = ownSourceOf(id);
      const source = [
        own,
        own.includes("findingOfExplanation(") ? helper.explained : "",
        own.includes("aboutAggregation(") ? helper.parts : "",
      ].join("\n");
      const lines = source.split("\n").filter((line) => line.includes("severity: "));
      const given = ["error", "warning", "note"].filter((each) => lines.some((line) => line.includes(`"${each}"`)));
      expect(listed, id).toEqual(given);
    }
  });

  for (const id of ids) {
    describe(id, () => {
      it("has a sentence and the five sections, each with something to say", () => {
        const page = pageOf(id);
        const [title, , sentence] = page.split("\n");
        expect(title).toBe(`# ${id}`);
        expect(sentence).toMatch(/^[A-Z].*\.$/);
        const sections = sectionsOf(page, 2);
        expect([...sections.keys()]).toEqual([
          "What it looks for",
          "Why it matters",
          "Evidence",
          "When it could be mistaken",
          "Fix",
        ]);
        for (const [heading, text] of sections) expect(text.trim().length, heading).toBeGreaterThan(80);
      });

      it("shows the fix in all five libraries", () => {
        const fixes = sectionsOf(sectionsOf(pageOf(id), 2).get("Fix")!, 3);
        expect([...fixes.keys()]).toEqual(frameworks);
        for (const [i, [name, text]] of [...fixes].entries()) {
          expect(text, name).toMatch(new RegExp(`^\`\`\`${languages[i]}\\n(.+\\n)+`, "m"));
        }
      });

      it("lists evidence that its check emits", () => {
        const source = sourceOf(id);
        for (const name of evidenceOn(id)) expect(source, name).toMatch(new RegExp(`(\\b|")${name}(\\b|")`));
      });

      it("shows what the audit says of a recorded step", async () => {
        const evidence = sectionsOf(pageOf(id), 2).get("Evidence")!;
        const [, name] = /`test\/steps\/([\w-]+)`/.exec(evidence)!;
        const record = await readStep(join(steps, name!));
        const changed = / with a reported loss of ([\d.]+):/.exec(evidence)?.[1];
        const loss = changed === undefined ? record.reported.loss : Number(changed);
        const { findings } = audit({ ...record, reported: { ...record.reported, loss } });
        const shown = [...evidence.matchAll(/^> (.+)$/gm)].map(([, line]) => line).join(" ");
        const said = findings.filter(({ check }) => check === id).map(messageOf);
        expect(said).toContain(rounded(shown));
      });
    });
  }

  it("list every name of evidence that recorded and drawn steps bring out", async () => {
    const recorded = await Promise.all(readdirSync(steps).map((name) => readStep(join(steps, name))));
    const records = [...recorded, ...Array.from({ length: drawnSteps }, (_, index) => drawStep(index).record)];
    const listed = new Map(ids.map((id) => [id, listedOn(id)]));
    for (const record of records) {
      for (const { check, evidence } of audit(record).findings) {
        const missing = Object.keys(evidence).filter((name) => !listed.get(check)!.includes(name));
        expect(missing, `${record.name}: ${check}`).toEqual([]);
      }
    }
  });
});

describe("the page of explanations", () => {
  const [transforms, losses, selections] = tablesOf(sectionOf("Transforms")) as [string[], string[], string[]];

  it("lists every transform", () => {
    expect([...transforms].sort()).toEqual([...transformNames].sort());
  });

  it("lists every loss that stands in an objective's place", () => {
    const source = read(sources, "explain", "row-losses.ts");
    const tables = source.slice(source.indexOf("const categorical"), source.indexOf("/** Plain binary cross entropy"));
    const rows = [...tables.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name!);
    const gathers = [...read(sources, "checks", "gather-gradient.ts").matchAll(/value: "(gather\w+)"/g)];
    expect([...losses].sort()).toEqual([...new Set([...rows, ...gathers.map(([, name]) => name!)])].sort());
    const hosts = ["crossEntropy", "binaryCrossEntropy"].map((objective) =>
      objectiveFrom({ objective } as ContractInput),
    );
    for (const name of losses.filter((each) => !each.startsWith("gather"))) {
      expect(
        hosts.some((objective) => hasRowLoss(objective, name)),
        name,
      ).toBe(true);
    }
  });

  it("lists every selection of units", () => {
    const source = read(sources, "explain", "selection.ts");
    const from = source.indexOf("function selection(");
    const named = source.slice(from, source.indexOf("\n}\n", from)).matchAll(/case "([^"]+)":/g);
    expect([...selections].sort()).toEqual([...named].map(([, name]) => name!).sort());
  });

  it("lists every aggregation that a step can have", () => {
    const part = (rank: number): PartSums => ({ numerator: 1, denominator: 1, rank });
    const settings = [[0], [0, 0], [0, 0, 0], [0, 1], [0, 0, 1, 1], [0, 0, 1]];
    const names = settings.flatMap((ranks) => aggregations(ranks.map(part)).map(({ name }) => name));
    const [listed] = tablesOf(sectionOf("Aggregations")) as [string[]];
    expect([...listed].sort()).toEqual([...new Set(names)].sort());
  });

  it("gives the tolerances of each precision", () => {
    const rows = sectionOf("Tolerances").matchAll(/^\| (.*`\w+`.*) \| (\S+) \| (\S+) \|$/gm);
    const given = new Map<string, unknown>();
    for (const [, types, loss, gradient] of rows) {
      for (const [, dtype] of types!.matchAll(/`(\w+)`/g)) {
        given.set(dtype!, { loss: Number(loss), gradient: Number(gradient) });
      }
    }
    for (const dtype of ["float64", "float32", "float16", "bfloat16"] as const) {
      expect(given.get(dtype), dtype).toEqual(toleranceOf({ computation: { dtype } }));
    }
    expect(given.get("float32")).toEqual(toleranceOf({}));
  });
});
