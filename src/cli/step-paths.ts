import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { LosswrightError } from "../errors/index.js";
import { readTextFile } from "../io/files.js";

/** What a path of the command line means: one record, or the runs of a directory with their steps in order. */
export type Asked = { readonly record: string } | { readonly runs: readonly Run[] };

/** A directory whose subdirectories are steps. */
export interface Run {
  readonly path: string;
  /** The directories of its steps: in the order of their numbers, then of their names. */
  readonly steps: readonly string[];
}

const stepFile = "step.json";

/**
 * What a path means. A directory with a `step.json`, or the file itself, is a record; a directory whose subdirectories
 * have one is a run, and so is each subdirectory of that kind. What is no directory is a record that cannot be read:
 * reading it says why.
 *
 * @throws `file` for a directory that holds neither
 */
export async function askedBy(path: string): Promise<Asked> {
  if (!(await isDirectory(path)) || (await isFile(join(path, stepFile)))) return { record: path };
  const runs: Run[] = [];
  const own: string[] = [];
  for (const name of await directoriesIn(path)) {
    const inner = join(path, name);
    if (await isFile(join(inner, stepFile))) {
      own.push(inner);
      continue;
    }
    const steps: string[] = [];
    for (const each of await directoriesIn(inner)) {
      if (await isFile(join(inner, each, stepFile))) steps.push(join(inner, each));
    }
    if (steps.length > 0) runs.push({ path: inner, steps: await inOrder(steps) });
  }
  if (own.length > 0) runs.unshift({ path, steps: await inOrder(own) });
  if (runs.length > 0) return { runs };
  throw new LosswrightError({
    code: "file",
    where: path,
    found: `no such file: "${stepFile}", neither here nor in a directory of this one`,
    expected: "a step record, or a directory of step records",
    fix: "give the directory that a recorder wrote.",
  });
}

/** Names with numbers in them in the order of the numbers: step-9 before step-10. */
const natural = new Intl.Collator("en", { numeric: true });

function byName(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Numbered steps by their numbers, others behind them; all that are alike by their names. */
async function inOrder(steps: readonly string[]): Promise<string[]> {
  const numbered: { path: string; number: number }[] = [];
  for (const path of steps) numbered.push({ path, number: await numberOf(path) });
  return numbered
    .sort((a, b) => (a.number === b.number ? byName(a.path, b.path) : a.number < b.number ? -1 : 1))
    .map(({ path }) => path);
}

/** The number of a step in its run; infinite where it has none, or cannot be read, which its audit says in full. */
async function numberOf(path: string): Promise<number> {
  try {
    const json: unknown = JSON.parse(await readTextFile(join(path, stepFile)));
    const step = (json as { context?: { step?: unknown } } | null)?.context?.step;
    return typeof step === "number" ? step : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Those that a name with a dot before hides are records that somebody is still writing. */
async function directoriesIn(path: string): Promise<string[]> {
  let entries: Dirent[];
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (cause) {
    const found = `no right to list it, or no list: ${cause instanceof Error ? cause.message : String(cause)}`;
    const fix = "check the path and the rights to read it.";
    throw new LosswrightError(
      { code: "file", where: path, found, expected: "a directory that can be listed", fix },
      { cause },
    );
  }
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isDirectory(join(path, entry.name))))) {
      names.push(entry.name);
    }
  }
  return names.sort(byName);
}

async function isDirectory(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory() ?? false;
}

/** Whether something stands there that is no directory: what it is, reading tells. */
async function isFile(path: string): Promise<boolean> {
  return (await statOf(path))?.isDirectory() === false;
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}
