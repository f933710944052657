import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const run = (code: string, kind: "module" | "commonjs") =>
  execFileSync(process.execPath, [`--input-type=${kind}`, "--eval", code], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();

describe("the built package", () => {
  const { exports, files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: object;
    files: string[];
  };
  const entries = Object.keys(exports).filter((entry) => !/\.(json|wasm)$/.test(entry));

  it.each(entries)("gives %s to import and to require alike", (entry) => {
    const name = `losswright${entry.slice(1)}`;
    const list = 'console.log(Object.keys(all).filter((key) => key !== "default").sort().join())';
    const imported = run(`import * as all from ${JSON.stringify(name)}; ${list}`, "module");
    expect(imported.split(",").length).toBeGreaterThan(1);
    expect(
      run(`const all = require(${JSON.stringify(name)}); ${list}`, "commonjs").replace(",module.exports", ""),
    ).toBe(imported);
  });

  it("gives the schema of step records, which its files include", () => {
    const schema = JSON.parse(
      run('console.log(JSON.stringify(require("losswright/schema/step.schema.json")))', "commonjs"),
    );
    expect(schema.$id).toBe("losswright/step-1.schema.json");
    expect(files).toContain("schema");
  });
});
