import type { Role, Tensor, Unlabeled } from "../../tensor/index.js";
import type { Domain, FieldSpec, UnitFields } from "../definition.js";

/** One embedding a row that only its own unit reads. */
export function rowField(meaning: string): FieldSpec {
  return { meaning, holds: "reals", roles: ["embeddings"], shape: ["B", "D"], read: "label", gradient: "row" };
}

/** What losses of pairs read: row i of both sides, and whether they belong together. */
export interface PairBatch extends UnitFields {
  /** `[B, D]`. */
  readonly left: Tensor<"embeddings" | Unlabeled>;
  /** `[B, D]`. */
  readonly right: Tensor<"embeddings" | Unlabeled>;
  /** `[B]`, of a floating dtype; a constant. */
  readonly targets: Tensor<"targets" | Unlabeled>;
}

/** The fields of a {@link PairBatch}; losses differ in what their targets say. */
export function pairFields(meaning: string, domain: Domain): Readonly<Record<"left" | "right" | "targets", FieldSpec>> {
  const roles: readonly Role[] = ["targets"];
  const targets: FieldSpec = { meaning, holds: "reals", domain, roles, shape: ["B"], read: "label", gradient: "none" };
  return { left: rowField("one embedding a row"), right: rowField("what it is compared with"), targets };
}
