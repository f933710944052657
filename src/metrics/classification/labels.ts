import { numberOption } from "../../contract/index.js";
import type { MetricField } from "../fields.js";

/** A label that takes its sample out, as in the objectives. */
export const ignoreIndexOption = /*#__PURE__*/ numberOption("a label that takes its sample out", -100, {
  integer: true,
});

/** Hard classes: predictions and labels of the same shape. */
export const labelFields = {
  predictions: {
    meaning: "the predicted class of each sample, from 0",
    axes: ["..."],
    holds: "indices",
    roles: ["classIndices", "predictions", "mask"],
  },
  labels: {
    meaning: "the true class of each sample, from 0",
    axes: ["..."],
    holds: "indices",
    roles: ["classIndices", "targets", "mask"],
  },
} as const satisfies Record<string, MetricField>;

/** Scores of K classes, in any unit: only their order counts. */
export const scoreFields = {
  scores: {
    meaning: "a score of each class, the highest one predicted",
    axes: ["...", "K"],
    holds: "reals",
    infinite: true,
    roles: ["scores", "logits", "probabilities", "logProbabilities"],
  },
} as const satisfies Record<string, MetricField>;

/** Flags of K labels that are each there or not. */
export function labelFlagFields(axes: readonly string[]): Readonly<Record<"predictions" | "labels", MetricField>> {
  return {
    predictions: {
      meaning: "1 where a label is predicted",
      axes,
      holds: "flags",
      roles: ["classIndices", "predictions", "mask"],
    },
    labels: { meaning: "1 where a label is there", axes, holds: "flags", roles: ["classIndices", "targets", "mask"] },
  };
}
