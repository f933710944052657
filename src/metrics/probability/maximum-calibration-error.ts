import { defineMetric } from "../metric.js";
import { type BinOptions, type BinState, binOptions, binState, openBins, readBins } from "./bins.js";
import { type ProbabilityFields, probabilityFields } from "./probability-fields.js";

/**
 * The largest gap between probability and what happens, over bins: max_b |observed_b − predicted_b|; with `of:
 * "classes"` over the bins of all classes. A bin of few samples decides it: look at the reliability curve. NaN for no
 * sample.
 *
 * Naeini et al. 2015; torchmetrics `calibration_error(norm="max")`.
 */
export const maximumCalibrationError = /*#__PURE__*/ defineMetric<ProbabilityFields, BinOptions, BinState, number>({
  name: "maximumCalibrationError",
  documentation: {
    summary: "The largest gap between probability and what happens, over bins.",
    formula: "max_b |observed_b − predicted_b|",
    source: "Naeini et al. 2015; torchmetrics calibration_error, max",
    goal: "minimize",
  },
  options: binOptions,
  fields: (_, given) => probabilityFields(given),
  forms: () => [["probabilities", "labels"]],
  ignored: "labels",
  state: binState,
  open: (fields, state, options) => openBins(fields, state, options, "lower"),
  compute: (state, options) => {
    const gaps = readBins(state, options).flatMap((bins) =>
      bins.map(({ observed, predicted }) => Math.abs(observed - predicted)),
    );
    return gaps.length ? gaps.reduce((most, gap) => Math.max(most, gap)) : Number.NaN;
  },
});
