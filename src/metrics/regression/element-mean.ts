import type { OptionSpecs } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineMetric, onlySums } from "../metric.js";
import {
  averageOutputs,
  checkOutputs,
  type OutputsFactory,
  type OutputsOption,
  outputsOption,
  type RegressionFields,
  regressionFields,
  regressionForms,
} from "./regression-fields.js";

/** A metric that is a mean of one term an element, Σ w term / Σ w, or a function of such a mean. */
export function defineElementMean<Own extends object>(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  readonly options: OptionSpecs<Own>;
  term(prediction: number, target: number, options: Own): number;
  finish?(mean: number): number;
}): OutputsFactory<OutputsOption & Own> {
  const { name, summary, formula, source, term, finish = (mean) => mean } = given;
  const made = defineMetric<
    RegressionFields,
    OutputsOption & Own,
    ReturnType<typeof onlySums>,
    number | Tensor<Unlabeled, "float64">
  >({
    name,
    documentation: { summary, formula, source, goal: "minimize" },
    options: { ...outputsOption, ...given.options } as OptionSpecs<OutputsOption & Own>,
    fields: ({ outputs }) => regressionFields(outputs !== null),
    forms: regressionForms,
    state: onlySums,
    open: (fields, { sums }, options) => {
      const count = options.outputs === null ? 1 : fields.size("K");
      const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
      // Sums of output k: its terms, and its weight.
      const held = Array.from({ length: 2 * count }, (_, key) => sums.of(key));
      return (sample, weight) => {
        for (let k = 0; k < count; k++) {
          const at = sample * count + k;
          held[2 * k]!.add(weight * term(prediction(at), target(at), options));
          held[2 * k + 1]!.add(weight);
        }
      };
    },
    compute: ({ sums }, { outputs }) => {
      const count = sums.keys().length / 2;
      const weights = Array.from({ length: count }, (_, k) => sums.value(2 * k + 1));
      checkOutputs(name, weights);
      const means = weights.map((weight, k) => finish(sums.value(2 * k) / weight));
      return averageOutputs(means, outputs);
    },
  });
  return made as OutputsFactory<OutputsOption & Own>;
}
