import { metricFrom, metricNames } from "../../src/metrics/index.js";
import { isTensor, type Tensor } from "../../src/tensor/index.js";
import { allCases, difference, fromGolden, isGoldenTensor } from "../instruments/golden.js";

/** Fields as a metric receives them. */
export type Fields = Readonly<Record<string, Tensor | readonly string[]>>;

/** A golden case of a metric, ready to run. */
export interface MetricCase {
  readonly id: string;
  readonly metric: string;
  readonly options: object;
  readonly fields: Fields;
  readonly expected: unknown;
  readonly tolerance: number;
}

/** Every golden case of a metric. */
export function metricCases(): readonly MetricCase[] {
  return allCases().flatMap((found) => {
    const { id, metric, options = {}, expected, tolerance } = found;
    if (metric === undefined) return [];
    const { inputs } = found as unknown as { readonly inputs: Readonly<Record<string, unknown>> };
    const fields = Object.entries(inputs).map(([name, value]) => [
      name,
      isGoldenTensor(value) ? fromGolden(value) : value,
    ]);
    return { id, metric, options, fields: Object.fromEntries(fields) as Fields, expected, tolerance };
  });
}

/** The cases of metrics that this version has, and that the reference computes. */
export function computedCases(): readonly MetricCase[] {
  const known = new Set(metricNames());
  return metricCases().filter(({ metric, expected }) => known.has(metric) && !refuses(expected));
}

/** Whether a case says that the reference refuses its input. */
export function refuses(expected: unknown): boolean {
  return typeof expected === "object" && expected !== null && "throws" in expected;
}

/** What differs between a result and a case's, in words; undefined when they agree. */
export function differenceOf(result: unknown, { expected, tolerance }: MetricCase): string | undefined {
  const compare = { tolerance, relativeOnly: false };
  if (isGoldenTensor(expected) || typeof expected !== "object" || expected === null) {
    return difference(result as never, expected as never, compare);
  }
  for (const [name, entry] of Object.entries(expected)) {
    const found = difference((result as Record<string, never>)[name], entry as never, compare);
    if (found) return `${name} ${found}`;
  }
  return undefined;
}

/** A metric of a case that has seen some fields. */
export function seen({ metric, options }: MetricCase, ...updates: readonly Fields[]) {
  const made = metricFrom({ metric, options });
  for (const fields of updates) made.update(fields);
  return made;
}

/** A result with its bits: two are equal when these texts are. */
export function bitsOf(result: unknown): string {
  const bits = (value: number) => {
    const [high, low] = new BigUint64Array(Float64Array.of(value, 0).buffer);
    return `${high!.toString(16)}${low ? "!" : ""}`;
  };
  if (typeof result === "number") return bits(result);
  if (isTensor(result)) return `[${result.shape}] ${Array.from(result.data as Float64Array, (v) => bits(Number(v)))}`;
  return Object.entries(result as object)
    .map(([name, value]) => `${name}: ${bitsOf(value)}`)
    .join("; ");
}

/** The number of samples along axis 0, or undefined where fields have no axis of samples. */
export function rowsOf({ fields }: MetricCase): number | undefined {
  // A table of wins is one sample: it has no rows to take apart.
  if ("wins" in fields) return undefined;
  const first = Object.values(fields)[0]!;
  return isTensor(first) ? first.shape[0] : first.length;
}

/** The rows of fields along axis 0 in a given order, some left out. */
export function rows(fields: Fields, order: readonly number[]): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (!isTensor(value)) return [name, order.map((row) => (value as readonly string[])[row]!)];
      const [count = 0, ...rest] = value.shape;
      const length = count === 0 ? 0 : value.data.length / count;
      const data = new (value.data.constructor as Float64ArrayConstructor)(order.length * length);
      order.forEach((row, at) => {
        for (let k = 0; k < length; k++) data[at * length + k] = value.data[row * length + k] as number;
      });
      return [name, { ...value, data, shape: [order.length, ...rest] }];
    }),
  );
}
