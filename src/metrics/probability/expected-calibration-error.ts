import { choiceOption } from "../../contract/index.js";
import { ExactSum } from "../../tally/index.js";
import { defineMetric } from "../metric.js";
import { type Bin, type BinOptions, type BinState, binOptions, binState, openBins, readBins } from "./bins.js";
import { type ProbabilityFields, probabilityFields } from "./probability-fields.js";

/** Options of {@link expectedCalibrationError}. */
export interface ExpectedCalibrationErrorOptions extends BinOptions {
  /** The mean gap (default), or the root of the mean squared gap. */
  readonly norm: "l1" | "l2";
}

/**
 * How far probabilities are from what happens, on average: Σ_b (w_b / Σ w) |observed_b − predicted_b| over bins of
 * probabilities. With classes it is the confidence in the highest that is held against being right, unless `of:
 * "classes"` takes each class against the rest and averages. Uniform bins are `[lo, hi)`, 1 in a bin of its own;
 * quantile bins `(lo, hi]`. It depends on the bins: compare models with the same ones. NaN for no sample.
 *
 * Naeini et al. 2015; Guo et al. 2017; torchmetrics `calibration_error`.
 */
export const expectedCalibrationError = /*#__PURE__*/ defineMetric<
  ProbabilityFields,
  ExpectedCalibrationErrorOptions,
  BinState,
  number
>({
  name: "expectedCalibrationError",
  documentation: {
    summary: "How far probabilities are from what happens, on average over bins.",
    formula: "Σ_b (w_b / Σ w) |observed_b − predicted_b|",
    source: "Naeini et al. 2015; Guo et al. 2017; torchmetrics calibration_error",
    goal: "minimize",
  },
  options: {
    ...binOptions,
    norm: choiceOption("the mean gap, or the root of the mean squared gap", "l1", ["l1", "l2"]),
  },
  fields: (_, given) => probabilityFields(given),
  forms: () => [["probabilities", "labels"]],
  ignored: "labels",
  state: binState,
  open: (fields, state, options) => openBins(fields, state, options, "lower"),
  compute: (state, options) => {
    const errors = readBins(state, options).map((bins) => gap(bins, options.norm));
    return errors.reduce((sum, error) => sum + error, 0) / errors.length;
  },
});

function gap(bins: readonly Bin[], norm: "l1" | "l2"): number {
  const [sum, whole] = [new ExactSum(), new ExactSum()];
  for (const { weight, predicted, observed } of bins) {
    const apart = Math.abs(observed - predicted);
    sum.add(weight * (norm === "l1" ? apart : apart * apart));
    whole.add(weight);
  }
  const mean = sum.value / whole.value;
  return norm === "l1" ? mean : Math.sqrt(mean);
}
