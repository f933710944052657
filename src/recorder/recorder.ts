import type { ContractInput } from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import type { StepContext, StepPart, StepRecord } from "../io/index.js";
import { commonFields, type Objective, objectiveFrom } from "../losses/index.js";
import { type ContextEntries, checkPlain, contextNames, mergeContexts, splitContext } from "./context.js";
import { type GivenPart, type Part, takePart } from "./part.js";
import { leastPrecise, oneNumber, type Reading, readTensor, type TensorLike } from "./read-tensor.js";
import type { StepSink } from "./sink.js";

const mebibyte = 1048576;

/** What a recorder is made of; beside it, entries of the record's `context` that hold for the whole run. */
export interface RecorderOptions extends Omit<ContextEntries, "rank"> {
  /** What the steps should follow, as `objective.contract`; what is left out is the default. */
  readonly contract: ContractInput;
  /** Records every step whose number it divides; 0 records none. Default 500. */
  readonly every?: number;
  /** Where records go: `directorySink(path)` of losswright/files, `memorySink()`, or a function. */
  readonly sink: StepSink | StepSink["write"];
  /**
   * Bytes of tensors in a record above which units are sampled, the tallies of the whole kept; ranks share them, and so
   * do micro-batches where `microBatches` says how many there are. Default 64 MiB.
   */
  readonly sampleAbove?: number;
  /** Bytes, shared likewise, above which a step that cannot be sampled is not recorded. Default 1 GiB. */
  readonly refuseAbove?: number;
  /** Most numbers read for the numerator of a sampled part; above, its denominator alone is kept. Default 2^26. */
  readonly tallyWithin?: number;
  /** Throw what would be a warning: where it is found, or at the next call where a sink failed. Default false. */
  readonly strict?: boolean;
  /** Takes the warnings, each reason once. Default `console.warn`. */
  readonly warn?: (message: string) => void;
}

/** A step, or one of its micro-batches; beside it, entries of `context` that hold for it. */
export interface StepValues extends ContextEntries {
  /**
   * What this micro-batch reports, before it is divided by the number of micro-batches or multiplied by a loss scale: a
   * number, or a tensor of one.
   */
  readonly loss?: TensorLike;
  /** The fields of the objective as they are where the loss is computed: unshifted, unmasked. */
  readonly fields: Readonly<Record<string, TensorLike | undefined>>;
  /**
   * By field, of the field's shape: its share of the gradient of the step, as the backward pass of its rank gives it.
   * An average over ranks comes later and is applied here.
   */
  readonly gradients?: Readonly<Record<string, TensorLike | undefined>>;
  /** What the loss is multiplied by before the backward pass, still in the gradients. */
  readonly lossScale?: number;
}

/** What the trainer reports for a whole step: its loss, and entries of `context`. */
export interface ReportedValues extends ContextEntries {
  readonly loss?: TensorLike;
}

/** Values, or a function that gives them: it is called when the step is recorded, and at no other. */
export type Given<Values> = Values | (() => Values | Promise<Values>);

/** Records every n-th step of a training run. */
export interface Recorder {
  /**
   * Takes the tensors of a step, or of one of its micro-batches, where its loss was computed. A step that is not
   * recorded costs one remainder and one comparison; given a function, nothing is read, nor made, for it.
   *
   * @param step - number of the optimizer step in the run, not in the epoch
   * @throws `unknown` and `argument` at the first call, for a name that objective or format do not have, naming the
   * near miss; with `strict`, whatever goes wrong
   */
  record(step: number, values: Given<StepValues>): void;
  /**
   * Takes what the trainer reports for a whole step: the loss where micro-batches or ranks have losses of their own, the
   * metric, any other entry of `context` without tensors. Call it after the step's `record`.
   */
  report(step: number, values: Given<ReportedValues>): void;
  /** Whether a step is recorded, for code that computes something for the record alone. */
  due(step: number): boolean;
  /** Writes the step that is open; resolves when the sink has all. Rejects with `strict` alone. */
  flush(): Promise<void>;
}

const optionNames = ["contract", "every", "sink", "sampleAbove", "refuseAbove", "tallyWithin", "strict", "warn"];

/** Scalars whose gradient may be given though the objective has no such field. */
const sharedScalars = ["temperature", "logScale", "bias"];

/**
 * Makes a recorder: every n-th step of a training becomes a step record, which `losswright audit` reads. It never
 * changes a step, and what goes wrong in it is a warning, never an error of the training.
 *
 * A step is written when a call names another step, and at `flush()`. Several calls for one step are its micro-batches;
 * a `rank` in them says whose.
 *
 * @throws `unknown`, `argument`, `option`, `reduction` and `contract` for a contract, an option or an entry that the
 * format does not have, naming the near miss
 *
 * @example
 * const recorder = createRecorder({ contract: objective.contract, every: 500, sink: directorySink("runs/my-run") });
 * recorder.record(step, () => ({ loss, fields: { logits, labels }, gradients: { logits: gradient } }));
 */
export function createRecorder(options: RecorderOptions): Recorder {
  return new StepRecorder(options);
}

/** A step while it is recorded. */
interface OpenStep {
  readonly number: number;
  readonly parts: (Part | Promise<Part | undefined>)[];
  reported: Promise<void>;
  loss: number | null;
  context: Record<string, unknown>;
  isBroken: boolean;
}

class StepRecorder implements Recorder {
  readonly #objective: Objective;
  readonly #every: number;
  readonly #sink: StepSink;
  readonly #limits: { sample: number; refuse: number; tally: number };
  readonly #strict: boolean;
  readonly #warn: (message: string) => void;
  readonly #context: Record<string, unknown>;
  readonly #fields: readonly string[];
  readonly #said = new Set<string>();
  #open: OpenStep | undefined;
  #last = -1;
  #isCalled = false;
  #writing: Promise<void> = Promise.resolve();
  /** What failed after the call that gave it had ended, where that is to be thrown. */
  #failure: { error: unknown } | undefined;
  /**
   * A call whose step it does not divide ends there. 1 lets every call through: until the first has been checked, and
   * while a step is open, so that the call of the next step closes it.
   */
  #modulus = 1;

  constructor(options: RecorderOptions) {
    checkObject("recorder", "options", options);
    const known = [...optionNames, ...contextNames.filter((name) => name !== "rank")];
    rejectUnknown("recorder", "option", options, known, (name) =>
      name === "rank" ? "give the rank to record: one recorder takes the parts of all ranks." : undefined,
    );
    const { contract, every = 500, sink, strict = false, warn, ...rest } = options;
    const { sampleAbove = 64 * mebibyte, refuseAbove = 1024 * mebibyte, tallyWithin = 67108864, ...context } = rest;
    this.#objective = objectiveOf(contract);
    this.#every = whole("every", every, 0);
    this.#sink = sinkOf(sink);
    this.#limits = {
      sample: whole("sampleAbove", sampleAbove, 1),
      refuse: whole("refuseAbove", refuseAbove, 1),
      tally: whole("tallyWithin", tallyWithin, 0),
    };
    this.#strict = kindOf("strict", strict, "boolean");
    this.#warn = kindOf("warn", warn ?? ((message: string) => console.warn(message)), "function");
    this.#fields = [...new Set([...Object.keys(this.#objective.definition.fields), ...Object.keys(commonFields)])];
    this.#context = this.#plainContext(context);
    if (this.#context.ranks !== undefined) whole("ranks", this.#context.ranks, 1);
  }

  record(step: number, values: Given<StepValues>): void {
    if (typeof step === "number" && step % this.#modulus > 0) return;
    const isFirst = !this.#isCalled;
    this.#isCalled = true;
    // A slip of the pen is an error before anything is trained, and never again.
    if (isFirst && typeof values !== "function") this.#check(step, values);
    this.#guarded(step, () => {
      const opened = this.#turnTo(step);
      if (!opened || opened.isBroken) return;
      const given = typeof values === "function" ? values() : values;
      if (isFirst && typeof values === "function" && !(given instanceof Promise)) {
        try {
          this.#check(step, given);
        } catch (error) {
          throw new Slip(error);
        }
      }
      const taken = given instanceof Promise ? given.then((all) => this.#take(all)) : this.#take(given);
      opened.parts.push(
        taken instanceof Promise
          ? taken.catch((error: unknown) => {
              this.#failLater(opened, error);
              return undefined;
            })
          : taken,
      );
    });
  }

  report(step: number, values: Given<ReportedValues>): void {
    if (typeof step === "number" && step % this.#modulus > 0) return;
    this.#guarded(step, () => {
      const opened = this.#turnTo(step);
      if (!opened || opened.isBroken) return;
      const given = typeof values === "function" ? values() : values;
      const take = (all: ReportedValues) => this.#takeReport(opened, all);
      const taken = given instanceof Promise ? given.then(take) : take(given);
      if (!taken) return;
      const settled = taken.catch((error: unknown) => this.#failLater(opened, error));
      opened.reported = opened.reported.then(() => settled);
    });
  }

  due(step: number): boolean {
    return this.#every > 0 && step % this.#every === 0;
  }

  async flush(): Promise<void> {
    this.#close();
    await this.#writing;
    this.#throwLater();
  }

  // ---- steps ----

  /** The step of this number, opened if it is to be recorded; closes the one before. */
  #turnTo(step: number): OpenStep | undefined {
    this.#throwLater();
    whole("step", step, 0);
    if (this.#open?.number === step) return this.#open;
    this.#close();
    if (this.due(step)) {
      if (step <= this.#last) {
        const fix = "number the steps over the whole run, not over an epoch";
        this.#say(
          "backwards",
          `step ${step} comes after step ${this.#last}, and a record of its number is replaced: ${fix}`,
        );
      }
      const reported = Promise.resolve();
      this.#open = { number: step, parts: [], reported, loss: null, context: {}, isBroken: false };
      this.#last = step;
    }
    this.#settle();
    return this.#open;
  }

  #settle(): void {
    this.#modulus = this.#open || this.#failure ? 1 : this.#every || Number.MAX_SAFE_INTEGER;
  }

  #close(): void {
    const opened = this.#open;
    this.#open = undefined;
    this.#settle();
    if (!opened || opened.parts.length === 0) return;
    this.#writing = this.#writing
      .then(() => this.#write(opened))
      .catch((error: unknown) => this.#failLater(opened, error));
  }

  async #write(opened: OpenStep): Promise<void> {
    const parts = await Promise.all(opened.parts);
    await opened.reported;
    if (opened.isBroken) return;
    const name = `step-${String(opened.number).padStart(8, "0")}`;
    const record = this.#document(name, opened, parts as Part[]);
    // The tensors belong to the sink now.
    opened.parts.length = 0;
    await this.#sink.write(name, record);
  }

  // ---- what is given ----

  /** Whether a call speaks of what exists. */
  #check(step: number, values: StepValues): void {
    whole("step", step, 0);
    const given = this.#givenPart(values);
    checkPlain(given.context, this.#objective.contract, this.#fields);
  }

  #take(values: StepValues): Part | Promise<Part> {
    return takePart(this.#givenPart(values));
  }

  #givenPart(values: StepValues): GivenPart {
    checkObject("recorder", "values", values);
    const own = ["loss", "fields", "gradients", "lossScale"];
    rejectUnknown("recorder", "entry", values, [...own, ...contextNames], (name) =>
      this.#fields.includes(name) ? `write "fields: { ${name} }".` : undefined,
    );
    const { loss, fields, gradients = {}, lossScale, ...context } = values;
    checkObject("recorder", "fields", fields);
    checkObject("recorder", "gradients", gradients);
    const { name } = this.#objective;
    rejectUnknown("recorder", `field of ${name}`, fields, this.#fields);
    rejectUnknown("recorder", `field of ${name} with a gradient`, gradients, [...this.#fields, ...sharedScalars]);
    const present = defined(fields);
    if (Object.keys(present).length === 0) {
      throw wrong("fields", "no field", "the tensors that the loss was computed from", "give them as fields: { … }.");
    }
    if (lossScale !== undefined && !(Number.isFinite(lossScale) && lossScale > 0)) {
      throw wrong("lossScale", String(lossScale), "a number above 0", "give what the loss is multiplied by.");
    }
    const split = splitContext(context, this.#fields);
    const merged = mergeContexts(this.#context, split.plain);
    const ranks = whole("ranks", merged.ranks ?? 1, 1);
    const rank = whole("rank", merged.rank ?? 0, 0);
    if (rank >= ranks) {
      throw wrong("rank", String(rank), `a rank below ranks, ${ranks}`, "say how many ranks there are: ranks.");
    }
    const { ranks: combined = "mean" } = (merged.combine ?? {}) as { ranks?: unknown };
    const parts = ranks * whole("microBatches", this.#context.microBatches ?? 1, 1);
    return {
      objective: this.#objective,
      fields: present,
      gradients: defined(gradients),
      loss,
      lossScale,
      context: split,
      rank,
      ranks,
      share: combined === "mean" ? 1 / ranks : 1,
      limits: {
        sample: Math.floor(this.#limits.sample / parts),
        refuse: Math.floor(this.#limits.refuse / parts),
        tally: this.#limits.tally,
      },
      say: (reason, message) => this.#say(reason, message),
    };
  }

  #takeReport(opened: OpenStep, values: ReportedValues): Promise<void> | undefined {
    checkObject("recorder", "values", values);
    rejectUnknown("recorder", "entry", values, ["loss", ...contextNames]);
    const { loss, ...context } = values;
    opened.context = mergeContexts(opened.context, this.#plainContext(context));
    if (loss === undefined) return undefined;
    const take = ({ tensor }: Reading) => {
      opened.loss = oneNumber(tensor, "loss");
    };
    const reading = readTensor(loss, "loss", false);
    if (reading instanceof Promise) return reading.then(take);
    take(reading);
    return undefined;
  }

  /** A context that holds for more than one batch. */
  #plainContext(context: object): Record<string, unknown> {
    const split = splitContext(context, this.#fields);
    const [first] = split.tensors;
    if (first) {
      const field = first.path.join(".");
      throw wrong(field, "a tensor", "entries that hold for more than one batch", "give the tensor to record.");
    }
    checkPlain(split, this.#objective.contract, this.#fields);
    return split.plain;
  }

  // ---- the record ----

  #document(name: string, opened: OpenStep, given: readonly Part[]): StepRecord {
    const parts = [...given].sort((one, other) => one.rank - other.rank);
    const ranks = Math.max(...parts.map((part) => part.ranks));
    const missing = Array.from({ length: ranks }, (_, rank) => rank).find(
      (rank) => !parts.some((p) => p.rank === rank),
    );
    if (missing !== undefined) {
      const fix = "call record for the parts of all ranks, each with its rank.";
      throw wrong("rank", `no part of rank ${missing}`, `parts of all ${ranks} ranks`, fix);
    }
    const dtype = leastPrecise(parts.map(({ precision }) => precision));
    const [scale, ...others] = new Set(parts.map(({ lossScale }) => lossScale));
    const lossScale = others.length === 0 ? scale : undefined;
    const framework = parts.find((part) => part.framework !== undefined)?.framework;
    const run = this.#sink.run;
    const context = mergeContexts(
      { ...(run !== undefined && { run }), step: opened.number },
      dtype !== undefined || lossScale !== undefined
        ? { computation: { ...(dtype && { dtype }), ...(lossScale !== undefined && { lossScale }) } }
        : {},
      framework === undefined ? {} : { framework },
      this.#context,
      opened.context,
    );
    const shell = { format: 1, name, intended: { ...this.#objective.contract } } as const;
    if (parts.length === 1) {
      const [{ fields, gradients, loss, context: own }] = parts as [Part];
      // How many there may be was said for the run; this step has one.
      delete context.microBatches;
      return {
        ...shell,
        fields,
        reported: { loss: opened.loss ?? loss, gradients },
        context: mergeContexts(context, own) as StepContext,
        parts: [],
      };
    }
    const ofRank = (rank: number) => parts.filter((part) => part.rank === rank);
    context.microBatches = Math.max(...parts.map(({ rank }) => ofRank(rank).length));
    if (ranks > 1) {
      context.ranks = ranks;
      context.combine = { ranks: "mean", ...(context.combine as object | undefined) };
    }
    const sequence = context.sequence as object | undefined;
    return {
      ...shell,
      reported: { loss: opened.loss, gradients: {} },
      context: context as StepContext,
      parts: parts.map((part): StepPart => {
        const siblings = ofRank(part.rank);
        const place = {
          ...(ranks > 1 && { rank: part.rank }),
          ...(siblings.length > 1 && { microBatch: siblings.indexOf(part) }),
        };
        const own =
          part.context.sequence && sequence ? { sequence: { ...sequence, ...(part.context.sequence as object) } } : {};
        const scaled = part.lossScale !== undefined && lossScale === undefined;
        const computation = scaled ? { computation: { lossScale: part.lossScale } } : {};
        return {
          fields: part.fields,
          reported: { loss: part.loss, gradients: part.gradients },
          context: mergeContexts(place, computation, part.context, own) as StepContext,
        };
      }),
    };
  }

  // ---- failures ----

  /** Does some work; what it throws costs the record of the step and nothing else. */
  #guarded(step: unknown, work: () => void): void {
    try {
      work();
    } catch (error) {
      const open = this.#open;
      if (open && open.number === step) drop(open);
      if (error instanceof Slip) throw error.slip;
      if (this.#strict) throw error;
      this.#complain(step, error);
    }
  }

  #failLater(opened: OpenStep, error: unknown): void {
    drop(opened);
    if (!this.#strict) {
      this.#complain(opened.number, error);
      return;
    }
    this.#failure ??= { error };
    this.#modulus = 1;
  }

  #throwLater(): void {
    const failure = this.#failure;
    if (!failure) return;
    this.#failure = undefined;
    this.#settle();
    throw failure.error;
  }

  #complain(step: unknown, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#say(reason, `step ${String(step)} is not recorded: ${reason}`);
  }

  #say(reason: string, message: string): void {
    // The same words with other numbers are the same reason.
    const words = reason.replace(/\d+/g, "");
    if (this.#said.has(words)) return;
    this.#said.add(words);
    try {
      this.#warn(`losswright: ${message.replace(/\.$/, "")} (said once; the training goes on)`);
    } catch {
      // Whoever takes warnings cannot end the training either.
    }
  }
}

/** A slip of the pen in the first call: thrown, strict or not. */
class Slip {
  constructor(readonly slip: unknown) {}
}

/** Gives a step up, and lets go of its tensors. */
function drop(opened: OpenStep): void {
  opened.isBroken = true;
  opened.parts.length = 0;
}

function objectiveOf(contract: ContractInput): Objective {
  const objective = objectiveFrom(contract).withEngine("reference");
  if ("definition" in objective) return objective;
  throw new LosswrightError({
    code: "unsupported",
    where: "recorder",
    field: "contract",
    found: "the contract of a weighted sum",
    expected: "the contract of one objective",
    fix: "give the contract of one term, and say what else is in the loss: terms.",
  });
}

function sinkOf(given: unknown): StepSink {
  if (typeof given === "function") return { write: given as StepSink["write"] };
  if (typeof given === "object" && given !== null && "write" in given && typeof given.write === "function") {
    return given as StepSink;
  }
  const found = given === null ? "null" : typeof given;
  throw wrong("sink", found, "a sink or a function", "give directorySink(path), memorySink() or (name, record) => ….");
}

function defined(entries: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined && value !== null));
}

function whole(field: string, value: unknown, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw wrong(field, typeof value === "number" ? String(value) : typeof value, `a whole number from ${least}`);
}

function kindOf<T>(field: string, value: T, kind: "boolean" | "function"): T {
  if (typeof value === kind) return value;
  throw wrong(field, typeof value, kind === "boolean" ? "true or false" : "a function");
}

function wrong(field: string, found: string, expected: string, fix?: string): LosswrightError {
  return new LosswrightError({ code: "argument", where: "recorder", field, found, expected, ...(fix && { fix }) });
}
