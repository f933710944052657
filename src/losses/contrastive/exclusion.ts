import { LosswrightError } from "../../errors/index.js";
import { formatShape } from "../../tensor/index.js";
import type { BatchView, FieldSpec } from "../definition.js";

/** A field that takes pairs out of the batch, between the rows of two of its axes. */
export function excludeMaskField(rows: string, columns: string): FieldSpec {
  return {
    meaning: "1 where two rows are no negatives of each other: the pair is not read",
    holds: "flags",
    roles: ["mask"],
    shape: [rows, columns],
    read: "whole",
    gradient: "none",
    optional: true,
  };
}

/** Whether `excludeMask` leaves a pair. */
export function includedPairs(batch: BatchView<object>, columns: number): (row: number, key: number) => boolean {
  if (!batch.has("excludeMask")) return () => true;
  const excluded = batch.flag("excludeMask");
  return (row, key) => !excluded(row * columns + key);
}

/** @throws `value` where `excludeMask` takes out what a row is to find */
export function checkIncluded(
  batch: BatchView<object>,
  included: (row: number, key: number) => boolean,
  row: number,
  positive: number,
): void {
  if (included(row, positive)) return;
  throw new LosswrightError({
    code: "value",
    where: batch.where,
    field: "excludeMask",
    found: `1 at ${formatShape([row, positive])}, the positive of row ${row}`,
    expected: "0 at every positive",
    fix: "exclude false negatives only; a row that must not count gets mask 0.",
    index: [row, positive],
  });
}
