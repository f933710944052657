import { rootOfRatio } from "../../tally/index.js";
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

/**
 * The correlation between labels and predictions, in [−1, 1], for any number of classes (Gorodkin's R_K):
 *   (c·s − Σ t_k p_k) / √((s² − Σ p_k²)(s² − Σ t_k²))
 * with s all samples, c those right, t_k of label k, p_k of prediction k. 0 where labels or predictions are of one class
 * alone, as in scikit-learn `matthews_corrcoef`. NaN for no sample.
 *
 * Matthews 1975; Gorodkin 2004.
 */
export const matthewsCorrelation = /*#__PURE__*/ defineMetric<
  ClassFields,
  ConfusionOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "matthewsCorrelation",
  documentation: {
    summary: "The correlation between labels and predictions, for any number of classes.",
    formula: "(c·s − Σ t_k p_k) / √((s² − Σ p_k²)(s² − Σ t_k²))",
    source: "Matthews 1975; Gorodkin 2004; scikit-learn matthews_corrcoef",
    goal: "maximize",
  },
  options: confusionOptions,
  fields: confusionFields,
  forms: confusionForms,
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }, { classes }) => openConfusion("matthewsCorrelation", fields, sums, classes),
  compute: ({ sums }, { classes }) => {
    const { actual, predicted, right } = readConfusion(sums, classes);
    const count = actual.length;
    const integers = integersOf([...actual, ...predicted, ...right]);
    const [t, p, r] = [integers.slice(0, count), integers.slice(count, 2 * count), integers.slice(2 * count)];
    const total = (list: readonly bigint[]) => list.reduce((sum, entry) => sum + entry, 0n);
    const [all, correct] = [total(t), total(r)];
    if (all === 0n) return Number.NaN;
    const covariance = correct * all - total(t.map((entry, k) => entry * p[k]!));
    const spread = (list: readonly bigint[]) => all * all - total(list.map((entry) => entry * entry));
    const product = spread(p) * spread(t);
    if (product === 0n) return 0;
    const size = rootOfRatio(covariance * covariance, product);
    return covariance < 0n ? -size : size;
  },
});
