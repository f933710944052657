import { numberOption, type OptionSpecs, resolveOptions } from "../../contract/index.js";
import { checkObject, LosswrightError } from "../../errors/index.js";
import { isTensor, type Tensor, view } from "../../tensor/index.js";
import { Metric, type MetricJson, type MetricResult } from "../metric.js";
import { metricFrom } from "../registry.js";
import { poissonCount } from "./poisson.js";
import { type Identified, tagsOf } from "./tags.js";

/** Options of {@link bootstrap} and {@link pairedComparison}. */
export interface BootstrapOptions {
  /** How often the samples are drawn anew. Default 1000. */
  readonly replicates: number;
  /** What the draws follow from; parts of one evaluation must share it. Default 0. */
  readonly seed: number;
  /** The probability that the interval is to cover. Default 0.95. */
  readonly confidence: number;
}

const specs: OptionSpecs<BootstrapOptions> = {
  replicates: numberOption("how often the samples are drawn anew", 1000, { integer: true, atLeast: 2, atMost: 1e6 }),
  seed: numberOption("what the draws follow from", 0, { integer: true }),
  confidence: numberOption("the probability that the interval is to cover", 0.95, { above: 0, below: 1 }),
};

/** A value with what the draw of the samples makes uncertain of it. */
export interface Uncertain<Result extends MetricResult> {
  readonly value: Result;
  /** Standard deviation of the replicates. */
  readonly standardError: Result;
  /** Ends of the interval: quantiles (1 ± confidence)/2 of the replicates. */
  readonly lower: Result;
  readonly upper: Result;
  /** Replicates that had a value; others, such as draws without a positive, are left out. */
  readonly replicates: number;
}

/** A bootstrap as JSON. */
export interface BootstrapJson {
  readonly format: typeof format;
  readonly version: number;
  readonly options: BootstrapOptions;
  readonly metric: MetricJson;
  /** Of metrics that keep sums: one metric a replicate. */
  readonly replicates: readonly MetricJson[];
}

const format = "losswright bootstrap";
const version = 1;

/**
 * A metric with its confidence interval: samples (or clusters of them) are drawn with replacement, many times over.
 * How often a sample is in a replicate is a Poisson number hashed of seed, replicate and the sample's name, so that the
 * bootstrap streams, and merges to the same bits however samples are split.
 *
 * A metric that keeps sums costs `replicates` updates for each of yours and as many states; one that keeps its samples
 * (a curve, a rank correlation) is computed `replicates` times at the end.
 *
 * @example
 * const accuracyInterval = bootstrap(accuracy(), { replicates: 1000, seed: 7 });
 * accuracyInterval.update({ predictions, labels, sampleIds });
 * accuracyInterval.compute(); // { value, standardError, lower, upper, replicates }
 *
 * @throws `argument` for a metric that has seen samples already, `option` for values out of range
 * @see Efron 1979; Poisson weights: Chamandy et al. 2012
 */
export function bootstrap<Fields, Result extends MetricResult>(
  metric: Metric<Fields, Result>,
  options: Partial<BootstrapOptions> = {},
): Bootstrap<Fields, Result> {
  const where = `bootstrap of ${metric?.name}`;
  if (!(metric instanceof Metric) || metric.samples > 0) {
    throw new LosswrightError({
      code: "argument",
      where: "bootstrap",
      found:
        metric instanceof Metric
          ? `a metric that has seen ${metric.samples} samples`
          : typeof metric === "function"
            ? "a function that makes metrics"
            : String(metric),
      expected: "a metric that has seen none",
      fix: "make a new one: bootstrap(accuracy()).",
    });
  }
  checkObject(where, "options", options);
  return new Bootstrap<Fields, Result>(metric, resolveOptions(where, specs, options));
}

/** @see bootstrap */
export class Bootstrap<Fields, Result extends MetricResult> {
  private readonly where: string;
  private readonly metric: Metric<Fields, Result>;
  /** Empty where the metric keeps its samples: replicates are formed when they are asked for. */
  private readonly parts: Metric<Fields, Result>[];

  constructor(
    metric: Metric<Fields, Result>,
    /** Every option, defaults too. */
    readonly options: BootstrapOptions,
  ) {
    this.where = `bootstrap of ${metric.name}`;
    this.metric = Metric.emptied(metric);
    const count = Metric.keepsSamples(metric) ? 0 : options.replicates;
    this.parts = Array.from({ length: count }, () => Metric.emptied(metric));
  }

  /**
   * Adds samples with their names. An update that throws leaves the bootstrap as it was.
   *
   * @throws what the metric's own update throws; `missing-field` without `sampleIds` or `clusterIds`
   */
  update(given: Fields & Identified): this {
    const { sampleIds, clusterIds, ...fields } = given as Identified & Record<string, unknown>;
    const tags = tagsOf(this.where, { ...(sampleIds && { sampleIds }), ...(clusterIds && { clusterIds }) });
    const { seed } = this.options;
    // The metric itself goes first: it alone can throw, since replicates see the same fields.
    Metric.resample(this.metric, fields as Fields, { tag: tags });
    for (const [replicate, part] of this.parts.entries()) {
      Metric.resample(part, fields as Fields, {
        factor: (count, rows) => {
          const tag = tags(count, rows);
          return (sample) => poissonCount(seed, replicate, tag(sample));
        },
      });
    }
    return this;
  }

  /** Adds what another part of the evaluation has seen; the other is unchanged. */
  merge(other: Bootstrap<Fields, Result>): this {
    const [mine, theirs] = [JSON.stringify(this.options), JSON.stringify(other.options)];
    if (mine !== theirs) {
      throw new LosswrightError({
        code: "merge",
        where: this.where,
        found: `${mine} and ${theirs}`,
        expected: "parts of one bootstrap, with the same options",
      });
    }
    this.metric.merge(other.metric);
    for (const [replicate, part] of this.parts.entries()) part.merge(other.parts[replicate]!);
    return this;
  }

  /** The value over everything seen, with its standard error and interval. */
  compute(): Uncertain<Result> {
    return uncertain(this.where, this.value(), this.replicateValues(), this.options.confidence);
  }

  /** The value over everything seen. */
  value(): Result {
    return this.metric.compute();
  }

  /** The value of each replicate, in their order. */
  replicateValues(): readonly Result[] {
    if (this.parts.length > 0) return this.parts.map((part) => part.compute());
    const { replicates, seed } = this.options;
    return Array.from({ length: replicates }, (_, replicate) =>
      Metric.reweighted(this.metric, (tag) => poissonCount(seed, replicate, tag)).compute(),
    );
  }

  /** Everything seen so far, to be read back by `bootstrapFrom`. */
  toJSON(): BootstrapJson {
    return {
      format,
      version,
      options: this.options,
      metric: this.metric.toJSON(),
      replicates: this.parts.map((part) => part.toJSON()),
    };
  }

  /** Takes what `toJSON` wrote, into a new bootstrap. @see bootstrapFrom */
  static fromJSON(json: BootstrapJson): Bootstrap<never, MetricResult> {
    checkObject("bootstrapFrom", "json", json);
    if (json.format !== format || json.version !== version || !Array.isArray(json.replicates)) {
      throw new LosswrightError({
        code: "argument",
        where: "bootstrapFrom",
        found: JSON.stringify({ format: json.format, version: json.version }),
        expected: `{ "format": "${format}", "version": ${version} }`,
        fix: "pass what toJSON of a bootstrap wrote.",
      });
    }
    const metric = metricFrom(json.metric);
    const made = new Bootstrap<never, MetricResult>(
      metric as never,
      resolveOptions("bootstrapFrom", specs, json.options),
    );
    if (json.replicates.length !== made.parts.length) {
      throw new LosswrightError({
        code: "argument",
        where: "bootstrapFrom",
        field: "replicates",
        found: `${json.replicates.length}`,
        expected: `${made.parts.length}`,
      });
    }
    made.metric.merge(metric as never);
    for (const [replicate, part] of made.parts.entries()) part.merge(metricFrom(json.replicates[replicate]!) as never);
    return made;
  }
}

/** A bootstrap as it was when its `toJSON` wrote it. @throws `argument`, `option` for anything else */
export function bootstrapFrom(json: BootstrapJson): Bootstrap<never, MetricResult> {
  return Bootstrap.fromJSON(json);
}

/**
 * A value with what its replicates say of it. Sums run in sorted order, so that they do not depend on the order of the
 * replicates.
 *
 * @throws `unsupported` for results whose length differs between replicates
 */
export function uncertain<Result extends MetricResult>(
  where: string,
  value: Result,
  replicates: readonly Result[],
  confidence: number,
): Uncertain<Result> {
  const [held, whole] = [replicates.map((result) => numbersOf(result)), numbersOf(value)];
  if (held.some(({ length }) => length !== whole.length)) {
    throw new LosswrightError({
      code: "unsupported",
      where,
      found: "results of different lengths",
      expected: "a metric whose result has one shape for any draw of the samples",
      fix: "take the interval of a number, not of a curve; give classes where their number is to be fixed.",
    });
  }
  const usable = held.filter((numbers) => !numbers.some(Number.isNaN));
  const summaries = whole.map((_, k) =>
    summaryOf(
      Float64Array.from(usable, (numbers) => numbers[k]!),
      confidence,
    ),
  );
  const shaped = (part: keyof Summary) =>
    like(
      value,
      summaries.map((summary) => summary[part]),
    );
  return {
    value,
    standardError: shaped("standardError"),
    lower: shaped("lower"),
    upper: shaped("upper"),
    replicates: usable.length,
  };
}

interface Summary {
  readonly standardError: number;
  readonly lower: number;
  readonly upper: number;
}

function summaryOf(values: Float64Array, confidence: number): Summary {
  const sorted = values.sort();
  const count = sorted.length;
  if (count < 2) return { standardError: Number.NaN, lower: Number.NaN, upper: Number.NaN };
  const mean = sorted.reduce((total, value) => total + value, 0) / count;
  const variance = sorted.reduce((total, value) => total + (value - mean) * (value - mean), 0) / (count - 1);
  const tail = (1 - confidence) / 2;
  return { standardError: Math.sqrt(variance), lower: quantileOf(sorted, tail), upper: quantileOf(sorted, 1 - tail) };
}

/** A quantile of sorted values, linear between neighbors. */
function quantileOf(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low === high ? low : low + (at - below) * (high - low);
}

/** All numbers of a result, in one row. */
function numbersOf(result: MetricResult): number[] {
  if (typeof result === "number") return [result];
  if (isTensor(result)) return Array.from(result.data as Float64Array, Number);
  return Object.values(result).flatMap((entry) => numbersOf(entry));
}

/** A result of the same form that holds other numbers. */
function like<Result extends MetricResult>(result: Result, numbers: readonly number[]): Result {
  let at = 0;
  const entry = (value: number | Tensor): number | Tensor => {
    if (!isTensor(value)) return numbers[at++]!;
    const data = Float64Array.from(value.data as Float64Array, () => numbers[at++]!);
    return view(data, value.shape, value.role, "float64");
  };
  if (typeof result === "number" || isTensor(result)) return entry(result) as Result;
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, entry(value)])) as unknown as Result;
}
