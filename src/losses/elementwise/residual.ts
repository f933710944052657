import type { ObjectiveFactory } from "../define-loss.js";
import type { KernelPlan } from "../definition.js";
import { pointwiseKernel } from "../pointwise-kernel.js";
import { defineElementLoss, type ElementBatch, type ElementDefinition } from "./element.js";

/** What a loss of the residual r = target − prediction says of itself: everything but fields, units and rows. */
export interface ResidualDefinition<Options extends object>
  extends Omit<ElementDefinition<Options>, "narrows" | "math" | "kernel"> {
  /** The loss of a residual and, below, its derivative by the residual. */
  loss(residual: number, options: Options): number;
  slope(residual: number, options: Options): number;
  /** The parameters of the kernel that is called as the loss is, or why there is none under these options. */
  kernel?(options: Options): readonly number[] | string;
}

/** A loss that sees prediction and target only through r = target − prediction; d/dprediction = −d/dr. */
export function defineResidualLoss<Options extends object>(
  definition: ResidualDefinition<Options>,
): ObjectiveFactory<Options, ElementBatch, "predictions"> {
  const { loss, slope, kernel, ...described } = definition;
  return defineElementLoss<Options>({
    ...described,
    math: ({ options }) => ({
      loss: (prediction, target) => loss(target - prediction, options),
      slope: (prediction, target) => -slope(target - prediction, options),
    }),
    ...(kernel && { kernel: ({ options }) => elementKernel(definition.name, kernel(options)) }),
  });
}

/** The kernel of predictions and targets under a name, or why there is none. */
export function elementKernel(kernel: string, parameters: readonly number[] | string): KernelPlan | string {
  if (typeof parameters === "string") return parameters;
  return pointwiseKernel({
    kernel,
    inputs: ["predictions", "targets"],
    outputs: ["predictions"],
    parameters,
    nanoseconds: 1,
  });
}
