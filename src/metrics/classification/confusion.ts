import { nullableOption, numberOption, type OptionSpec } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { alignedIntegers, ExactSum } from "../../tally/index.js";
import type { Sums } from "../accumulators.js";
import type { BoundFields, MetricField } from "../fields.js";
import { ignoreIndexOption, labelFields, scoreFields } from "./labels.js";
import { labelClass, predictedClass } from "./predicted-class.js";

/** More classes than anything has: an index above is a mistake, and so much room is not made for it. */
export const mostClasses = 1048576;

/** How many classes there are. */
const classesOption: OptionSpec<number | null> = /*#__PURE__*/ nullableOption(
  numberOption("the number of classes; without it, up to the highest that occurs", 2, {
    integer: true,
    atLeast: 1,
    atMost: mostClasses,
  }),
);

/** Options of metrics that count labels against predictions. */
export interface ConfusionOptions {
  /** The number of classes; indices at or above it are an error. Null: up to the highest that occurs. */
  readonly classes: number | null;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

export const confusionOptions = { classes: classesOption, ignoreIndex: ignoreIndexOption };

export const confusionFields = (): Readonly<Record<string, MetricField>> => ({ ...labelFields, ...scoreFields });

export const confusionForms = (): readonly (readonly string[])[] => [
  ["predictions", "labels"],
  ["scores", "labels"],
];

/** Cells are kept by one number each: label · stride + prediction. */
const stride = mostClasses;
/** Up to so many classes cells are found in a list, made whole at once: engines hash one that grows with gaps. */
const listed = { known: 512, unknown: 64 };

/** @throws `shape` where scores or flags are of another number of classes than the option says */
export function checkClassCount(where: string, fields: BoundFields, classes: number | null): void {
  if (classes === null || !fields.hasAxis("K") || fields.size("K") === classes) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field: fields.has("scores") ? "scores" : "predictions",
    found: `${fields.size("K")} classes along the last axis`,
    expected: `${classes}, as the option classes says`,
    fix: `set classes: ${fields.size("K")}, or leave it out.`,
  });
}

/** Opens an update: each sample adds its weight to the cell of its label and its prediction. */
export function openConfusion(
  where: string,
  fields: BoundFields,
  sums: Sums,
  classes: number | null,
): (sample: number, weight: number) => void {
  checkClassCount(where, fields, classes);
  const bound = classes ?? mostClasses;
  const [label, prediction] = [labelClass(fields, bound), predictedClass(fields, bound)];
  const side = Math.min(classes ?? listed.unknown, listed.known);
  const cells = new Array<ExactSum | undefined>(side * side);
  // Scores say how many classes there are, whether the last one occurs or not.
  if (fields.hasAxis("K")) sums.of((fields.size("K") - 1) * (stride + 1));
  return (sample, weight) => {
    const row = label(sample);
    const column = prediction(sample);
    if (row < side && column < side) {
      const at = row * side + column;
      cells[at] ??= sums.of(row * stride + column);
      cells[at].add(weight);
      return;
    }
    sums.of(row * stride + column).add(weight);
  };
}

/** Counts of labels against predictions, exact. */
export interface Confusion {
  readonly classes: number;
  /** Weight of the samples of a label that got a prediction; undefined where there is none. */
  readonly cells: readonly { readonly label: number; readonly prediction: number; readonly sum: ExactSum }[];
  /** Weight by label, and by prediction. */
  readonly actual: readonly ExactSum[];
  readonly predicted: readonly ExactSum[];
  /** Weight of each class's samples that are right. */
  readonly right: readonly ExactSum[];
}

/** Reads what {@link openConfusion} counted. */
export function readConfusion(sums: Sums, classes: number | null): Confusion {
  const cells = sums.keys().map((key) => {
    const label = Math.floor((key as number) / stride);
    return { label, prediction: (key as number) - label * stride, sum: sums.of(key) };
  });
  const highest = cells.reduce((most, { label, prediction }) => Math.max(most, label, prediction), -1);
  const count = classes ?? highest + 1;
  const empty = () => Array.from({ length: count }, () => new ExactSum());
  const [actual, predicted, right] = [empty(), empty(), empty()];
  for (const { label, prediction, sum } of cells) {
    actual[label]!.merge(sum);
    predicted[prediction]!.merge(sum);
    if (label === prediction) right[label]!.merge(sum);
  }
  return { classes: count, cells, actual, predicted, right };
}

/** Exact sums as integers of one unit; counts are themselves. */
export function integersOf(sums: readonly ExactSum[]): readonly bigint[] {
  return alignedIntegers(sums)!.integers;
}

/** The exact sum of several. */
export function sumOf(sums: readonly ExactSum[]): ExactSum {
  const total = new ExactSum();
  for (const sum of sums) total.merge(sum);
  return total;
}
