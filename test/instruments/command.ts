/**
 * The command for tests that run it as a process: the sources are compiled into a folder of the test file's own, so that no
 * earlier build can answer in their place.
 *
 *   const { folder, main } = compiledCommand("metrics");   // in the body of a test file, once
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

/** The checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a run of the command came to. */
export interface Outcome {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

export interface CompiledCommand {
  /** A folder that is removed with everything in it when the tests of the file are done. */
  readonly folder: string;
  /** Where the compiled sources lie, from the first test on. */
  readonly dist: string;
  readonly main: string;
}

/** Compiles the sources before the file's tests, and removes what they left behind after them. */
export function compiledCommand(name: string): CompiledCommand {
  const folder = mkdtempSync(join(tmpdir(), `losswright-${name}-`));
  const dist = join(folder, "dist");
  const main = join(dist, "cli", "main.js");
  beforeAll(() => {
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const built = spawnSync(process.execPath, [tsc, "-p", "tsconfig.json", "--outDir", dist], {
      cwd: root,
      encoding: "utf8",
    });
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    if (!existsSync(main)) throw new Error(`the command was not compiled:\n${built.stdout}${built.stderr}`);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, dist, main };
}

/** The environment without what decides on colors. */
export function plainEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { NO_COLOR, FORCE_COLOR, CI, NODE_OPTIONS, ...rest } = process.env;
  return { ...rest, ...more };
}

/** Runs the command to its end. */
export function runCommand(
  main: string,
  args: readonly string[],
  { cwd = root, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Outcome {
  const { stdout, stderr, status } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: plainEnvironment(env),
    encoding: "utf8",
  });
  return { out: stdout, err: stderr, code: status };
}
