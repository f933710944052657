import { numberOption, type OptionSpec } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BatchView, FieldSpec, RowMath, UnitFields, Workspace } from "../definition.js";
import { Embeddings } from "./embeddings.js";
import { KeySearch, type Positives } from "./key-search.js";

/** What losses read whose rows look for each other among themselves. */
export interface SelfSearchBatch extends UnitFields {
  /** `[N, D]`; rows are divided by their norm. */
  readonly embeddings: Tensor<"embeddings" | Unlabeled>;
}

/** τ of the cosines. */
export function temperatureOption(fallback: number): OptionSpec<number> {
  return numberOption("divides the cosines", fallback, { above: 0 });
}

export const embeddingsField = {
  meaning: "one embedding a row; each is divided by its norm",
  holds: "reals",
  roles: ["embeddings"],
  shape: ["N", "D"],
  read: "whole",
  gradient: "shared",
} as const satisfies FieldSpec;

/** Rows that look for their positives among all other rows, on cosines over τ. */
export function searchAmongThemselves(
  batch: BatchView<{ readonly temperature: number }>,
  { sums }: Workspace,
  positives: Positives,
): RowMath {
  const { N: rows, D: width } = batch.sizes as { N: number; D: number };
  const { temperature } = batch.options;
  const embeddings = new Embeddings(batch.reals("embeddings"), rows, width, true);
  const search = new KeySearch({
    queries: embeddings,
    keys: embeddings,
    positives,
    reads: (row, key) => row !== key,
    scale: (cosine) => cosine / temperature,
  });
  return {
    loss: (unit) => search.loss(unit),
    addShared(unit, factor) {
      search.addGradients(unit, factor);
    },
    finish: () => embeddings.writeGradient(sums.embeddings!),
  };
}
