import { formatShape } from "../tensor/index.js";
import { type Numbers, readNumbers, unitInterval, wrong } from "./numbers.js";

/** How many labels are 1 and how many 0, for each entry of the last axis; soft labels count in part. */
export interface LabelCounts {
  readonly positives: Float64Array;
  readonly negatives: Float64Array;
  /** Whether the labels have one axis, so that there is one class without a name. */
  readonly isSingle: boolean;
}

/** Counts labels. @throws as `readNumbers`, and `shape` for a scalar */
export function countLabels(where: string, targets: Numbers<"targets" | "probabilities">): LabelCounts {
  const { data, shape } = readNumbers(where, "targets", targets, ["targets", "probabilities"], unitInterval);
  if (shape.length === 0) throw wrong(where, "shape", "targets", formatShape(shape), "[N] or [N, C]");
  const isSingle = shape.length === 1;
  const classes = isSingle ? 1 : shape.at(-1)!;
  const positives = new Float64Array(classes);
  const negatives = new Float64Array(classes);
  for (let i = 0; i < data.length; i++) {
    positives[i % classes]! += data[i]!;
    negatives[i % classes]! += 1 - data[i]!;
  }
  return { positives, negatives, isSingle };
}

/** Throws `value` for the first class that a count of 0 leaves without a weight, naming it. */
export function checkPresent(where: string, counts: Float64Array, what: string, single: boolean, fix: string): void {
  const missing = counts.indexOf(0);
  if (missing < 0) return;
  const found = single ? `no ${what}` : `no ${what} in class ${missing}`;
  throw wrong(where, "value", "targets", found, `at least one ${what}${single ? "" : " in each class"}`, fix, [
    missing,
  ]);
}
