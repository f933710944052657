import { closest, LosswrightError } from "../errors/index.js";
import * as all from "./all.js";
import type { GivenFields } from "./fields.js";
import { metricByForeignName } from "./foreign-names.js";
import type { Metric, MetricDefinition, MetricFactory, MetricJson, MetricResult } from "./metric.js";

type AnyFactory = MetricFactory<GivenFields, object, MetricResult>;

const factories = all as unknown as Readonly<Record<string, AnyFactory>>;

/** The names of all metrics of this version. */
export function metricNames(): readonly string[] {
  return Object.keys(factories).sort();
}

/** The definition of a metric by name: options, fields, documentation. @throws `unknown`, naming the near miss */
export function metricDefinition(name: string): MetricDefinition<object, never, MetricResult> {
  return factoryOf(name).definition as never;
}

/**
 * A metric by name, or what `toJSON` of one wrote, with everything it had seen.
 *
 * @param given - `{ metric, options? }`, or a metric's JSON
 * @throws `unknown` for a name that nothing answers to, `option` for values out of range, `argument` for damaged JSON
 */
export function metricFrom(given: { readonly metric: string; readonly options?: object } | MetricJson): Metric {
  if (typeof given !== "object" || given === null) {
    throw new LosswrightError({
      code: "argument",
      where: "metricFrom",
      found: typeof given === "string" ? "a string" : String(given),
      expected: "{ metric, options? }, or what toJSON of a metric wrote",
      fix:
        typeof given === "string" ? "parse it first: metricFrom(JSON.parse(text))." : 'write { metric: "accuracy" }.',
    });
  }
  const factory = factoryOf(given.metric);
  return "state" in given ? factory.fromJSON(given) : factory(given.options ?? {});
}

function factoryOf(name: string): AnyFactory {
  const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
  if (factory) return factory;
  const meant = metricByForeignName(String(name)) ?? closest(String(name), metricNames());
  throw new LosswrightError({
    code: "unknown",
    where: "metric",
    field: "metric",
    found: JSON.stringify(name) ?? String(name),
    expected: `one of ${metricNames().join(", ")}`,
    ...(meant && { fix: `write "${meant}".` }),
  });
}
