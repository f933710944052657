import { powerOfTwo, sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import { Samples } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import { type RegressionFields, regressionFields, regressionForms } from "./regression-fields.js";

interface ErrorState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

/**
 * The median of |p − t|: half the weight of the errors lies on each side; between two errors it is their mean. NaN for
 * no sample.
 *
 * scikit-learn `median_absolute_error`.
 */
export const medianAbsoluteError = /*#__PURE__*/ defineMetric<RegressionFields, object, ErrorState, number>({
  name: "medianAbsoluteError",
  documentation: {
    summary: "The median of the absolute differences of prediction and target.",
    formula: "median |p − t|, by weight",
    source: "scikit-learn median_absolute_error",
    goal: "minimize",
  },
  options: {},
  fields: () => regressionFields(false),
  forms: regressionForms,
  state: () => ({ samples: new Samples(["error"]) }),
  open: (fields, { samples }) => {
    const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
    return (sample, weight) => samples.add(weight, Math.abs(prediction(sample) - target(sample)));
  },
  compute: ({ samples }) => {
    const [errors, { weights }] = [samples.column("error"), samples];
    const order = sortedOrder(errors);
    const whole = new ExactSum();
    for (const i of order) whole.add(weights?.[i] ?? 1);
    const half = whole.value / 2;
    // Fractional weights add up to half only up to rounding.
    const slack = whole.value * powerOfTwo(-52);
    const below = new ExactSum();
    for (let start = 0; start < order.length; ) {
      const error = errors[order[start]!]!;
      let end = start;
      for (; end < order.length && errors[order[end]!] === error; end++) below.add(weights?.[order[end]!] ?? 1);
      if (end === order.length) return error;
      if (Math.abs(below.value - half) <= slack) return (error + errors[order[end]!]!) / 2;
      if (below.value > half) return error;
      start = end;
    }
    return Number.NaN;
  },
});
