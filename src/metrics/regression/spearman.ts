import { Samples } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import { PairMoments } from "./correlation.js";
import { weightedRanks } from "./ranks.js";
import { type RegressionFields, regressionFields, regressionForms } from "./regression-fields.js";

interface PairState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

/**
 * Spearman's rank correlation: Pearson's of the ranks, ties sharing the mean of theirs. A weight says how often a sample
 * stands there. NaN where predictions or targets are all tied.
 *
 * scipy `spearmanr`.
 */
export const spearman = /*#__PURE__*/ defineMetric<RegressionFields, object, PairState, number>({
  name: "spearman",
  documentation: {
    summary: "The correlation of the ranks of predictions and targets.",
    formula: "Pearson's correlation of the ranks, ties at their mean",
    source: "Spearman 1904; scipy spearmanr",
    goal: "maximize",
  },
  options: {},
  fields: () => regressionFields(false),
  forms: regressionForms,
  state: () => ({ samples: new Samples(["prediction", "target"]) }),
  open: (fields, { samples }) => {
    const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
    return (sample, weight) => samples.add(weight, prediction(sample), target(sample));
  },
  compute: ({ samples }) => {
    const { weights } = samples;
    const [x, y] = [
      weightedRanks(samples.column("prediction"), weights),
      weightedRanks(samples.column("target"), weights),
    ];
    const moments = new PairMoments();
    for (let i = 0; i < x.length; i++) moments.add(weights?.[i] ?? 1, x[i]!, y[i]!);
    return moments.correlation;
  },
});
