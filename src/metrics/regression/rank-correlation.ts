import type { OptionSpecs } from "../../contract/index.js";
import { Samples } from "../accumulators.js";
import { defineMetric, type MetricFactory } from "../metric.js";
import { type RegressionFields, regressionFields, regressionForms } from "./regression-fields.js";

interface PairState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

/** Predictions and targets as they were given, with the weight of each pair; undefined where each is 1. */
export interface Pairs {
  readonly predictions: Float64Array;
  readonly targets: Float64Array;
  readonly weights: Float64Array | undefined;
}

/** A metric of the order of predictions and targets: it keeps all of them. */
export function defineRankCorrelation<Options extends object>(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  readonly options: OptionSpecs<Options>;
  of(pairs: Pairs, options: Options): number;
}): MetricFactory<RegressionFields, Options, number> {
  const { name, summary, formula, source, options, of } = given;
  return defineMetric<RegressionFields, Options, PairState, number>({
    name,
    documentation: { summary, formula, source, goal: "maximize" },
    options,
    fields: () => regressionFields(false),
    forms: regressionForms,
    state: () => ({ samples: new Samples(["prediction", "target"]) }),
    open: (fields, { samples }) => {
      const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
      return (sample, weight) => samples.add(weight, prediction(sample), target(sample));
    },
    compute: ({ samples }, chosen) =>
      of(
        {
          predictions: samples.column("prediction"),
          targets: samples.column("target"),
          weights: samples.weights,
        },
        chosen,
      ),
  });
}
