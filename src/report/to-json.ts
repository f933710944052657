import { type Json, jsonNumber } from "../contract/index.js";
import type { MetricResult } from "../metrics/index.js";
import { isTensor } from "../tensor/index.js";
import type { MeasuredMetric } from "./measure.js";

/** Measured metrics as JSON: numbers that JSON cannot spell are "nan", "inf" and "-inf". */
export function measuredToJson(measured: readonly MeasuredMetric[]): object {
  return {
    metrics: measured.map(({ metric, goal, options, fields, samples, value, interval, note }) => ({
      metric,
      ...(goal !== undefined && { goal }),
      options,
      fields,
      samples,
      value: resultToJson(value),
      ...(interval && {
        standardError: resultToJson(interval.standardError),
        interval: [resultToJson(interval.lower), resultToJson(interval.upper)],
        confidence: interval.confidence,
        replicates: interval.replicates,
      }),
      ...(note !== undefined && { note }),
    })),
  };
}

function resultToJson(result: MetricResult): Json {
  if (typeof result === "number") return jsonNumber(result);
  if (!isTensor(result)) {
    return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, resultToJson(value)]));
  }
  const { shape } = result;
  const numbers = Array.from(result.data as Float64Array, Number);
  const nested = (axis: number, start: number, size: number): Json => {
    if (axis === shape.length) return jsonNumber(numbers[start]!);
    const step = size / Math.max(1, shape[axis]!);
    return Array.from({ length: shape[axis]! }, (_, i) => nested(axis + 1, start + i * step, step));
  };
  return nested(0, 0, numbers.length);
}
