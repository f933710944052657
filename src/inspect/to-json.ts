import { type Contract, type Json, jsonNumber } from "../contract/index.js";
import type { Inspection } from "./inspection.js";
import { positionOf } from "./token-batch.js";
import { rowSummary, rowsOf, type ViewOptions } from "./words.js";

/** An inspection as JSON: counts of every batch, and every position of the rows asked for. */
export interface InspectionJson {
  readonly name: string;
  readonly task: string | null;
  readonly rule: string;
  readonly contract: Contract | null;
  readonly batches: readonly Json[];
}

/** An inspection as JSON, not finite numbers as `"nan"`, `"inf"`, `"-inf"`. */
export function inspectionToJson(inspection: Inspection, { rows, textOf }: ViewOptions): InspectionJson {
  const number = (value: number | null) => (value === null ? null : jsonNumber(value));
  const batches = inspection.batches.map((batch) => ({
    title: batch.title,
    shape: [batch.rows, batch.length],
    counts: batch.counts as unknown as Json,
    sum: batch.sum && { numerator: number(batch.sum.numerator), denominator: number(batch.sum.denominator) },
    notes: batch.notes,
    rows: rowsOf(batch, rows).map((row) => ({
      row,
      counts: rowSummary(batch, row).counts as unknown as Json,
      positions: Array.from({ length: batch.length }, (_, at) => {
        const position = positionOf(batch, row, at, textOf);
        const { label, loss, weight } = position;
        return { ...position, label: number(label), loss: number(loss), weight: number(weight) };
      }),
    })),
  }));
  const { name, task, rule, contract } = inspection;
  return { name, task, rule, contract, batches: batches as unknown as readonly Json[] };
}
