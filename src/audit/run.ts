import { closest, LosswrightError } from "../errors/index.js";
import type { StepContext, StepRecord } from "../io/index.js";
import type { StepAudit } from "./audit.js";
import type { AuditedStep } from "./audited-step.js";
import { checks } from "./checks/index.js";
import type { Finding, Severity } from "./finding.js";
import { hanging, plain } from "./hanging.js";
import { severityOf, verdictOf } from "./html/verdict.js";
import type { Paint } from "./report.js";

/** From which severity on a finding makes an audit fail. */
export type FailOn = Severity | "never";

const gravity: readonly Severity[] = ["error", "warning", "note"];

/**
 * Whether a step has a finding of this severity or a graver one. Numbers that contradict the contract without a known
 * cause are as grave as a warning.
 */
export function fails(audit: StepAudit, failOn: FailOn = "warning"): boolean {
  if (failOn === "never") return false;
  const grave = gravity.slice(0, gravity.indexOf(failOn) + 1);
  return audit.findings.some((finding) => grave.includes(severityOf(finding, audit)));
}

/**
 * The ids of checks that nobody wants to hear of.
 *
 * @param names - ids, each alone or several with commas between
 * @throws `unknown` for one that no check has, with the near miss
 */
export function checksNamed(names: readonly string[]): ReadonlySet<string> {
  const known = checks.map(({ id }) => id);
  const given = names.flatMap((list) => list.split(",")).map((name) => name.trim());
  for (const name of given) {
    if (known.includes(name)) continue;
    const meant = closest(name.slice(0, 100), known);
    throw new LosswrightError({
      code: "unknown",
      where: "audit",
      field: "ignore",
      found: `an unknown check ${JSON.stringify(name)}`,
      expected: `one of ${known.join(", ")}`,
      fix: meant === undefined ? "name a check, or leave the option out." : `write "${meant}".`,
    });
  }
  return new Set(given);
}

/** An audit without the findings of some checks, and these. */
export function sift(
  audit: StepAudit,
  ignored: ReadonlySet<string>,
): { readonly audit: StepAudit; readonly ignored: readonly Finding[] } {
  if (!audit.findings.some(({ check }) => ignored.has(check))) return { audit, ignored: [] };
  const findings = audit.findings.filter(({ check }) => !ignored.has(check));
  return { audit: { ...audit, findings }, ignored: audit.findings.filter(({ check }) => ignored.has(check)) };
}

// ---- a run ----

/** A finding over the steps of a run. */
export interface RunFinding {
  readonly check: string;
  /** The gravest that a step has. */
  readonly severity: Severity;
  /** How many steps have it. */
  readonly count: number;
  /** The paths of the first and the last one, in the order of the run, and of all. */
  readonly first: string;
  readonly last: string;
  readonly steps: readonly string[];
}

/** The JSON of an audited run. */
export interface RunAuditJson {
  readonly path: string;
  /** How many steps were audited. */
  readonly steps: number;
  /** The paths of steps that could not be read. */
  readonly unreadable: readonly string[];
  /** How many steps were left when the audit was stopped; 0 when it was not. */
  readonly left: number;
  readonly findings: readonly RunFinding[];
}

/** What is kept of an audited step of a run. */
interface RunStep {
  readonly path: string;
  readonly name: string;
  readonly number: number | undefined;
  readonly isClean: boolean;
  readonly isFaulty: boolean;
  readonly severities: ReadonlyMap<string, Severity>;
}

/**
 * The steps of a run, one after the other: what was found, since when, how often. Keeps no tensor of a step, so that a
 * run of any length takes the memory of one.
 */
export class RunAudit {
  readonly #path: string;
  readonly #steps: RunStep[] = [];
  readonly #unreadable: string[] = [];
  #left = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Takes the next step of the run; gives whether it is the first with an error or a warning. */
  add(path: string, audit: StepAudit): boolean {
    const severities = new Map<string, Severity>();
    for (const finding of audit.findings) {
      const own = severityOf(finding, audit);
      const known = severities.get(finding.check);
      if (known === undefined || gravity.indexOf(own) < gravity.indexOf(known)) severities.set(finding.check, own);
    }
    const { name, context } = audit.step.record;
    const isFaulty = fails(audit);
    const isFirst = isFaulty && !this.#steps.some((step) => step.isFaulty);
    const isClean = verdictOf(audit) === "CLEAN";
    this.#steps.push({ path, name, number: context.step, isClean, isFaulty, severities });
    return isFirst;
  }

  /** Takes a step that could not be read. */
  addUnreadable(path: string): void {
    this.#unreadable.push(path);
  }

  /** Says that the audit was stopped, and how many steps were left. */
  stop(left: number): void {
    this.#left = left;
  }

  /** The gravest first; then in the order in which checks are listed. */
  get findings(): readonly RunFinding[] {
    const found = checks.flatMap(({ id }) => {
      const having = this.#steps.filter(({ severities }) => severities.has(id));
      if (having.length === 0) return [];
      const severity = gravity.find((level) => having.some(({ severities }) => severities.get(id) === level))!;
      const steps = having.map(({ path }) => path);
      return [{ check: id, severity, count: steps.length, first: steps[0]!, last: steps.at(-1)!, steps }];
    });
    return gravity.flatMap((level) => found.filter(({ severity }) => severity === level));
  }

  toJSON(): RunAuditJson {
    return {
      path: this.#path,
      steps: this.#steps.length,
      unreadable: this.#unreadable,
      left: this.#left,
      findings: this.findings,
    };
  }

  /** The run as text of 80 columns: which findings, since when, how often. */
  report(paint: Paint): string {
    const name = plain(this.#path);
    const counted = [
      inSteps(this.#steps.length),
      this.#unreadable.length > 0 && `${this.#unreadable.length} unreadable`,
      this.#left > 0 && `stopped with ${this.#left} left`,
    ].filter((part) => part !== false);
    const gap = " ".repeat(Math.max(2, 20 - name.length));
    const [head, ...more] = hanging(`${name}${gap}`, counted.join(", "), 20);
    const lines = [`${paint.bold(name)}${head!.slice(name.length)}`, ...more];
    for (const finding of this.findings) {
      const mark = marks[finding.severity];
      const color = { error: paint.red, warning: paint.yellow, note: paint.dim }[finding.severity];
      const told = hanging(`  ${mark.padEnd(6)} `, `${finding.check}: ${this.#since(finding)}.`, 9);
      lines.push(...told.map((line, i) => (i === 0 ? line.replace(mark, color(mark)) : line)));
    }
    const clean = this.#cleanInWords();
    if (clean !== undefined) {
      const told = hanging("  CLEAN  ", `${clean}.`, 9);
      lines.push(...told.map((line, i) => (i === 0 ? line.replace("CLEAN", paint.green("CLEAN")) : line)));
    }
    return lines.join("\n");
  }

  /** "12 of 40 steps, since step 1500, last at 20000". */
  #since({ count, first, last }: RunFinding): string {
    const all = this.#steps.length;
    const many = count === all ? (all === 1 ? "the one step" : `all ${all} steps`) : `${count} of ${inSteps(all)}`;
    const [from, to] = [first, last].map((path) => this.#steps.find((step) => step.path === path)!);
    if (count === all) return many;
    return count === 1 ? `${many}, at ${nameOf(from!)}` : `${many}, since ${nameOf(from!)}, last at ${shortly(to!)}`;
  }

  #cleanInWords(): string | undefined {
    const clean = this.#steps.filter(({ isClean }) => isClean).length;
    if (clean === 0) return undefined;
    const firstFaulty = this.#steps.findIndex(({ isFaulty }) => isFaulty);
    const before = this.#steps.slice(0, Math.max(0, firstFaulty));
    const since = before.length > 0 && before.every(({ isClean }) => isClean);
    const many = clean === this.#steps.length ? `all of them` : `${clean} of ${inSteps(this.#steps.length)}`;
    return since ? `${many}; clean until ${nameOf(before.at(-1)!)}` : many;
  }
}

const marks = { error: "WRONG", warning: "DOUBT", note: "NOTE" } as const;

function inSteps(count: number): string {
  return count === 1 ? "1 step" : `${count} steps`;
}

function nameOf({ number, name }: RunStep): string {
  return number === undefined ? name : `step ${number}`;
}

function shortly({ number, name }: RunStep): string {
  return number === undefined ? name : String(number);
}

// ---- what a page of many steps keeps ----

/** Steps of a page whose gradient and batch are drawn, and that therefore stay whole. */
const mostPictured = 6;

interface KeptStep {
  readonly path: string;
  readonly isClean: boolean;
  readonly bytes: number;
  audit: StepAudit;
  isWhole: boolean;
}

/**
 * The audits for a page of many steps: those that are drawn stay whole, others as long as there is room; of the rest
 * stay words and numbers, no tensors.
 */
export class PageSteps {
  readonly #kept: KeptStep[] = [];
  readonly #room: number;

  /** @param room - bytes of tensors beyond which a step that is not drawn is kept without them */
  constructor(room = 512 * 1024 * 1024) {
    this.#room = room;
  }

  add(path: string, audit: StepAudit): void {
    const bytes = bytesOf(audit.step.record);
    this.#kept.push({ path, isClean: verdictOf(audit) === "CLEAN", bytes, audit, isWhole: true });
    // Pages draw steps that are not clean first.
    const ranked = [...this.#kept.filter((step) => !step.isClean), ...this.#kept.filter((step) => step.isClean)];
    let used = ranked.reduce((sum, step) => sum + (step.isWhole ? step.bytes : 0), 0);
    for (const step of ranked.slice(mostPictured).reverse()) {
      if (used <= this.#room) break;
      if (!step.isWhole) continue;
      used -= step.bytes;
      step.isWhole = false;
      step.audit = withoutTensors(step.audit);
    }
  }

  /** In the order in which they came. */
  get audits(): readonly { readonly path: string; readonly audit: StepAudit }[] {
    return this.#kept.map(({ path, audit }) => ({ path, audit }));
  }
}

/** An audit with all its words and numbers, and none of the step's tensors. */
export function withoutTensors({ step, findings }: StepAudit): StepAudit {
  const { record, parts, declared, reported, loss } = step;
  const light: AuditedStep = {
    ...step,
    record: {
      ...record,
      ...(record.fields && { fields: {} }),
      reported: { loss: record.reported.loss, gradients: {} },
      context: settingsOf(record.context),
      parts: record.parts.map((part) => ({
        fields: {},
        reported: { loss: part.reported.loss, gradients: {} },
        context: settingsOf(part.context),
      })),
    },
    parts: parts.map((part) => ({
      ...part,
      batch: {},
      reported: { loss: part.reported.loss, gradients: {} },
      context: settingsOf(part.context),
    })),
    searched: [],
    // Where no loss was reported, gradients were what was compared.
    reported: reported && loss === null ? [] : undefined,
    declared: declared && { ...declared, gradients: [] },
  };
  return { step: light, findings };
}

/** A context without its tensors. */
function settingsOf({
  sequence,
  scores,
  outputs,
  gathered,
  alignment,
  sampled,
  ...settings
}: StepContext): StepContext {
  return settings;
}

/** Bytes of the tensors of a record's fields and gradients. */
function bytesOf({ fields, reported, parts }: StepRecord): number {
  const holders = [{ fields: fields ?? {}, reported }, ...parts];
  return holders.reduce((sum, holder) => {
    const tensors = [...Object.values(holder.fields), ...Object.values(holder.reported.gradients)];
    return sum + tensors.reduce((bytes, { data }) => bytes + data.byteLength, 0);
  }, 0);
}
