import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import { defineMetric } from "../metric.js";
import { type BinOptions, type BinState, binOptions, binState, openBins, readBins } from "./bins.js";
import { type ProbabilityFields, probabilityFields } from "./probability-fields.js";

/** Result of {@link reliabilityCurve}: one entry a bin that holds something; `counts` are weights. */
export interface ReliabilityCurve {
  readonly observed: Tensor<Unlabeled, "float64">;
  readonly predicted: Tensor<Unlabeled, "float64">;
  readonly counts: Tensor<Unlabeled, "float64">;
  /** With `of: "classes"`: the class of each bin; curves follow each other. */
  readonly [name: string]: Tensor<Unlabeled, "float64">;
}

/**
 * What happened against what was predicted, bin by bin: where `observed` lies below `predicted` the model promises too
 * much. Bins are `(lo, hi]`, 0 in the first; empty ones are left out.
 *
 * scikit-learn `calibration_curve`.
 */
export const reliabilityCurve = /*#__PURE__*/ defineMetric<ProbabilityFields, BinOptions, BinState, ReliabilityCurve>({
  name: "reliabilityCurve",
  documentation: {
    summary: "What happened against what was predicted, bin by bin.",
    formula: "observed_b = Σ w y / Σ w, predicted_b = Σ w p / Σ w over the samples of bin b",
    source: "scikit-learn calibration_curve",
  },
  options: binOptions,
  fields: (_, given) => probabilityFields(given),
  forms: () => [["probabilities", "labels"]],
  ignored: "labels",
  state: binState,
  open: (fields, state, options) => openBins(fields, state, options, "upper"),
  compute: (state, options) => {
    const classes = readBins(state, options);
    const bins = classes.flat();
    const list = (numbers: readonly number[]) =>
      view(Float64Array.from(numbers), [numbers.length], "unlabeled", "float64");
    return {
      observed: list(bins.map(({ observed }) => observed)),
      predicted: list(bins.map(({ predicted }) => predicted)),
      counts: list(bins.map(({ weight }) => weight)),
      ...(classes.length > 1 && { classes: list(classes.flatMap((own, k) => own.map(() => k))) }),
    };
  },
});
