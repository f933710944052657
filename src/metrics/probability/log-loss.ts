import { flagOption } from "../../contract/index.js";
import { log, log1p, powerOfTwo } from "../../numerics/index.js";
import { ignoreIndexOption } from "../classification/labels.js";
import { defineMetric, onlySums } from "../metric.js";
import { type ProbabilityFields, probabilityFields, readProbabilities } from "./probability-fields.js";

/** Options of {@link logLoss}. */
export interface LogLossOptions {
  /** Whether the mean is wanted (default), or the sum. */
  readonly normalize: boolean;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

/** Probabilities are held between it and 1 minus it: float64's epsilon, as in scikit-learn. */
const least = /*#__PURE__*/ powerOfTwo(-52);

/**
 * The mean negative log probability of the labels, in nats: Σ w (−log p_y) / Σ w, with p clipped to [2⁻⁵², 1 − 2⁻⁵²].
 * Where the model has logits take `crossEntropy` or `perplexity`, which need no clipping. NaN for no sample.
 *
 * scikit-learn `log_loss`.
 */
export const logLoss = /*#__PURE__*/ defineMetric<
  ProbabilityFields,
  LogLossOptions,
  ReturnType<typeof onlySums>,
  number
>({
  name: "logLoss",
  documentation: {
    summary: "The mean negative log probability of the labels, in nats.",
    formula: "Σ w (−log p_y) / Σ w, p clipped to [2⁻⁵², 1 − 2⁻⁵²]",
    source: "scikit-learn log_loss",
    goal: "minimize",
  },
  options: { normalize: flagOption("whether the mean is wanted, not the sum", true), ignoreIndex: ignoreIndexOption },
  fields: (_, given) => probabilityFields(given),
  forms: () => [["probabilities", "labels"]],
  ignored: "labels",
  state: onlySums,
  open: (fields, { sums }) => {
    const { classes, label, probability } = readProbabilities(fields);
    const [losses, weights] = [sums.of("loss"), sums.of("weight")];
    const held = (p: number) => Math.min(Math.max(p, least), 1 - least);
    return (sample, weight) => {
      const actual = label(sample);
      const p = held(probability(sample, classes === 1 ? 0 : actual));
      losses.add(weight * -(classes === 1 && actual === 0 ? log1p(-p) : log(p)));
      weights.add(weight);
    };
  },
  compute: ({ sums }, { normalize }) => (normalize ? sums.value("loss") / sums.value("weight") : sums.value("loss")),
});
