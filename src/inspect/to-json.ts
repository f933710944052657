import { type Contract, type Json, jsonNumber } from "../contract/index.js";
import type { AlignmentBatch } from "./alignment-batch.js";
import type { Inspection } from "./inspection.js";
import { positionOf, type TokenBatch } from "./token-batch.js";
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
export function inspectionToJson(
  { name, task, rule, contract, batches }: Inspection,
  options: ViewOptions,
): InspectionJson {
  return {
    name,
    task,
    rule,
    contract,
    batches: batches.map((batch) => ({
      shows: batch.shows,
      title: batch.title,
      sum: batch.sum && { numerator: number(batch.sum.numerator), denominator: number(batch.sum.denominator) },
      notes: batch.notes,
      ...(batch.shows === "tokens" ? tokensToJson(batch, options) : alignmentsToJson(batch, options)),
    })),
  };
}

function tokensToJson(batch: TokenBatch, { rows, textOf }: ViewOptions): { readonly [key: string]: Json } {
  return {
    shape: [batch.rows, batch.length],
    counts: batch.counts as unknown as Json,
    rows: rowsOf(batch, rows).map((row) => ({
      row,
      counts: rowSummary(batch, row).counts as unknown as Json,
      positions: Array.from({ length: batch.length }, (_, at) => {
        const position = positionOf(batch, row, at, textOf);
        const { label, loss, weight } = position;
        return { ...position, label: number(label), loss: number(loss), weight: number(weight) };
      }),
    })),
  };
}

function alignmentsToJson({ blank, sequences, ...batch }: AlignmentBatch, { rows, textOf }: ViewOptions) {
  const texts = (labels: readonly number[]) => (textOf ? { texts: labels.map((label) => textOf(label) ?? null) } : {});
  return {
    blank,
    sequences: rowsOf(batch, rows).map((row) => {
      const { frames, labels, needed, counts, weight, loss, path, positions, share } = sequences[row]!;
      return {
        sequence: row,
        frames,
        labels,
        ...texts(labels),
        framesNeeded: needed,
        counts,
        weight: number(weight),
        loss: number(loss),
        path: path && [...path],
        positions: positions && [...positions],
        share: number(share),
      };
    }),
  };
}

function number(value: number | null) {
  return value === null ? null : jsonNumber(value);
}
