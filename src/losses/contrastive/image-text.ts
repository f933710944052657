import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { FieldSpec, UnitFields } from "../definition.js";
import { excludeMaskField } from "./exclusion.js";
import { logScaleField } from "./log-scale.js";

/** What losses of image and text pairs read: row i of both sides belongs together. */
export interface ImageTextBatch extends UnitFields {
  /** `[B, D]`, unit rows as a rule: nothing is normalized. */
  readonly images: Tensor<"embeddings" | Unlabeled>;
  /** `[B, D]`. */
  readonly texts: Tensor<"embeddings" | Unlabeled>;
  /** `[B, B]`, images by texts: 1 where a text is no negative of an image (a caption that fits it too). */
  readonly excludeMask?: Tensor<"mask" | Unlabeled>;
}

export const imageTextFields = {
  images: {
    meaning: "one embedding of an image a row, divided by its norm as a rule",
    holds: "reals",
    roles: ["embeddings"],
    shape: ["B", "D"],
    read: "whole",
    gradient: "shared",
  },
  texts: {
    meaning: "the embedding of the text of each image",
    holds: "reals",
    roles: ["embeddings"],
    shape: ["B", "D"],
    read: "whole",
    gradient: "shared",
  },
  logScale: logScaleField,
  excludeMask: excludeMaskField("B", "B"),
} as const satisfies Record<string, FieldSpec>;
