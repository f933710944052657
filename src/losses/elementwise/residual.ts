import type { ObjectiveFactory } from "../define-loss.js";
import { defineElementLoss, type ElementBatch, type ElementDefinition } from "./element.js";

/** What a loss of the residual r = target − prediction says of itself: everything but fields, units and rows. */
export interface ResidualDefinition<Options extends object>
  extends Omit<ElementDefinition<Options>, "narrows" | "math"> {
  /** The loss of a residual and, below, its derivative by the residual. */
  loss(residual: number, options: Options): number;
  slope(residual: number, options: Options): number;
}

/** A loss that sees prediction and target only through r = target − prediction; d/dprediction = −d/dr. */
export function defineResidualLoss<Options extends object>(
  definition: ResidualDefinition<Options>,
): ObjectiveFactory<Options, ElementBatch, "predictions"> {
  const { loss, slope, ...described } = definition;
  return defineElementLoss<Options>({
    ...described,
    math: ({ options }) => ({
      loss: (prediction, target) => loss(target - prediction, options),
      slope: (prediction, target) => -slope(target - prediction, options),
    }),
  });
}
