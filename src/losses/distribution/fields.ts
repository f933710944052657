import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { categoricalFields } from "../categorical/labels.js";
import type { FieldSpec, UnitFields } from "../definition.js";

/** The model's logits, `[..., K]`. */
export interface ModelLogits extends UnitFields {
  /** `[..., K]`, or with the classes on `classAxis`. */
  readonly logits: Tensor<"logits" | Unlabeled>;
}

export const modelLogits = categoricalFields.logits;

/** Logits of another model at the same place as the model's, also under a shift: a constant. */
export const constantLogits = (meaning: string) =>
  ({
    meaning,
    holds: "reals",
    roles: ["logits"],
    shape: ["...", "K"],
    read: "source",
    gradient: "none",
    followsClassAxis: true,
  }) as const satisfies FieldSpec;
