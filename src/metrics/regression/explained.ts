import { choiceOption, nullableOption } from "../../contract/index.js";
import { addProduct, addWeightedProduct, alignedIntegers, roundedRatio } from "../../tally/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineMetric, onlySums } from "../metric.js";
import {
  averageOutputs,
  checkOutputs,
  type OutputsFactory,
  type RegressionFields,
  regressionFields,
  regressionForms,
} from "./regression-fields.js";

/** Options of {@link r2} and {@link explainedVariance}. */
export interface ExplainedOptions {
  /**
   * Null (default): every element is a sample. Else the last axis holds outputs, each scored on its own: `"mean"` of
   * their values, `"variance"` for the mean by the variance of their targets, `"raw"` for one an output.
   */
  readonly outputs: "mean" | "raw" | "variance" | null;
}

/** What is summed of an output: w, w·t, w·t², w·p, w·p², w·t·p, and how many samples there are. */
const moments = ["weight", "target", "targetSquared", "prediction", "predictionSquared", "product", "count"] as const;

/** What follows of them, as integers of one unit; e = t − p is the error. */
export interface Moments {
  readonly weight: bigint;
  /** Σwe and Σwe². */
  readonly error: bigint;
  readonly errorSquared: bigint;
  /** Σw Σwt² − (Σwt)²: the variance of the targets times (Σw)². */
  readonly spread: bigint;
}

/**
 * A metric 1 − unexplained / spread of exact moments, rounded once: data of a large mean keeps all its digits. Where the
 * targets do not vary it is 1 for no error and 0 for any (scikit-learn's `force_finite`).
 */
export function defineExplained(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  /** Samples below which there is no value. */
  readonly least: number;
  /** What is left unexplained, in the unit of the spread. */
  unexplained(moments: Moments): bigint;
}): OutputsFactory<ExplainedOptions> {
  const { name, summary, formula, source, least, unexplained } = given;
  const made = defineMetric<
    RegressionFields,
    ExplainedOptions,
    ReturnType<typeof onlySums>,
    number | Tensor<Unlabeled, "float64">
  >({
    name,
    documentation: { summary, formula, source, goal: "maximize" },
    options: {
      outputs: nullableOption(
        choiceOption(
          "the last axis holds outputs: the mean of their values, by variance, or each; null takes every element as a sample",
          "mean",
          ["mean", "raw", "variance"],
        ),
      ),
    },
    fields: ({ outputs }) => regressionFields(outputs !== null),
    forms: regressionForms,
    state: onlySums,
    open: (fields, { sums }, { outputs }) => {
      const count = outputs === null ? 1 : fields.size("K");
      const [prediction, target] = [fields.reals("predictions"), fields.reals("targets")];
      const held = Array.from({ length: count }, (_, k) => moments.map((__, m) => sums.of(k * moments.length + m)));
      return (sample, weight) => {
        for (let k = 0; k < count; k++) {
          const at = sample * count + k;
          const [w, t, tt, p, pp, tp, n] = held[k]!;
          const [wanted, said] = [target(at), prediction(at)];
          w!.add(weight);
          addProduct(t!, weight, wanted);
          addWeightedProduct(tt!, weight, wanted, wanted);
          addProduct(p!, weight, said);
          addWeightedProduct(pp!, weight, said, said);
          addWeightedProduct(tp!, weight, wanted, said);
          n!.add(1);
        }
      };
    },
    compute: ({ sums }, { outputs }) => {
      const count = Math.ceil(sums.keys().length / moments.length);
      const own = (k: number) => moments.map((_, m) => sums.of(k * moments.length + m));
      checkOutputs(
        name,
        Array.from({ length: count }, (_, k) => own(k).at(-1)!.value),
      );
      // One unit for all outputs: their spreads are compared below.
      const aligned = alignedIntegers(Array.from({ length: count }, (_, k) => own(k).slice(0, -1)).flat());
      const found = Array.from({ length: count }, (_, k) => {
        const samples = own(k).at(-1)!.value;
        // Squares beyond float64 leave nothing to say.
        if (!aligned || samples < least) return { value: Number.NaN, spread: 0n };
        const at = k * (moments.length - 1);
        const [weight, t, tt, p, pp, tp] = aligned.integers.slice(at, at + 6) as [bigint, ...bigint[]];
        const [error, errorSquared] = [t! - p!, tt! - 2n * tp! + pp!];
        const spread = weight * tt! - t! * t!;
        const left = unexplained({ weight, error, errorSquared, spread });
        const value = spread === 0n ? (left === 0n ? 1 : 0) : roundedRatio(spread - left, spread);
        return { value, spread };
      });
      const values = found.map(({ value }) => value);
      if (outputs !== "variance") return averageOutputs(values, outputs);
      const total = found.reduce((sum, { spread }) => sum + spread, 0n);
      if (total === 0n) return averageOutputs(values, "mean");
      return found.reduce((sum, { value, spread }) => sum + value * roundedRatio(spread, total), 0);
    },
  });
  return made as OutputsFactory<ExplainedOptions>;
}
