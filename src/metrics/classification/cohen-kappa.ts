import { choiceOption, nullableOption } from "../../contract/index.js";
import { roundedRatio } from "../../tally/index.js";
import { defineMetric, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import {
  type ConfusionOptions,
  confusionFields,
  confusionForms,
  confusionOptions,
  integersOf,
  openConfusion,
  readConfusion,
} from "./confusion.js";

/** Options of {@link cohenKappa}. */
export interface CohenKappaOptions extends ConfusionOptions {
  /**
   * How far apart two classes are: all alike (null, default), by |i − j|, or by (i − j)²: for ordered classes. Classes
   * count by their index where `classes` is given, else by their place among those that occur.
   */
  readonly disagreement: "linear" | "quadratic" | null;
}

/**
 * Agreement of labels and predictions beyond what their frequencies alone would give:
 *   1 − Σ d_ij C_ij / Σ d_ij (t_i p_j / n)
 * with d the disagreement of two classes. Exact integers until the one division. NaN where labels and predictions are
 * all of one class, or for no sample.
 *
 * Cohen 1960, 1968; scikit-learn `cohen_kappa_score`.
 */
export const cohenKappa = /*#__PURE__*/ defineMetric<
  ClassFields,
  CohenKappaOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "cohenKappa",
  documentation: {
    summary: "Agreement of labels and predictions beyond what their frequencies alone would give.",
    formula: "1 − Σ d_ij C_ij / Σ d_ij t_i p_j / n",
    source: "Cohen 1960, 1968; scikit-learn cohen_kappa_score",
    goal: "maximize",
  },
  options: {
    ...confusionOptions,
    disagreement: nullableOption(
      choiceOption("how far apart two classes are: all alike, by |i − j| or its square", "linear", [
        "linear",
        "quadratic",
      ]),
    ),
  },
  fields: confusionFields,
  forms: confusionForms,
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { classes }) => openConfusion("cohenKappa", fields, sums, classes),
  compute: ({ sums }, { classes, disagreement }) => {
    const { actual, predicted, cells } = readConfusion(sums, classes);
    const count = actual.length;
    const integers = integersOf([...actual, ...predicted, ...cells.map(({ sum }) => sum)]);
    const [t, p] = [integers.slice(0, count), integers.slice(count, 2 * count)];
    const all = t.reduce((sum, entry) => sum + entry, 0n);
    // Without a number of classes, those that do not occur are not there to lie between others.
    let places = 0;
    const place = t.map((entry, k) => (classes !== null || entry + p[k]! > 0n ? places++ : places));
    const distance = (i: number, j: number): bigint => {
      const apart = BigInt(Math.abs(place[i]! - place[j]!));
      return disagreement === "linear" ? apart : disagreement === "quadratic" ? apart * apart : i === j ? 0n : 1n;
    };
    let observed = 0n;
    for (const [k, { label, prediction }] of cells.entries()) {
      observed += distance(label, prediction) * integers[2 * count + k]! * all;
    }
    let expected = 0n;
    for (let i = 0; i < count; i++) {
      if (t[i] === 0n) continue;
      for (let j = 0; j < count; j++) expected += distance(i, j) * t[i]! * p[j]!;
    }
    return roundedRatio(expected - observed, expected);
  },
});
