import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = new URL(".", import.meta.url);

const generated: Record<string, string> = JSON.parse(
  execFileSync(process.execPath, [fileURLToPath(new URL("make-tables.mjs", folder)), "--print"], { encoding: "utf8" }),
);

test.each(Object.keys(generated))("%s is what make-tables.mjs computes", (name) => {
  expect(readFileSync(new URL(name, folder), "utf8")).toBe(generated[name]);
});

test("every table is made by make-tables.mjs", () => {
  const tables = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  expect(tables.sort()).toEqual(Object.keys(generated).sort());
});
