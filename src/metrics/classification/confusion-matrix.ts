import { choiceOption, nullableOption } from "../../contract/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import {
  type ConfusionOptions,
  confusionFields,
  confusionForms,
  confusionOptions,
  openConfusion,
  readConfusion,
  sumOf,
} from "./confusion.js";

/** Options of {@link confusionMatrix}. */
export interface ConfusionMatrixOptions extends ConfusionOptions {
  /** What each cell is divided by: its label's weight (rows add up to 1), its prediction's, all; null for none. */
  readonly normalize: "labels" | "predictions" | "all" | null;
}

/**
 * The weight of the samples of each label that got each prediction: `[K, K]`, rows are labels, columns predictions. A
 * row or column without a sample is 0 when normalized.
 *
 * scikit-learn `confusion_matrix`.
 */
export const confusionMatrix = /*#__PURE__*/ defineMetric<
  ClassFields,
  ConfusionMatrixOptions,
  ReturnType<typeof onlySums>,
  Tensor<Unlabeled, "float64">
>({
  name: "confusionMatrix",
  documentation: {
    summary: "The weight of the samples of each label that got each prediction.",
    formula: "C[i, j] = Σ w [label = i, prediction = j]",
    source: "scikit-learn confusion_matrix",
  },
  options: {
    ...confusionOptions,
    normalize: nullableOption(
      choiceOption("what each cell is divided by: its label's weight, its prediction's, all", "labels", [
        "labels",
        "predictions",
        "all",
      ]),
    ),
  },
  fields: confusionFields,
  forms: confusionForms,
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { classes }) => openConfusion("confusionMatrix", fields, sums, classes),
  compute: ({ sums }, { classes, normalize }) => {
    const found = readConfusion(sums, classes);
    const [rows, columns] = [found.actual.map(({ value }) => value), found.predicted.map(({ value }) => value)];
    const all = sumOf(found.actual).value;
    const matrix = new Float64Array(found.classes * found.classes);
    for (const { label, prediction, sum } of found.cells) {
      const whole = normalize === "labels" ? rows[label]! : normalize === "predictions" ? columns[prediction]! : all;
      matrix[label * found.classes + prediction] = normalize === null ? sum.value : sum.value / whole;
    }
    return view(matrix, [found.classes, found.classes], "unlabeled", "float64");
  },
});
