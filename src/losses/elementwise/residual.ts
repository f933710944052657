import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { FieldSpec, LossDefinition } from "../definition.js";

/** What a loss of the residual r = target − prediction reads, element by element, all of the shape `[...]`. */
export interface ResidualBatch {
  readonly predictions: Tensor<"predictions" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
  /** Constants: no gradient flows into them. */
  readonly targets: Tensor<"targets" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
  readonly weights?: Tensor<"weights" | Unlabeled>;
  readonly mask?: Tensor<"mask" | Unlabeled>;
  readonly segmentIds?: Tensor;
  readonly groupKeys?: Tensor;
}

export const residualFields = {
  predictions: {
    meaning: "what the model says, one number an element",
    holds: "reals",
    roles: ["predictions", "probabilities", "scores", "embeddings"],
    shape: ["..."],
    read: "label",
    gradient: "row",
  },
  targets: {
    meaning: "what was observed; of the same shape, nothing is broadcast",
    holds: "reals",
    roles: ["targets", "probabilities", "scores", "embeddings"],
    shape: ["..."],
    read: "label",
    gradient: "none",
  },
} as const satisfies Record<string, FieldSpec>;

/** What a loss of the residual says of itself: everything but fields, units and rows. */
export interface ResidualDefinition<Options extends object>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe" | "settle"> {
  /** The loss of a residual and, below, its derivative by the residual. */
  loss(residual: number, options: Options): number;
  slope(residual: number, options: Options): number;
}

/** A loss that sees prediction and target only through r = target − prediction; d/dprediction = −d/dr. */
export function defineResidualLoss<Options extends object>(
  definition: ResidualDefinition<Options>,
): ObjectiveFactory<Options, ResidualBatch, "predictions"> {
  const { loss, slope, ...described } = definition;
  return defineLoss<Options, ResidualBatch, "predictions">({
    ...described,
    family: "elementwise",
    unit: "element",
    unitShape: ["..."],
    fields: residualFields,
    open({ options }, { rows, own }) {
      const [predictions, targets] = [rows.predictions!, rows.targets!];
      const gradient = own.predictions;
      return {
        loss: () => loss(targets[0]! - predictions[0]!, options),
        gradient: () => {
          gradient![0] = -slope(targets[0]! - predictions[0]!, options);
        },
      };
    },
  });
}
