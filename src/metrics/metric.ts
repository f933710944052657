import {
  canonicalText,
  choiceOption,
  firstDifference,
  type Json,
  type OptionSpecs,
  optionsToJson,
  resolveOptions,
} from "../contract/index.js";
import { checkObject, LosswrightError } from "../errors/index.js";
import { isTensor, type Tensor } from "../tensor/index.js";
import { type MetricState, Samples, Sums } from "./accumulators.js";
import { type BoundFields, bindFields, type GivenFields, type MetricField } from "./fields.js";

/** What a metric computes: a number, a tensor of numbers, or several of them by name. */
export type MetricResult = number | Tensor | { readonly [name: string]: number | Tensor };

/** The option that every metric has. */
export interface UndefinedOption {
  /**
   * What a value that does not exist is (the mean of nothing, the AUROC of one class): `"nan"` (default), `"zero"`, or
   * `"throw"` for an error that says so.
   */
  readonly undefined: "nan" | "zero" | "throw";
}

const undefinedOption: OptionSpecs<UndefinedOption> = {
  undefined: choiceOption("what a value that does not exist is", "nan", ["nan", "zero", "throw"]),
};

/** A metric as its file declares it: options, fields, what it keeps, and how a result comes of that. */
export interface MetricDefinition<Options extends object, State extends MetricState, Result extends MetricResult> {
  readonly name: string;
  readonly documentation: {
    /** One sentence. */
    readonly summary: string;
    readonly formula: string;
    readonly source: string;
    /** Whether more is better. Left out where neither is (a curve, a matrix). */
    readonly goal?: "maximize" | "minimize";
  };
  readonly options: OptionSpecs<Options>;
  /** The fields it may be given; options may change their axes, and so may which others are given and their shapes. */
  fields(options: Options, given?: GivenFields): Readonly<Record<string, MetricField>>;
  /** Sets of fields, of which one is given. */
  forms(options: Options): readonly (readonly string[])[];
  /** Empty accumulators. */
  state(options: Options): State;
  /**
   * Opens an update: returns what adds one sample of a weight above 0. Samples that mask, weight or `ignored` take out
   * never reach it, so that their values are not read.
   */
  open(fields: BoundFields, state: State, options: Options): (sample: number, weight: number) => void;
  /**
   * Samples whose label is `options.ignoreIndex` are taken out, where a sample has one label; this names the field of the
   * labels.
   */
  readonly ignored?: "labels";
  /** What the state amounts to. NaN stands for a value that does not exist. */
  compute(state: State, options: Options): Result;
}

/** A metric as JSON: its name, its options in full, and what it has seen so far. */
export interface MetricJson {
  readonly format: typeof jsonFormat;
  readonly version: number;
  readonly metric: string;
  readonly options: Json;
  readonly samples: number;
  readonly state: Readonly<Record<string, unknown>>;
}

const jsonFormat = "losswright metric";
const jsonVersion = 1;

/**
 * A metric over samples that come in any number of updates, on any number of machines. What it keeps is exact (counts,
 * exact sums, or the samples themselves), so that every order and every split of the data gives the same bits.
 */
export class Metric<Fields = GivenFields, Result extends MetricResult = MetricResult> {
  private state: MetricState;
  private seen = 0;

  constructor(
    private readonly definition: MetricDefinition<object, MetricState, MetricResult>,
    /** Every option, defaults too. */
    readonly options: Readonly<Record<string, unknown>>,
  ) {
    this.state = definition.state(options);
  }

  get name(): string {
    return this.definition.name;
  }

  /** Samples counted so far: those that neither mask, weight 0 nor `ignoreIndex` took out. */
  get samples(): number {
    return this.seen;
  }

  /**
   * Adds samples. An update that throws leaves the metric as it was.
   *
   * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `value`, each with the field and the fix
   */
  update(fields: Fields): this {
    return this.add(fields, undefined);
  }

  /** Adds what another metric of the same name and options has seen; the other is unchanged. */
  merge(other: Metric<Fields, Result>): this {
    if (!(other instanceof Metric)) {
      throw new LosswrightError({ code: "argument", where: this.name, found: typeof other, expected: "a metric" });
    }
    const [mine, theirs] = [this.identity(), other.identity()];
    if (canonicalText(mine) !== canonicalText(theirs)) {
      throw new LosswrightError({
        code: "merge",
        where: this.name,
        found: firstDifference(mine, theirs),
        expected: "two metrics of one name with the same options",
        fix: "make every part with the same options.",
      });
    }
    this.take(other.state);
    this.seen += other.seen;
    return this;
  }

  /**
   * The value over everything seen so far; more may be added afterwards.
   *
   * @throws `undefined` where the value does not exist and the option `undefined` is `"throw"`
   */
  compute(): Result {
    const result = this.definition.compute(this.state, this.options);
    const choice = this.options.undefined as UndefinedOption["undefined"];
    return (choice === "nan" ? result : settle(this.name, result, choice, this.seen)) as Result;
  }

  /** Name, options and everything seen so far, to be read back to the bit. */
  toJSON(): MetricJson {
    const { metric, options } = this.identity();
    const state = Object.fromEntries(Object.entries(this.state).map(([name, held]) => [name, held.toJSON()]));
    return { format: jsonFormat, version: jsonVersion, metric, options, samples: this.seen, state };
  }

  /** Takes what `toJSON` wrote, into an empty metric. */
  private read(json: MetricJson): this {
    for (const [name, held] of Object.entries(this.state)) held.read(json.state[name]);
    this.seen = json.samples;
    return this;
  }

  private identity() {
    return { metric: this.name, options: optionsToJson(this.options) };
  }

  private take(state: MetricState): void {
    for (const [name, held] of Object.entries(this.state)) held.merge(state[name]! as never);
  }

  private add(fields: Fields, resampling: Resampling | undefined): this {
    const { definition, options } = this;
    const { name } = definition;
    const given = fields as GivenFields;
    const specs = definition.fields(options, typeof given === "object" && given !== null ? given : {});
    const bound = bindFields(name, specs, definition.forms(options), given);
    const weightOf = bound.weights();
    const isOneASample = definition.ignored && specs[definition.ignored]?.axes.join() === "...";
    const ignored = isOneASample && bound.has(definition.ignored) ? bound.raw(definition.ignored) : undefined;
    const { ignoreIndex = Number.NaN } = options as { ignoreIndex?: number };
    // What is added lands in a state of its own first: a bad value in the middle leaves nothing behind.
    const fresh = definition.state(options);
    const tagged = Object.values(fresh).filter((held) => held instanceof Samples);
    for (const held of tagged) held.reserve(bound.count);
    const addSample = definition.open(bound, fresh, options);
    const [rows = 1] = bound.shape;
    const tag = resampling?.tag?.(bound.count, rows);
    const factor = resampling?.factor?.(bound.count, rows);
    let seen = 0;
    for (let sample = 0; sample < bound.count; sample++) {
      let weight = weightOf(sample);
      if (weight === 0 || ignored?.(sample) === ignoreIndex) continue;
      if (tag) for (const held of tagged) held.tag = tag(sample);
      if (factor) weight *= factor(sample);
      if (weight === 0) continue;
      addSample(sample, weight);
      seen++;
    }
    if (this.seen === 0) this.state = fresh;
    else this.take(fresh);
    this.seen += seen;
    return this;
  }

  /** What resampling needs of a metric and nobody else: see bootstrap. */
  static resample<Fields>(metric: Metric<Fields, MetricResult>, fields: Fields, resampling: Resampling): void {
    metric.add(fields, resampling);
  }

  /** The same samples with other weights, for metrics that keep samples alone. */
  static reweighted<Fields, Result extends MetricResult>(
    metric: Metric<Fields, Result>,
    factor: (tag: number) => number,
  ): Metric<Fields, Result> {
    const made = new Metric<Fields, Result>(metric.definition, metric.options);
    const entries = Object.entries(metric.state) as [string, Samples][];
    made.state = Object.fromEntries(
      entries.map(([name, held]) => {
        const { tags } = held;
        return [name, held.reweighted((sample) => factor(tags?.[sample] ?? 0))];
      }),
    );
    made.seen = metric.seen;
    return made;
  }

  /** A metric of the same name and options that has seen nothing. */
  static emptied<Fields, Result extends MetricResult>(metric: Metric<Fields, Result>): Metric<Fields, Result> {
    return new Metric<Fields, Result>(metric.definition, metric.options);
  }

  /** Whether a metric keeps its samples and nothing else, so that it can be weighed anew without another update. */
  static keepsSamples<Fields, Result extends MetricResult>(metric: Metric<Fields, Result>): boolean {
    return Object.values(metric.state).every((held) => held instanceof Samples);
  }

  /** @see metricFrom */
  static fromJSON<Fields, Result extends MetricResult>(
    factory: MetricFactory<Fields, object, Result>,
    json: MetricJson,
  ): Metric<Fields, Result> {
    const where = factory.definition.name;
    checkObject(where, "json", json);
    if (json.format !== jsonFormat || json.version !== jsonVersion || json.metric !== where) {
      throw new LosswrightError({
        code: "argument",
        where,
        found: JSON.stringify({ format: json.format, version: json.version, metric: json.metric }),
        expected: `{ "format": "${jsonFormat}", "version": ${jsonVersion}, "metric": "${where}" }`,
        fix: `pass what ${where}(…).toJSON() wrote.`,
      });
    }
    checkObject(where, "state", json.state);
    if (!Number.isSafeInteger(json.samples) || json.samples < 0) {
      const found = String(json.samples);
      throw new LosswrightError({ code: "argument", where, field: "samples", found, expected: "a count of samples" });
    }
    return (factory(json.options as object) as Metric<Fields, Result>).read(json);
  }
}

/** What resampling adds to an update: functions of a sample, opened with the number of samples and of rows of axis 0. */
export interface Resampling {
  /** What to multiply a sample's weight by. */
  factor?(count: number, rows: number): (sample: number) => number;
  /** Whose sample it is. */
  tag?(count: number, rows: number): (sample: number) => number;
}

/** Makes metrics of one kind: `accuracy({ topK: 5 })`. */
export interface MetricFactory<Fields, Options extends object, Result extends MetricResult> {
  (options?: Partial<Options & UndefinedOption>): Metric<Fields, Result>;
  readonly definition: MetricDefinition<Options & UndefinedOption, MetricState, Result>;
  /** A metric with everything that was seen when its `toJSON` wrote it. */
  fromJSON(json: MetricJson): Metric<Fields, Result>;
}

/**
 * A factory whose metrics compute one kind of result under special options and another under the usual ones, so that the
 * types know which.
 */
export type NarrowFactory<
  Fields,
  Options extends object,
  Result extends MetricResult,
  Narrow extends {
    readonly special: object;
    readonly specially: MetricResult;
    readonly usual: object;
    readonly usually: MetricResult;
  },
> = {
  (options: Partial<Options & UndefinedOption> & Narrow["special"]): Metric<Fields, Narrow["specially"]>;
  (options?: Partial<Options & UndefinedOption> & Narrow["usual"]): Metric<Fields, Narrow["usually"]>;
  (options?: Partial<Options & UndefinedOption>): Metric<Fields, Result>;
} & Pick<MetricFactory<Fields, Options, Result>, "definition" | "fromJSON">;

/**
 * Makes a metric of its definition. The definition reads samples and computes the result; everything else is done here,
 * once for all: options, fields, weights, masks, merging, JSON, and values that do not exist.
 */
export function defineMetric<Fields, Options extends object, State extends MetricState, Result extends MetricResult>(
  given: MetricDefinition<Options, State, Result>,
): MetricFactory<Fields, Options, Result> {
  const definition = { ...given, options: { ...given.options, ...undefinedOption } } as unknown as MetricDefinition<
    Options & UndefinedOption,
    MetricState,
    Result
  >;
  const factory = (options: object = {}) => {
    checkObject(definition.name, "options", options);
    const resolved = resolveOptions(definition.name, definition.options, options);
    return new Metric<Fields, Result>(definition as never, resolved as Readonly<Record<string, unknown>>);
  };
  const made = Object.assign(factory, { definition }) as unknown as MetricFactory<Fields, Options, Result>;
  return Object.assign(made, { fromJSON: (json: MetricJson) => Metric.fromJSON(made as never, json) as never });
}

/** Values that do not exist, as the option says. */
function settle(where: string, result: MetricResult, choice: "zero" | "throw", seen: number): MetricResult {
  const settleNumber = (value: number, name: string): number => {
    if (!Number.isNaN(value)) return value;
    if (choice === "zero") return 0;
    throw new LosswrightError({
      code: "undefined",
      where,
      found: `no value for ${name} in ${seen} samples`,
      expected: "samples of which it can be computed (a class without samples, or one class alone, has none)",
      fix: 'give more samples, or set undefined: "nan" or "zero".',
    });
  };
  const settleEntry = (value: number | Tensor, name: string): number | Tensor => {
    if (!isTensor(value)) return settleNumber(value, name);
    const data = Float64Array.from(value.data as Float64Array, (entry, i) => settleNumber(entry, `${name} at [${i}]`));
    return { ...value, data };
  };
  if (typeof result === "number" || isTensor(result)) return settleEntry(result, where);
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, settleEntry(value, name)]));
}

/** The state of metrics that keep exact sums alone. */
export const onlySums = (): { readonly sums: Sums } => ({ sums: new Sums() });
