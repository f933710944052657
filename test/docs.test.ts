import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "rolldown/parseAst";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/**
 * Blocks of `js` in README and docs are run as they stand; a `text` block right after one is what it prints. Blocks of
 * `python` and `ts` are for frameworks that are not here: they are read by their language's parser.
 */
const root = join(import.meta.dirname, "..");
const scratch = join(root, ".cache", "docs");
const files = [
  "README.md",
  "CONTRIBUTING.md",
  ...["docs", "docs/checks"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((f) => f.endsWith(".md"))
      .map((f) => join(folder, f)),
  ),
];

const python = spawnSync("python3", ["--version"]).status === 0;
if (!python) console.warn("Skipped: the syntax of the documents' Python, since there is no python3.");

/** Reads a JSON list of sources, and prints what the parser says of each: nothing for one that is right. */
const pythonParser = `
import ast, json, sys
def problem(source):
    try:
        ast.parse(source)
        return ""
    except SyntaxError as error:
        return str(error)
print(json.dumps([problem(source) for source in json.load(sys.stdin)]))
`;

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

function blocksOf(file: string): Block[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    text: match[2]!,
    line: text.slice(0, match.index).split("\n").length,
  }));
}

beforeAll(() => mkdirSync(scratch, { recursive: true }));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("the documents", () => {
  for (const file of files) {
    const blocks = blocksOf(file);
    for (const [i, { language, text, line }] of blocks.entries()) {
      if (language !== "js") continue;
      const next = blocks[i + 1];
      it(`run the code of ${file}, line ${line}, and print what they say`, () => {
        // Inside the package, so that "losswright" is the built package itself.
        const script = join(scratch, `${file.replace(/\W/g, "-")}-${line}.mjs`);
        writeFileSync(script, text);
        const printed = execFileSync(process.execPath, [script], { cwd: root, encoding: "utf8" });
        if (next?.language === "text") expect(printed).toBe(next.text);
      });
    }
  }

  it.skipIf(!python)("hold Python that its parser takes", () => {
    const blocks = files.flatMap((file) => blocksOf(file).map((block) => ({ file, ...block })));
    const ours = blocks.filter(({ language }) => language === "python");
    const input = JSON.stringify(ours.map(({ text }) => text));
    const problems: string[] = JSON.parse(execFileSync("python3", ["-c", pythonParser], { input, encoding: "utf8" }));
    expect(problems).toHaveLength(ours.length);
    expect(
      problems.flatMap((problem, i) => (problem ? [`${ours[i]!.file}, line ${ours[i]!.line}: ${problem}`] : [])),
    ).toEqual([]);
  });

  it("hold TypeScript that its parser takes", () => {
    for (const file of files) {
      for (const { language, text, line } of blocksOf(file)) {
        if (language === "ts") expect(() => parseAst(text, { lang: "ts" }), `${file}, line ${line}`).not.toThrow();
      }
    }
  });

  it("show in the README what npm start prints", () => {
    const [, shown] = blocksOf("README.md");
    const steps = ["examples/steps/sft-mean-of-means", "examples/steps/sft-global-mean"];
    let printed = "";
    try {
      printed = execFileSync(process.execPath, ["dist/cli/main.js", "audit", ...steps], {
        cwd: root,
        encoding: "utf8",
      });
    } catch (error) {
      // Exit code 1: the first of the two steps is wrong.
      const { status, stdout } = error as { status: number; stdout: string };
      expect(status).toBe(1);
      printed = stdout;
    }
    expect(printed).toBe(shown!.text);
  });

  it("name only files that exist", () => {
    for (const file of files) {
      const links = readFileSync(join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g);
      for (const [, link] of links)
        expect(() => readFileSync(join(root, file, "..", link!)), `${file}: ${link}`).not.toThrow();
    }
  });
});
