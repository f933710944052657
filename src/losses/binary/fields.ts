import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { FieldSpec, UnitFields } from "../definition.js";

/** What binary and multi-label losses read, element by element, all of the shape `[...]`. */
export interface BinaryBatch extends UnitFields {
  readonly logits: Tensor<"logits" | Unlabeled>;
  /** In [0, 1], of a floating dtype; constants. */
  readonly targets: Tensor<"targets" | "probabilities" | Unlabeled>;
}

export const binaryFields = {
  logits: {
    meaning: "raw scores, before any sigmoid",
    holds: "reals",
    roles: ["logits"],
    shape: ["..."],
    read: "label",
    gradient: "row",
  },
  targets: {
    meaning: "the probability of 1, in [0, 1], of the shape of the logits",
    holds: "reals",
    domain: "unitInterval",
    roles: ["targets", "probabilities"],
    shape: ["..."],
    read: "label",
    gradient: "none",
  },
} as const satisfies Record<string, FieldSpec>;
