import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { CommonFields } from "../fields.js";

/** Labels beside predicted classes, or beside the scores of all classes. */
export type ClassFields = CommonFields & {
  /** `[...]`. */
  readonly labels: Tensor<"classIndices" | "targets" | "mask" | Unlabeled>;
} & (
    | {
        /** `[...]`. */
        readonly predictions: Tensor<"classIndices" | "predictions" | "mask" | Unlabeled>;
      }
    | {
        /** `[..., K]`; only their order counts. */
        readonly scores: Tensor<"scores" | "logits" | "probabilities" | "logProbabilities" | Unlabeled>;
      }
  );
