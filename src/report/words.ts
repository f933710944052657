import type { MetricResult } from "../metrics/index.js";
import { isTensor } from "../tensor/index.js";
import type { MeasuredMetric } from "./measure.js";

/** A number as people read it: five digits that count, whole numbers whole. */
export function figure(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(5))) : value.toExponential(3);
}

/** A metric's name, with what made one number of its classes: "fBeta (macro)". */
export function titleOf({ metric, average }: MeasuredMetric): string {
  return average === undefined ? metric : `${metric} (${average})`;
}

/** A result as one or several lines of a table: a name, and a number or all numbers of a list. */
export interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly numbers: ArrayLike<number>;
}

/** The entries of a result; that of a single number has no name of its own. */
export function entriesOf(result: MetricResult): Entry[] {
  if (typeof result === "number") return [{ name: "", shape: [], numbers: [result] }];
  if (isTensor(result)) {
    return [{ name: "", shape: result.shape, numbers: Array.from(result.data as Float64Array, Number) }];
  }
  return Object.entries(result).flatMap(([name, value]) => entriesOf(value).map((entry) => ({ ...entry, name })));
}
