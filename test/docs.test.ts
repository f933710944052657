import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Blocks of `js` in README and docs are run as they stand; a `text` block right after one is what it prints. */
const root = join(import.meta.dirname, "..");
const scratch = join(root, ".cache", "docs");
const files = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"))
    .filter((f) => f.endsWith(".md"))
    .map((f) => join("docs", f)),
];

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
