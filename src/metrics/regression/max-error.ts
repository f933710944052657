import { Maximum } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import { type RegressionFields, regressionFields, regressionForms } from "./regression-fields.js";

interface MaximumState {
  readonly error: Maximum;
  readonly [name: string]: Maximum;
}

/**
 * The largest |p − t|. Weights above 0 do not matter. NaN for no sample.
 *
 * scikit-learn `max_error`.
 */
export const maxError = /*#__PURE__*/ defineMetric<RegressionFields, object, MaximumState, number>({
  name: "maxError",
  documentation: {
    summary: "The largest absolute difference of prediction and target.",
    formula: "max |p − t|",
    source: "scikit-learn max_error",
    goal: "minimize",
  },
  options: {},
  fields: () => regressionFields(false),
  forms: regressionForms,
  state: () => ({ error: new Maximum() }),
  open: (fields, { error }) => {
    const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
    return (sample) => error.add(Math.abs(prediction(sample) - target(sample)));
  },
  compute: ({ error }) => (error.value < 0 ? Number.NaN : error.value),
});
