import { type ContractInput, canonicalText, firstDifference, type Json } from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import { objectiveFrom, type UncertainEvaluation, type WeightedEvaluationWithGradients } from "../losses/index.js";
import { Metric, metricNames } from "../metrics/index.js";
import { Tally } from "../tally/index.js";
import { type Diagnosis, type DiagnosisOptions, diagnose } from "./diagnose.js";
import {
  type EntryKind,
  entryLine,
  isPartTallies,
  isStep,
  type LogEntry,
  type LoggedContract,
  type LoggedObjective,
  type LoggedSumContract,
  type PartTallies,
  readEntry,
} from "./entry.js";
import { type MetricGoal, type MetricGoals, metricGoals } from "./goal.js";

/** What a log needs of an objective or a weighted sum. */
interface AnyObjective {
  readonly name: string;
  readonly contract: LoggedContract;
  value(tally: never): number;
  readonly definition?: { readonly documentation: { readonly metric: string } };
}

export interface ObjectiveLogOptions {
  /** The objective that is trained, or its contract. */
  readonly objective: AnyObjective | ContractInput | LoggedSumContract;
  /** What the model is for: names of this library's metrics, or any names with their goals. */
  readonly metrics?: MetricGoals;
  /** Says that this log is to hold an objective alone. */
  readonly withoutMetric?: true;
  /** Takes each line, with its end, as it is written: the header first. */
  readonly write?: (line: string) => void;
  /** Keeps the first so many lines of what `write` was given, for `resume`. */
  readonly rewind?: (lines: number) => void;
  /** Milliseconds since 1970; `Date.now` without it. */
  readonly now?: () => number;
}

/** What an objective came to: the whole tally, the two numbers that were divided, or their quotient. */
export type GivenObjective =
  | { readonly tally: Tally | PartTallies }
  | { readonly numerator: number; readonly denominator: number }
  | { readonly value: number };

/** A metric's number, or a metric that computes one. */
// biome-ignore lint/suspicious/noExplicitAny: a log reads a metric's value, whatever its fields
export type GivenMetrics = Readonly<Record<string, number | Metric<any, number>>>;

/** What an objective's `evaluate` gave, of which the tally is taken; or the tally, or the value, alone. */
type BareObjective = Evaluated | Tally | PartTallies | number;

type Evaluated = { readonly tally: Tally | PartTallies } & ({ readonly ranBy: unknown } | { readonly parts: unknown });

export type GivenStep = BareObjective | ((GivenObjective | Evaluated) & { readonly metrics?: GivenMetrics });

export interface GivenEvaluation {
  readonly objective: BareObjective | GivenObjective;
  readonly metrics?: GivenMetrics;
}

/** Whoever follows a log: an event file, a page that is drawn anew. */
export interface LogListener {
  readonly entry?: (entry: LogEntry) => void;
  readonly resumed?: (fromStep: number) => void;
}

/** What the first line of a log says. */
export interface LogHeader {
  readonly contract: LoggedContract;
  readonly metrics: Readonly<Record<string, MetricGoal>>;
  readonly withoutMetric: boolean;
}

const format = "losswright objective log";
const version = 1;

/**
 * A training log that holds objective and metric together: the objective at training steps, both at evaluations.
 *
 * A loss is a surrogate. It can fall while what it stands for does not move or gets worse, so a log of an objective
 * without a metric has to be asked for by `withoutMetric: true`.
 *
 * @example
 * const log = new ObjectiveLog({ objective: crossEntropy(), metrics: ["fBeta"] });
 * log.step(1, { tally });
 * log.evaluation(1, { objective: tally, metrics: { fBeta: 0.4 } });
 * log.diagnose();
 */
export class ObjectiveLog {
  readonly header: LogHeader;
  private readonly objective: AnyObjective;
  private readonly held: LogEntry[] = [];
  private readonly last: Record<EntryKind, number> = { train: -1, evaluation: -1 };
  private readonly now: () => number;
  private readonly listeners: LogListener[] = [];
  private write: ObjectiveLogOptions["write"];

  /**
   * @throws `argument` for an objective without a metric, and for metrics without a goal; what `objectiveFrom` throws
   */
  constructor(private readonly options: ObjectiveLogOptions) {
    checkObject("ObjectiveLog", "options", options);
    rejectUnknown("ObjectiveLog", "option", options, [
      "objective",
      "metrics",
      "withoutMetric",
      "write",
      "rewind",
      "now",
    ]);
    this.objective = objectiveOf(options.objective);
    this.header = headerOf(this.objective, options);
    this.now = options.now ?? Date.now;
    this.write = options.write;
    this.write?.(`${this.headerLine()}\n`);
  }

  /** Everything logged, in its order. */
  get entries(): readonly LogEntry[] {
    return this.held;
  }

  get evaluations(): readonly LogEntry[] {
    return this.held.filter(({ kind }) => kind === "evaluation");
  }

  /** The last step of any kind; -1 for a log that holds none. */
  get lastStep(): number {
    return Math.max(this.last.train, this.last.evaluation);
  }

  /**
   * Logs the objective of a training step, and what was measured on the way.
   *
   * @throws `argument` for a step that does not follow the last one, and for what is no objective's result; `merge` for a
   * tally of another contract
   */
  step(step: number, given: GivenStep): void {
    const isAlone = typeof given === "number" || given instanceof Tally || isPartTallies(given);
    if (!isAlone) checkObject("ObjectiveLog.step", "given", given);
    // An evaluation may have metrics beside it: { ...objective.evaluate(batch), metrics }.
    const { metrics = {}, ...rest } = (isAlone ? {} : given) as { readonly metrics?: GivenMetrics };
    const objective = isAlone ? given : (rest as GivenObjective | Evaluated);
    this.add(
      "train",
      step,
      bareObjective(objective) ?? (objective as GivenObjective),
      this.readMetrics("step", metrics),
    );
  }

  /**
   * Logs an evaluation: the objective on held-out data, and every metric of the log.
   *
   * @throws as {@link step}; `missing-field` where a metric of the log is left out
   */
  evaluation(step: number, given: GivenEvaluation): void {
    const where = "ObjectiveLog.evaluation";
    checkObject(where, "given", given);
    rejectUnknown(where, "field", given, ["objective", "metrics"]);
    const metrics = this.readMetrics("evaluation", given.metrics ?? {});
    const missing = Object.keys(this.header.metrics).find((name) => !Object.hasOwn(metrics, name));
    if (missing !== undefined) {
      throw new LosswrightError({
        code: "missing-field",
        where,
        field: `metrics.${missing}`,
        found: `an evaluation at step ${step} without it`,
        expected: "every metric of the log",
        fix: "measure it where the objective is evaluated; log NaN where it has no value.",
      });
    }
    const { objective } = given;
    this.add("evaluation", step, bareObjective(objective) ?? (objective as GivenObjective), metrics);
  }

  /**
   * Goes back to a checkpoint: entries of later steps are dropped, so that the steps after it can be logged again.
   *
   * @param fromStep - the step that the checkpoint was made after; where that is later than the last entry, nothing is
   * dropped
   * @returns how many entries were dropped
   * @throws `unsupported` where lines were written and cannot be taken back
   */
  resume({ fromStep }: { readonly fromStep: number }): number {
    if (!isStep(fromStep)) throw badStep("ObjectiveLog.resume", "fromStep", fromStep);
    let kept = this.held.length;
    while (kept > 0 && this.held[kept - 1]!.step > fromStep) kept--;
    const dropped = this.held.length - kept;
    if (dropped === 0) return 0;
    const { rewind } = this.options;
    if (this.write && !rewind) {
      throw new LosswrightError({
        code: "unsupported",
        where: "ObjectiveLog.resume",
        found: `${dropped} lines written that cannot be taken back`,
        expected: "rewind(lines) beside write(line)",
        fix: "give rewind, which keeps the first so many lines; openObjectiveLog does it for files.",
      });
    }
    rewind?.(kept + 1);
    this.held.length = kept;
    for (const kind of ["train", "evaluation"] as const) {
      this.last[kind] = this.held.findLast((entry) => entry.kind === kind)?.step ?? -1;
    }
    for (const { resumed } of this.listeners) resumed?.(fromStep);
    return dropped;
  }

  /** Whether the objective falls while a metric does not rise, with the mismatch that this is and what to try. */
  diagnose(options: DiagnosisOptions = {}): Diagnosis {
    return diagnose(this.header, this.evaluations, options);
  }

  /** The whole log as JSON lines. */
  toText(): string {
    return [this.headerLine(), ...this.held.map(entryLine)].map((line) => `${line}\n`).join("");
  }

  /**
   * Reads a log from JSON lines. A last line without its end was torn by a kill: it is left out, and nothing else is.
   *
   * @throws `file` for a text that is no log, or has a line that is none
   */
  static parse(
    text: string,
    {
      where = "ObjectiveLog",
      ...more
    }: Pick<ObjectiveLogOptions, "write" | "rewind" | "now"> & { where?: string } = {},
  ): ObjectiveLog {
    const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
    // What is after the last end: nothing.
    lines.pop();
    const header = readHeader(lines[0], where);
    const log = ObjectiveLog.begun(header, more);
    for (const [i, line] of lines.entries()) {
      if (i === 0) continue;
      log.take(readEntry(line, header.contract, `${where}, line ${i + 1}`), `${where}, line ${i + 1}`);
    }
    return log;
  }

  /** A log of the same header with other entries: what merging makes. */
  static of(header: LogHeader, entries: readonly LogEntry[]): ObjectiveLog {
    const log = ObjectiveLog.begun(header, {});
    for (const entry of entries) log.take(entry, "ObjectiveLog");
    return log;
  }

  /** Tells a listener of every entry that is logged from now on, and of every return to a checkpoint. */
  listen(listener: LogListener): void {
    this.listeners.push(listener);
  }

  /** A log whose header is written already. */
  private static begun(header: LogHeader, { write, ...more }: Partial<ObjectiveLogOptions>): ObjectiveLog {
    const { contract, metrics, withoutMetric } = header;
    const log = new ObjectiveLog({ objective: contract, metrics, ...(withoutMetric && { withoutMetric }), ...more });
    log.write = write;
    return log;
  }

  /** @throws `contract` where another log is of another contract or other metrics */
  checkSame(other: LogHeader, where: string): void {
    const [mine, theirs] = [this.header, other].map((header) => header as unknown as Json) as [Json, Json];
    if (canonicalText(mine) === canonicalText(theirs)) return;
    throw new LosswrightError({
      code: "contract",
      where,
      found: firstDifference(mine, theirs),
      expected: "the contract and the metrics that the log was begun with",
      fix: "log another objective into another folder.",
    });
  }

  private headerLine(): string {
    const { contract, metrics, withoutMetric } = this.header;
    return JSON.stringify({ format, version, contract, metrics, ...(withoutMetric && { withoutMetric }) });
  }

  private add(kind: EntryKind, step: number, given: GivenObjective, metrics: Record<string, number>): void {
    const where = kind === "train" ? "ObjectiveLog.step" : "ObjectiveLog.evaluation";
    this.checkStep(kind, step, where);
    const objective = readObjective(this.objective, given, where);
    const entry: LogEntry = { kind, step, time: this.now(), objective, metrics };
    // Written first: what the disk refuses is not in the log either.
    this.write?.(`${entryLine(entry)}\n`);
    this.take(entry, where);
    for (const { entry: tell } of this.listeners) tell?.(entry);
  }

  private take(entry: LogEntry, where: string): void {
    this.checkStep(entry.kind, entry.step, where);
    this.held.push(entry);
    this.last[entry.kind] = entry.step;
  }

  /** Each kind goes forward, and neither goes behind the other. */
  private checkStep(kind: EntryKind, step: number, where: string): void {
    if (!isStep(step)) throw badStep(where, "step", step);
    if (step > this.last[kind] && step >= this.lastStep) return;
    throw new LosswrightError({
      code: "argument",
      where,
      field: "step",
      found: `step ${step} after step ${this.lastStep}`,
      expected: "steps that go forward, one entry of a kind each",
      fix: `after a return to a checkpoint, call resume({ fromStep: ${Math.max(0, step - 1)} }) first.`,
    });
  }

  private readMetrics(call: string, given: GivenMetrics): Record<string, number> {
    const where = `ObjectiveLog.${call}`;
    checkObject(where, "metrics", given);
    const names = Object.keys(this.header.metrics);
    rejectUnknown(where, "metric", given, names);
    return Object.fromEntries(
      Object.entries(given).map(([name, metric]) => {
        const isMetric = metric instanceof Metric;
        if (isMetric && metric.name !== name && metricNames().includes(name)) {
          throw new LosswrightError({
            code: "argument",
            where,
            field: `metrics.${name}`,
            found: `the metric ${metric.name}`,
            expected: `the metric ${name}, or its number`,
            fix: `log it as ${metric.name}.`,
          });
        }
        const value: unknown = isMetric ? metric.compute() : metric;
        if (typeof value === "number") return [name, value];
        throw new LosswrightError({
          code: "argument",
          where,
          field: `metrics.${name}`,
          found: value === undefined ? "nothing" : typeof value === "object" ? "several numbers" : `a ${typeof value}`,
          expected: "a number, or a metric that computes one",
          ...(typeof value === "object" && { fix: "name one of them: an option such as part or average says which." }),
        });
      }),
    );
  }
}

/** The header that options make, without a log. */
function headerOf(objective: AnyObjective, { metrics = [], withoutMetric }: ObjectiveLogOptions): LogHeader {
  const goals = metricGoals(metrics);
  const count = Object.keys(goals).length;
  if (count === 0 && withoutMetric !== true) {
    const usual = objective.definition?.documentation.metric ?? "the metric of the task";
    throw new LosswrightError({
      code: "argument",
      where: "ObjectiveLog",
      field: "metrics",
      found: `${objective.name} and no metric`,
      expected: "an objective with at least one metric: a loss is a surrogate, and looking at it alone misleads",
      fix: `name what the model is for in metrics (for this objective: ${usual}), or say withoutMetric: true.`,
    });
  }
  const again = Object.keys(goals).find((name) => name === objective.name || /^(loss|objective)$/i.test(name));
  if (again !== undefined) {
    throw new LosswrightError({
      code: "argument",
      where: "ObjectiveLog",
      field: `metrics.${again}`,
      found: "the objective again",
      expected: "a metric: what the model is for",
    });
  }
  return { contract: objective.contract, metrics: goals, withoutMetric: withoutMetric === true };
}

/** The fields of evaluations, of which the tally alone is read; a field more there has to be told here. */
const evaluationFields = Object.keys({
  value: true,
  numerator: true,
  denominator: true,
  tally: true,
  ranBy: true,
  notes: true,
  gradients: true,
  parts: true,
  standardError: true,
  effectiveSampleSize: true,
  spread: true,
} satisfies Record<keyof UncertainEvaluation | keyof WeightedEvaluationWithGradients<string>, true>);

/** What stands for an objective by itself, in the form that the log reads. */
function bareObjective(given: unknown): GivenObjective | undefined {
  if (typeof given === "number") return { value: given };
  if (given instanceof Tally || isPartTallies(given)) return { tally: given };
  // An evaluation says what computed it, one of a weighted sum says so of each part.
  const isEvaluation =
    typeof given === "object" && given !== null && "tally" in given && ("ranBy" in given || "parts" in given);
  if (!isEvaluation) return undefined;
  rejectUnknown("ObjectiveLog", "field of an evaluation", given, evaluationFields);
  return { tally: (given as Evaluated).tally };
}

function objectiveOf(given: ObjectiveLogOptions["objective"]): AnyObjective {
  const isObjective = typeof given === "object" && given !== null && "contract" in given && "value" in given;
  return isObjective ? (given as AnyObjective) : (objectiveFrom(given as ContractInput) as AnyObjective);
}

function readHeader(line: string | undefined, where: string): LogHeader {
  const wrong = (found: string, cause?: unknown) =>
    new LosswrightError(
      {
        code: "file",
        where,
        found,
        expected: `a first line with format "${format}" and version ${version}`,
        fix: "give a log that ObjectiveLog wrote.",
      },
      cause === undefined ? undefined : { cause },
    );
  if (line === undefined) throw wrong("no whole line");
  let json: Record<string, unknown> | null;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw wrong(`a first line that is no JSON: ${line.slice(0, 60)}`, error);
  }
  if (json?.format !== format) throw wrong(`format ${JSON.stringify(json?.format)}`);
  if (json.version !== version) throw wrong(`version ${JSON.stringify(json.version)}`);
  const { contract, metrics, withoutMetric = false } = json;
  return {
    contract: contract as LoggedContract,
    metrics: metricGoals(metrics as MetricGoals),
    withoutMetric: withoutMetric === true,
  };
}

/** What was given of an objective, with its value by the contract's own division. */
function readObjective(objective: AnyObjective, given: GivenObjective, where: string): LoggedObjective {
  checkObject(where, "objective", given);
  rejectUnknown(where, "field", given, ["tally", "numerator", "denominator", "value"]);
  const forms = ["tally" in given, "numerator" in given || "denominator" in given, "value" in given].filter(
    Boolean,
  ).length;
  if (forms !== 1) {
    throw new LosswrightError({
      code: "argument",
      where,
      field: "objective",
      found: forms === 0 ? "nothing of an objective" : "several of tally, numerator and denominator, value",
      expected: "{ tally }, { numerator, denominator } or { value }",
      fix: "give the tally where there is one: ranks merge by it to the bit.",
    });
  }
  if ("tally" in given) {
    const { tally } = given;
    if (isPartTallies(tally)) return { value: valueBy(objective, tally), tally };
    if (!(tally instanceof Tally)) throw notA(where, "tally", tally, "a tally");
    return {
      value: valueBy(objective, tally),
      numerator: tally.numerator,
      denominator: tally.denominator.value,
      tally,
    };
  }
  if ("value" in given) {
    if (typeof given.value !== "number") throw notA(where, "value", given.value, "a number");
    return { value: given.value };
  }
  const { numerator, denominator } = given;
  if (typeof numerator !== "number") throw notA(where, "numerator", numerator, "a number");
  if (typeof denominator !== "number") throw notA(where, "denominator", denominator, "a number");
  return { value: quotient(objective.contract, numerator, denominator, where), numerator, denominator };
}

function valueBy(objective: AnyObjective, tally: Tally | PartTallies): number {
  // A tally of the other kind is refused by the objective itself.
  return objective.value(tally as never);
}

/** One division; where nothing was counted, what the contract says. */
export function quotient(contract: LoggedContract, numerator: number, denominator: number, where: string): number {
  if ("parts" in contract) {
    throw new LosswrightError({
      code: "argument",
      where,
      field: "numerator",
      found: "one numerator for a weighted sum, whose parts are divided each by its own denominator",
      expected: "{ tally } or { value }",
    });
  }
  if (denominator !== 0) return numerator / denominator;
  const { onEmpty } = contract.reduction;
  if (onEmpty === "zero") return 0;
  if (onEmpty === "nan") return Number.NaN;
  throw new LosswrightError({
    code: "empty",
    where,
    field: "denominator",
    found: "a step in which nothing was counted",
    expected: 'something counted: the contract says onEmpty: "throw"',
  });
}

function badStep(where: string, field: string, found: unknown): LosswrightError {
  return notA(where, field, found, "a whole number from 0");
}

function notA(where: string, field: string, found: unknown, expected: string): LosswrightError {
  const words = typeof found === "object" && found !== null ? "an object" : String(found);
  return new LosswrightError({ code: "argument", where, field, found: words, expected });
}
