import { choiceOption, nullableOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import type { CommonFields, MetricField } from "../fields.js";
import type { NarrowFactory } from "../metric.js";

/** Predictions beside targets of one shape. */
export interface RegressionFields extends CommonFields {
  readonly predictions: Tensor<"predictions" | "scores" | "logits" | "probabilities" | Unlabeled>;
  readonly targets: Tensor<"targets" | "scores" | "probabilities" | Unlabeled>;
}

/** How the last axis is read. */
export type Outputs = "mean" | "raw" | null;

/** Options of metrics that may tell outputs apart. */
export interface OutputsOption {
  /**
   * Null (default): every element is a sample. Else the last axis holds outputs, each scored on its own: `"mean"` of
   * their values, or `"raw"` for one an output; weights are then of the samples before that axis.
   */
  readonly outputs: Outputs;
}

export const outputsOption = {
  outputs: nullableOption(
    choiceOption(
      "the last axis holds outputs: the mean of their values, or each; null takes every element as a sample",
      "mean",
      ["mean", "raw"],
    ),
  ),
};

/** Makes metrics of one number, or of one an output where `outputs` is `"raw"`. */
export type OutputsFactory<Options extends { readonly outputs: string | null }> = NarrowFactory<
  RegressionFields,
  Options,
  number | Tensor<Unlabeled, "float64">,
  {
    readonly special: { readonly outputs: "raw" };
    readonly specially: Tensor<Unlabeled, "float64">;
    readonly usual: { readonly outputs?: Exclude<Options["outputs"], "raw"> };
    readonly usually: number;
  }
>;

/** The fields; the last axis is one of outputs where outputs are told apart. */
export function regressionFields(hasOutputs: boolean): Readonly<Record<"predictions" | "targets", MetricField>> {
  const axes = hasOutputs ? ["...", "K"] : ["..."];
  return {
    predictions: {
      meaning: "what the model says",
      axes,
      holds: "reals",
      roles: ["predictions", "scores", "logits", "probabilities"],
    },
    targets: { meaning: "what is true", axes, holds: "reals", roles: ["targets", "scores", "probabilities"] },
  };
}

export const regressionForms = (): readonly (readonly string[])[] => [["predictions", "targets"]];

/** Values of outputs as `outputs` says; NaN for none. */
export function averageOutputs(values: readonly number[], outputs: Outputs): number | Tensor<Unlabeled, "float64"> {
  if (outputs === "raw") return view(Float64Array.from(values), [values.length], "unlabeled", "float64");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Outputs are counted alike where every update had all of them.
 *
 * @throws `argument` where updates had different numbers of outputs
 */
export function checkOutputs(where: string, weights: readonly number[]): void {
  if (weights.every((weight) => weight === weights[0])) return;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "predictions",
    found: "updates of different numbers of outputs",
    expected: "one number of outputs along the last axis in all updates",
  });
}
