import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Command, Option } from "commander";
import {
  audit,
  auditPage,
  auditToJson,
  checksNamed,
  type FailOn,
  type Finding,
  fails,
  hanging,
  PageSteps,
  RunAudit,
  type RunAuditJson,
  report,
  type StepAudit,
  type StepAuditJson,
  sampledByRows,
  sift,
  withoutTensors,
} from "../../audit/index.js";
import { closest, LosswrightError } from "../../errors/index.js";
import { readStep, readStepByRows, writeTextFile } from "../../io/files.js";
import type { StepRecord } from "../../io/index.js";
import { sizeOf } from "../../tensor/index.js";
import { exitCodes, print, printError } from "../exit.js";
import { paintFor } from "../paint.js";
import { Progress } from "../progress.js";
import { askedBy, type Run } from "../step-paths.js";

interface AuditOptions {
  readonly json?: boolean;
  readonly html?: string;
  readonly all?: boolean;
  readonly failOn: FailOn;
  readonly ignore: readonly string[];
  readonly sampleAbove: number;
}

/** MiB of tensors up to which a record is read into memory. */
const wholeUpTo = 1024;

const severities: readonly FailOn[] = ["error", "warning", "note", "never"];

/** `losswright audit PATH…`: holds recorded steps against their contracts. */
export function addAudit(program: Command): void {
  program
    .command("audit")
    .description("hold recorded steps against their contracts and say which objective the numbers belong to")
    .argument("<path...>", "directories of step records, their step.json, or directories of many: runs")
    .option("--json", "print one JSON document instead of text")
    .option("--html <file>", "write one self-contained page as well")
    .option("--all", "of a run: tell every step in full, not the first faulty one alone")
    .addOption(
      new Option("--fail-on <severity>", "what makes the exit code 1: error, warning, note or never")
        .default("warning")
        .argParser(severityNamed),
    )
    .addOption(
      new Option("--ignore <check>", "leave out the findings of a check; may be repeated, or a list with commas")
        .default([], "none")
        .argParser((text: string, before: readonly string[]) => [...before, text]),
    )
    .addOption(
      new Option("--sample-above <MiB>", "read larger records by rows: all is counted, a sample is looked into")
        .default(wholeUpTo)
        .argParser(sizeNamed),
    )
    .addHelpText("after", help)
    .action(async (paths: string[], options: AuditOptions) => {
      process.exitCode = await new Auditing(options).run(paths);
    });
}

const help = `
A run is a directory whose subdirectories are step records; so is each of its
subdirectories that holds some. Its steps are read one by one, in the order of
context.step, then of their names. Ctrl-C ends a run after the step at hand,
and sums up what was read.

Exit codes: 0 clean; 1 findings of the severity of --fail-on or a graver one
(numbers that contradict the contract without a known cause are as grave as a
warning); 2 unreadable input or wrong usage; 130 stopped by Ctrl-C.`;

function severityNamed(text: string): FailOn {
  const known = severities.find((severity) => severity === text);
  if (known !== undefined) return known;
  const meant = closest(text.slice(0, 100), severities);
  throw new LosswrightError({
    code: "option",
    where: "audit",
    field: "--fail-on",
    found: JSON.stringify(text),
    expected: severities.join(", "),
    fix: meant === undefined ? "write one of them." : `write "${meant}".`,
  });
}

function sizeNamed(text: string): number {
  const size = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(size)) return size;
  throw new LosswrightError({
    code: "option",
    where: "audit",
    field: "--sample-above",
    found: JSON.stringify(text),
    expected: "a whole number of MiB, at least 0",
  });
}

/** A record of the command line, or a run with its steps. */
type Item = { readonly record: string } | { readonly run: Run };

/** One call of the command: what was printed, found and left out so far. */
class Auditing {
  readonly #options: AuditOptions;
  readonly #ignore: ReadonlySet<string>;
  readonly #paint = paintFor();
  readonly #documents: (StepAuditJson & { readonly sample?: Sample })[] = [];
  readonly #runs: RunAuditJson[] = [];
  readonly #page: PageSteps | undefined;
  /** By check: how many findings were left out, and in how many steps. */
  readonly #ignored = new Map<string, { findings: number; steps: number }>();
  /** The step printed before, for what is not told twice; without its tensors. */
  #previous: StepAudit | undefined;
  #code: number = exitCodes.clean;
  #hasPrinted = false;
  #isStopped = false;
  #audited = 0;
  #progress = new Progress(0);

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#ignore = checksNamed(options.ignore);
    this.#page = options.html === undefined ? undefined : new PageSteps();
  }

  async run(paths: readonly string[]): Promise<number> {
    const { html, json } = this.#options;
    // A page that nobody can write is said before an hour of reading, not after.
    if (html !== undefined) await checkPlace(html);
    const items = await this.#itemsOf(paths);
    const total = items.reduce((sum, item) => sum + ("run" in item ? item.run.steps.length : 1), 0);
    this.#progress = new Progress(total);
    const stop = () => {
      this.#isStopped = true;
    };
    // One step is stopped by the system, at once.
    if (total > 1) process.once("SIGINT", stop);
    for (const item of items) {
      if (this.#isStopped) break;
      if ("run" in item) await this.#auditRun(item.run);
      else await this.#auditRecord(item.record);
    }
    process.removeListener("SIGINT", stop);
    this.#progress.clear();
    if (html !== undefined && this.#page) await writeTextFile(html, auditPage(this.#page.audits));
    if (json) print(JSON.stringify(this.#document(), null, 2));
    else this.#sayTheEnd(total);
    return this.#isStopped ? exitCodes.stopped : this.#code;
  }

  async #itemsOf(paths: readonly string[]): Promise<Item[]> {
    const items: Item[] = [];
    for (const path of paths) {
      try {
        const asked = await askedBy(path);
        if ("record" in asked) items.push(asked);
        else items.push(...asked.runs.map((run) => ({ run })));
      } catch (error) {
        this.#refuse(error, path);
      }
    }
    return items;
  }

  async #auditRecord(path: string): Promise<void> {
    const found = await this.#audit(path);
    if (found && !this.#options.json) this.#tell(found);
  }

  async #auditRun({ path: runPath, steps }: Run): Promise<void> {
    const run = new RunAudit(runPath);
    for (const [place, path] of steps.entries()) {
      if (this.#isStopped) {
        run.stop(steps.length - place);
        break;
      }
      const found = await this.#audit(path);
      if (!found) {
        run.addUnreadable(path);
        continue;
      }
      const isFirstFaulty = run.add(path, found.audit);
      if (!this.#options.json && (isFirstFaulty || this.#options.all)) this.#tell(found);
    }
    this.#runs.push(run.toJSON());
    if (!this.#options.json) this.#print(run.report(this.#paint));
  }

  /** Audits a record; undefined where it cannot be read, which is said. */
  async #audit(path: string): Promise<Found | undefined> {
    this.#progress.show(this.#audited++, path);
    // The one place where Ctrl-C is heard between two steps.
    await setImmediate();
    try {
      const { record, sample } = await recordAt(path, this.#options.sampleAbove * mebibyte);
      const whole = audit(record);
      const { audit: sifted, ignored } = sift(whole, this.#ignore);
      if (this.#options.json) this.#documents.push({ ...auditToJson(path, sifted), ...(sample && { sample }) });
      // On the page what is ignored stands as a note: a page is read by others than who ignored it.
      this.#page?.add(path, ignored.length ? { ...whole, findings: asNotes(whole.findings, this.#ignore) } : whole);
      this.#count(ignored);
      if (fails(sifted, this.#options.failOn)) this.#code = Math.max(this.#code, exitCodes.findings);
      return { audit: sifted, ignored, sample };
    } catch (error) {
      this.#refuse(error, path);
      return undefined;
    }
  }

  #count(ignored: readonly Finding[]): void {
    for (const check of new Set(ignored.map((finding) => finding.check))) {
      const { findings, steps } = this.#ignored.get(check) ?? { findings: 0, steps: 0 };
      const own = ignored.filter((finding) => finding.check === check).length;
      this.#ignored.set(check, { findings: findings + own, steps: steps + 1 });
    }
  }

  #refuse(error: unknown, path: string): void {
    this.#progress.clear();
    printError(error, path);
    this.#code = exitCodes.unusable;
  }

  #tell({ audit: found, ignored, sample }: Found): void {
    const lines = [report(found, this.#paint, this.#previous).trimEnd()];
    if (sample) {
      const size = `${Math.round(sample.bytes / mebibyte)} MiB of tensors, read by rows`;
      lines.push(
        ...hanging("  SAMPLE ", `${size}: ${sample.units} of ${sample.of} units looked into, all counted.`, 9),
      );
    }
    const checks = [...new Set(ignored.map(({ check }) => check))];
    if (checks.length) lines.push(...hanging("  IGNORED ", `${checks.join(", ")}.`, 10));
    this.#print(lines.join("\n"));
    this.#previous = withoutTensors(found);
  }

  /** Prints a paragraph, with a line between it and the one before. */
  #print(text: string): void {
    this.#progress.clear();
    print(`${this.#hasPrinted ? "\n" : ""}${text}`);
    this.#hasPrinted = true;
  }

  #document() {
    return {
      steps: this.#documents,
      ...(this.#runs.length > 0 && { runs: this.#runs }),
      ...(this.#ignore.size > 0 && {
        ignored: [...this.#ignore].map((check) => ({ check, ...(this.#ignored.get(check) ?? none) })),
      }),
      ...(this.#isStopped && { stopped: true }),
    };
  }

  #sayTheEnd(total: number): void {
    const { html } = this.#options;
    const ignored = [...this.#ignore].map((check) => {
      const { findings, steps } = this.#ignored.get(check) ?? none;
      return findings === 0
        ? `${check} (never found)`
        : `${check} (${counted(findings, "finding")} in ${counted(steps, "step")})`;
    });
    const lines = [
      ...(ignored.length ? hanging("ignored: ", `${ignored.join(", ")}.`, 2) : []),
      ...(this.#isStopped ? [`stopped after ${this.#audited} of ${counted(total, "step")}`] : []),
      ...(html !== undefined ? [`wrote ${html}`] : []),
    ];
    if (lines.length) this.#print(lines.join("\n"));
  }
}

const none = { findings: 0, steps: 0 };

/** An audit without ignored findings, and these. */
interface Found {
  readonly audit: StepAudit;
  readonly ignored: readonly Finding[];
  readonly sample: Sample | undefined;
}

/** How much of a record was looked into that was too large to be read whole. */
interface Sample {
  readonly units: number;
  readonly of: number;
  /** Of all tensors of the record. */
  readonly bytes: number;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function asNotes(findings: readonly Finding[], ignored: ReadonlySet<string>): readonly Finding[] {
  return findings.map((finding) => {
    if (!ignored.has(finding.check)) return finding;
    return { ...finding, severity: "note", message: `Ignored on request: ${finding.message}` };
  });
}

/** The record, or, where its tensors take more than `most` bytes, a sample of its units with the tally of all. */
async function recordAt(path: string, most: number): Promise<{ record: StepRecord; sample?: Sample }> {
  const { record, bytes, isWhole, close } = await readStepByRows(path, { limit: Math.min(most, largestWhole) });
  try {
    if (isWhole) return { record: record as StepRecord };
    if (bytes > most) {
      const sampled = await sampledByRows(record);
      return { record: sampled, sample: { ...unitsIn(sampled), bytes } };
    }
  } finally {
    await close();
  }
  return { record: await readStep(path) };
}

/** The units that samples of a record kept, and those that they were taken from. */
function unitsIn({ context, parts }: StepRecord): Pick<Sample, "units" | "of"> {
  const samples = [context, ...parts.map((part) => part.context)].flatMap(({ sampled }) => sampled ?? []);
  const units = samples.reduce((sum, sample) => sum + sizeOf(sample.units.shape), 0);
  return { units, of: samples.reduce((sum, { shape }) => sum + sizeOf(shape), 0) };
}

const mebibyte = 1024 * 1024;

/** Bytes of the largest tensor that is loaded before it is known whether the record is too large. */
const largestWhole = 4 * mebibyte;

/** @throws `file` where no page can be written to the path */
async function checkPlace(path: string): Promise<void> {
  const directory = dirname(resolve(path));
  try {
    await access(directory, constants.W_OK);
    if (!(await stat(directory)).isDirectory()) throw new Error("no directory");
    if (await isDirectory(path)) throw new Error("a directory in the way");
  } catch (cause) {
    throw new LosswrightError(
      {
        code: "file",
        where: path,
        field: "--html",
        found: "a place that no file can be written to",
        expected: "the name of a file in a directory that is there",
        fix: "make the directory, or write the page somewhere else.",
      },
      { cause },
    );
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
