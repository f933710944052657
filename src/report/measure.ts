import { type Json, optionsToJson } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import {
  type BootstrapOptions,
  bootstrap,
  type GivenFields,
  type Identified,
  type MetricField,
  type MetricResult,
  metricDefinition,
  metricFrom,
} from "../metrics/index.js";
import { isTensor, type Tensor, view } from "../tensor/index.js";

/** A metric by name, with the options that are not to be what they are. */
export interface AskedMetric {
  readonly metric: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What the draw of the samples makes uncertain of a value. */
export interface Interval {
  readonly lower: MetricResult;
  readonly upper: MetricResult;
  readonly standardError: MetricResult;
  readonly replicates: number;
  readonly confidence: number;
}

/** A metric that was computed, and on what. */
export interface MeasuredMetric {
  readonly metric: string;
  readonly summary: string;
  readonly goal?: "maximize" | "minimize";
  /** Every option, defaults too. */
  readonly options: Json;
  /** How the classes became one number, where they did: the option `average`. */
  readonly average?: string;
  /** The fields that it was given. */
  readonly fields: readonly string[];
  readonly samples: number;
  readonly value: MetricResult;
  readonly interval?: Interval;
  /** Why there is no interval where one was asked for. */
  readonly note?: string;
}

/** A field that a metric takes, and what is to be in it. */
export interface WantedField {
  readonly name: string;
  readonly holds: MetricField["holds"];
}

const common: Readonly<Record<string, MetricField["holds"]>> = { weights: "reals", mask: "flags" };

/**
 * All fields that a metric may be given under its options, and the sets of which one must be.
 *
 * @param given - the fields that it will be given, where that is known already
 */
export function fieldsOf(
  { metric, options }: AskedMetric,
  given: readonly string[] = [],
): {
  readonly wanted: readonly WantedField[];
  readonly forms: readonly (readonly string[])[];
} {
  const definition = metricDefinition(metric);
  const resolved = metricFrom({ metric, options }).options;
  // What is in the fields is not read yet: which of them there are tells two forms apart.
  const before = definition.fields(resolved);
  const stand = given
    .filter((name) => Object.hasOwn(before, name))
    .map((name) => [name, standsFor(before[name]!.holds)]);
  const fields = given.length === 0 ? before : definition.fields(resolved, Object.fromEntries(stand));
  const own = Object.entries(fields).map(([name, { holds }]) => ({ name, holds }));
  const more = Object.entries(common).filter(([name]) => !Object.hasOwn(fields, name));
  return { wanted: [...own, ...more.map(([name, holds]) => ({ name, holds }))], forms: definition.forms(resolved) };
}

function standsFor(holds: MetricField["holds"]): Tensor | readonly string[] {
  return holds === "texts" ? [] : view(new Float64Array(0), [0], "unlabeled", "float64");
}

/**
 * Which of the fields that there are a metric takes: of its forms that are there in full the one with most of those that
 * were named, the first of several; and what is optional.
 *
 * @param named - fields that were given one by one, not as columns that happen to be there
 * @throws `missing-field` where no form is
 */
export function chosenFields(
  asked: AskedMetric,
  available: readonly string[],
  named: readonly string[] = [],
): readonly WantedField[] {
  const { wanted, forms } = fieldsOf(asked);
  const whole = forms.filter((names) => names.every((name) => available.includes(name)));
  const count = (names: readonly string[]) => names.filter((name) => named.includes(name)).length;
  const form = whole.find((names) => whole.every((other) => count(other) <= count(names)));
  if (form) {
    const ofForms = new Set(forms.flat());
    const optional = wanted.map(({ name }) => name).filter((name) => !ofForms.has(name) && available.includes(name));
    const taken = [...form, ...optional];
    // What a field of two forms holds follows from the others.
    const known = fieldsOf(asked, taken).wanted;
    return taken.map((name) => known.find((field) => field.name === name)!);
  }
  const there = wanted.filter(({ name }) => available.includes(name)).map(({ name }) => name);
  const missing = (names: readonly string[]) => names.filter((name) => !available.includes(name));
  const nearest = forms.reduce((best, each) => (missing(each).length < missing(best).length ? each : best));
  throw new LosswrightError({
    code: "missing-field",
    where: asked.metric,
    field: missing(nearest)[0]!,
    found: there.length > 0 ? `only ${there.join(", ")}` : "none of its fields",
    expected: forms.map((names) => `{ ${names.join(", ")} }`).join(" or "),
    fix: `give ${missing(nearest).join(" and ")}.`,
  });
}

/**
 * Computes a metric over fields, with a bootstrap interval where one is asked for.
 *
 * @param ids - who the samples are, for the bootstrap
 * @throws whatever the metric throws of its fields
 */
export function measure(
  asked: AskedMetric,
  fields: GivenFields,
  ids?: Identified,
  resampling?: Partial<BootstrapOptions>,
): MeasuredMetric {
  const metric = metricFrom(asked);
  const { summary, goal } = metricDefinition(asked.metric).documentation;
  metric.update(fields);
  const value = metric.compute();
  const average = averageOf(value, metric.options, fields);
  const measured = {
    metric: asked.metric,
    summary,
    ...(goal !== undefined && { goal }),
    options: optionsToJson(metric.options),
    ...(average !== undefined && { average }),
    fields: Object.keys(fields),
    samples: metric.samples,
    value,
  };
  if (resampling === undefined) return measured;
  const drawn = bootstrap(metricFrom(asked), resampling);
  try {
    const { lower, upper, standardError, replicates } = drawn.update({ ...fields, ...ids }).compute();
    return { ...measured, interval: { lower, upper, standardError, replicates, confidence: drawn.options.confidence } };
  } catch (error) {
    // A curve has other points in every draw: it has no interval, and the metrics beside it do.
    if (!(error instanceof LosswrightError) || error.code !== "unsupported") throw error;
    return { ...measured, note: `no interval: ${error.found}${fixedClasses(asked.metric, value, metric.options)}` };
  }
}

/** What made one number of the classes of a metric; undefined where nothing did. */
function averageOf(
  value: MetricResult,
  { average, multilabel }: Readonly<Record<string, unknown>>,
  { scores, labels }: GivenFields,
): string | undefined {
  if (typeof value !== "number" || typeof average !== "string") return undefined;
  // One score a sample ranks positives against negatives: there is nothing to average.
  const isOneScore = isTensor(scores) && isTensor(labels) && scores.shape.length === labels.shape.length;
  return isOneScore && !multilabel ? undefined : average;
}

/** How a list or matrix of classes gets an interval: a draw that misses a class makes it shorter, unless it is told. */
function fixedClasses(metric: string, value: MetricResult, { classes }: Readonly<Record<string, unknown>>): string {
  return classes === null && isTensor(value) ? `; give --option ${metric}:classes=${value.shape[0]}` : "";
}
