import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import { hanging } from "../../audit/index.js";
import { LosswrightError } from "../../errors/index.js";
import { writeTextFile } from "../../io/files.js";
// The disk's side of the log is not in its index, which browsers run.
import { readObjectiveLog } from "../../log/files.js";
import { logPage, logText, logToJson, mergeLogs, type NamedLog } from "../../log/index.js";
import { exitCodes, print } from "../exit.js";
import { paintFor } from "../paint.js";

interface ShowOptions {
  readonly merge?: boolean;
  readonly json?: boolean;
  readonly rows?: string;
  readonly window?: string;
}

interface PlotOptions {
  readonly merge?: boolean;
  readonly html: string;
  readonly window?: string;
}

/** `losswright log show|plot RUN`: objective and metric of a run beside each other, and whether they part. */
export function addLog(program: Command): void {
  const log = program.command("log").description("show objective and metric of a run, and whether they part");
  const runs = "folders of runs, or .jsonl files";
  const windowText = "how many of the last evaluations the diagnosis looks at (20)";
  log
    .command("show")
    .description("the last evaluations, both curves, the diagnosis")
    .argument("<run...>", runs)
    .option("--merge", "the runs are ranks of one run: merge them")
    .option("--rows <n>", "evaluations in the table (10)")
    .option("--window <n>", windowText)
    .option("--json", "print JSON instead of text")
    .action((paths: string[], { merge = false, json, rows, window }: ShowOptions) => {
      const diagnosis = window === undefined ? {} : { window: count("--window", window) };
      const found = openRuns(paths, merge);
      if (json)
        print(
          JSON.stringify(
            found.map((run) => logToJson(run, diagnosis)),
            null,
            2,
          ),
        );
      else {
        const paint = paintFor();
        const shown = rows === undefined ? {} : { rows: count("--rows", rows) };
        print(found.map((run) => logText(run, { ...diagnosis, ...shown, wrap: hanging, paint })).join("\n\n"));
      }
      process.exitCode = exitCodeOf(found, diagnosis);
    });
  log
    .command("plot")
    .description("both curves with the diagnosis, as one HTML page")
    .argument("<run...>", runs)
    .requiredOption("--html <file>", "the page to write")
    .option("--merge", "the runs are ranks of one run: merge them")
    .option("--window <n>", windowText)
    .action(async (paths: string[], { merge = false, html, window }: PlotOptions) => {
      const diagnosis = window === undefined ? {} : { window: count("--window", window) };
      const found = openRuns(paths, merge);
      await writeTextFile(html, logPage(found, diagnosis));
      print(`wrote ${html}`);
      process.exitCode = exitCodeOf(found, diagnosis);
    });
  for (const command of log.commands) {
    command.exitOverride().configureHelp({ helpWidth: 80 }).addHelpText("after", help);
  }
}

const help = `
A folder holds objective.jsonl, or objective.rank0.jsonl and so on, which are
merged. Exit code 1: the objective falls and a metric does not follow.`;

function exitCodeOf(runs: readonly NamedLog[], diagnosis: { window?: number }): number {
  return runs.some(({ log }) => log.diagnose(diagnosis).isAlarm) ? exitCodes.findings : exitCodes.clean;
}

function openRuns(paths: readonly string[], merge: boolean): NamedLog[] {
  const opened = paths.map(openRun);
  if (!merge || opened.length === 1) return opened;
  const merged = mergeLogs(opened.map(({ log }) => log));
  const name = opened.map(({ name }) => name).join(" + ");
  return [
    {
      name,
      log: merged.log,
      notes: [...opened.flatMap(({ notes = [] }) => notes), ...incompleteNotes(merged.incomplete, opened.length)],
    },
  ];
}

function openRun(path: string): NamedLog {
  const name = basename(resolve(path)).replace(/\.jsonl$/, "");
  if (!isFolder(path)) return { name, log: readObjectiveLog(path) };
  const others = readdirSync(path)
    .filter((file) => file.endsWith(".jsonl"))
    .sort();
  const files = others.filter((file) => /^objective(\.rank\d+)?\.jsonl$/.test(file));
  if (files.length === 0) {
    throw new LosswrightError({
      code: "file",
      where: path,
      found: others.length ? `a folder with ${others.slice(0, 3).join(", ")}` : "a folder without an objective log",
      expected: "objective.jsonl, or objective.rank0.jsonl and so on",
      fix: others.length
        ? `give the file: ${join(path, others[0]!)}.`
        : "give the folder that openObjectiveLog was given, or a .jsonl file.",
    });
  }
  const logs = files.map((file) => readObjectiveLog(join(path, file)));
  if (logs.length === 1) return { name, log: logs[0]! };
  const { log, incomplete } = mergeLogs(logs);
  return { name, log, notes: [`merged of ${logs.length} ranks`, ...incompleteNotes(incomplete, logs.length)] };
}

function incompleteNotes(incomplete: readonly { step: number }[], ranks: number): string[] {
  if (incomplete.length === 0) return [];
  const steps = incomplete
    .slice(0, 5)
    .map(({ step }) => step)
    .join(", ");
  const more = incomplete.length > 5 ? " and more" : "";
  return [
    `left out, since not all of ${ranks} ranks have them: ${incomplete.length} entries, at steps ${steps}${more}`,
  ];
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // What is not there is said by whoever reads it.
    return false;
  }
}

function count(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new LosswrightError({
    code: "argument",
    where: "log",
    field: option,
    found: JSON.stringify(text),
    expected: "a whole number from 1",
  });
}
