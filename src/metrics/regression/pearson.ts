import { defineMetric, onlySums } from "../metric.js";
import { PairMoments } from "./correlation.js";
import { type RegressionFields, regressionFields, regressionForms } from "./regression-fields.js";

/**
 * Pearson's correlation of predictions and targets, of exact moments: data of a large mean keeps its digits. NaN where
 * one of them does not vary.
 *
 * scipy `pearsonr`.
 */
export const pearson = /*#__PURE__*/ defineMetric<RegressionFields, object, ReturnType<typeof onlySums>, number>({
  name: "pearson",
  documentation: {
    summary: "The linear correlation of predictions and targets.",
    formula: "Cov(p, t) / √(Var(p) Var(t)), by weight",
    source: "scipy pearsonr",
    goal: "maximize",
  },
  options: {},
  fields: () => regressionFields(false),
  forms: regressionForms,
  state: onlySums,
  open: (fields, { sums }) => {
    const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
    const moments = new PairMoments(Array.from({ length: PairMoments.count }, (_, m) => sums.of(m)));
    return (sample, weight) => moments.add(weight, prediction(sample), target(sample));
  },
  compute: ({ sums }) => new PairMoments(Array.from({ length: PairMoments.count }, (_, m) => sums.of(m))).correlation,
});
