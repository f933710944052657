import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { BatchView, FieldSpec, LossDefinition, UnitFields } from "../definition.js";

/** What a loss of one prediction and one target reads, element by element, all of the shape `[...]`. */
export interface ElementBatch extends UnitFields {
  readonly predictions: Tensor<"predictions" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
  /** Constants: no gradient flows into them. */
  readonly targets: Tensor<"targets" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
}

export const elementFields = {
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

/** The loss of an element and its derivative by the prediction. */
export interface ElementMath {
  loss(prediction: number, target: number, unit: number): number;
  slope(prediction: number, target: number, unit: number): number;
}

/** What an element-wise loss says of itself: everything but units and rows. */
export interface ElementDefinition<Options extends object>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe" | "settle" | "kernel"> {
  /** What predictions and targets mean and where they lie, for a loss that narrows them. */
  readonly narrows?: Readonly<Record<"predictions" | "targets", Pick<FieldSpec, "meaning" | "domain">>>;
  /** Made once a call, so that what follows from the options alone is computed once. */
  math(batch: BatchView<Options>): ElementMath;
}

/** A loss of one prediction and one target. */
export function defineElementLoss<Options extends object>(
  definition: ElementDefinition<Options>,
): ObjectiveFactory<Options, ElementBatch, "predictions"> {
  const { narrows, math, ...described } = definition;
  return defineLoss<Options, ElementBatch, "predictions">({
    ...described,
    family: "elementwise",
    unit: "element",
    unitShape: ["..."],
    fields: {
      predictions: { ...elementFields.predictions, ...narrows?.predictions },
      targets: { ...elementFields.targets, ...narrows?.targets },
    },
    open(batch, { rows, own }) {
      const [predictions, targets] = [rows.predictions!, rows.targets!];
      const gradient = own.predictions;
      const { loss, slope } = math(batch);
      return {
        loss: (unit) => loss(predictions[0]!, targets[0]!, unit),
        gradient: (unit) => {
          gradient![0] = slope(predictions[0]!, targets[0]!, unit);
        },
      };
    },
  });
}
