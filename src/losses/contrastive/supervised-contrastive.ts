import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { type LabelOptions, labelOptions } from "../categorical/labels.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView } from "../definition.js";
import type { Positives } from "./key-search.js";
import { embeddingsField, type SelfSearchBatch, searchAmongThemselves, temperatureOption } from "./self-search.js";

/** Options of {@link supervisedContrastive}. */
export interface SupervisedContrastiveOptions extends Pick<LabelOptions, "ignoreIndex"> {
  /** τ > 0: cosines are divided by it. Default 0.1. */
  readonly temperature: number;
}

/** What {@link supervisedContrastive} reads. */
export interface SupervisedContrastiveBatch extends SelfSearchBatch {
  /** `[N]`: any whole numbers; rows of one label are each other's positives. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

/**
 * Supervised contrastive loss: rows of one label look for each other among all rows.
 *   s_ij     = cos(x_i, x_j) / τ,   the row itself left out
 *   loss_i   = (1/|P|) Σ_{p∈P} −log (exp s_ip / Σ_{j≠i} exp s_ij),   P the other rows of i's label
 *   d/ds_ij  = p_ij − 1[j ∈ P]/|P|;   both rows of every pair get its gradient, through the norm
 * The mean over P stands outside the logarithm (the paper's L_out). A row alone with its label is no unit, and neither
 * is one labeled `ignoreIndex`: it is nobody's positive and stays everybody's negative. A masked row is no unit, but is
 * read by the others as what its label says. Its least value is log |P|, not 0. A row of norm below 1e-12 is divided by
 * 1e-12; NaN in a row makes every row NaN, with a note.
 * Khosla et al. 2020, eq. 2; pytorch-metric-learning `SupConLoss`.
 */
export const supervisedContrastive = /*#__PURE__*/ defineLoss<
  SupervisedContrastiveOptions,
  SupervisedContrastiveBatch,
  "embeddings"
>({
  name: "supervisedContrastive",
  family: "contrastive",
  unit: "row",
  unitShape: ["N"],
  couples: true,
  documentation: {
    summary: "Cross entropy over which rows of the batch share a row's label, the mean over them.",
    formula: "(1/|P|) Σ_{p∈P} −log (exp s_ip / Σ_{j≠i} exp s_ij),  s_ij = cos(x_i, x_j)/τ,  P the rows of i's label",
    gradient: "d/ds_ij = p_ij − 1[j ∈ P]/|P|; through cosines to both rows of each pair",
    likelihood: {
      target: "a row of the same label",
      distribution: "categorical over the other rows, the mean over several true ones",
    },
    pitfalls: [
      "It does not go to 0: with |P| positives the least value is log |P|, so values of batches with other label counts do not compare.",
      "A row alone with its label is no unit: batches drawn at random from many classes lose most of theirs.",
      "Other positives stand in the denominator of each: that is the paper's loss.",
      "Micro-batches have fewer positives and negatives: accumulation(objective).gathered takes the embeddings of all of them.",
    ],
    metric: "accuracy of a nearest-neighbor or linear probe",
    source: "Khosla et al. 2020, eq. 2; pytorch-metric-learning SupConLoss",
  },
  options: { ignoreIndex: labelOptions.ignoreIndex, temperature: temperatureOption(0.1) },
  fields: {
    embeddings: embeddingsField,
    labels: {
      meaning: "the class of each row, any whole number",
      holds: "indices",
      roles: ["classIndices"],
      shape: ["N"],
      read: "whole",
      gradient: "none",
    },
  },
  gathers: () => ["N"],
  describe: ({ temperature, ignoreIndex }) =>
    `supervised contrastive loss of each row against every other row of its batch, the mean of −log p over the rows of its label, on cosines at temperature ${temperature}; a row without another of its label or labeled ${ignoreIndex} is no unit; masked rows are still read by the others`,
  units(batch) {
    const positives = positivesOf(batch);
    return { present: (unit) => positives.count(unit) > 0 };
  },
  open: (batch, work) => searchAmongThemselves(batch, work, positivesOf(batch)),
});

/** Rows of the same label; labels become places in a list of them, so that 64-bit ids stay apart. */
function positivesOf(batch: BatchView<SupervisedContrastiveOptions>): Positives {
  const rows = batch.sizes.N!;
  const labels = batch.data("labels");
  const label = batch.integer("labels");
  const { ignoreIndex } = batch.options;
  const places = new Map<number | bigint, number>();
  const classOf = new Int32Array(rows).fill(-1);
  const sizes = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    if (label(row) === ignoreIndex) continue;
    const id = labels[row]!;
    const place = places.get(id) ?? places.size;
    places.set(id, place);
    classOf[row] = place;
    sizes[place]!++;
  }
  return {
    count: (row) => (classOf[row] === -1 ? 0 : sizes[classOf[row]!]! - 1),
    has: (row, key) => row !== key && classOf[row] !== -1 && classOf[row] === classOf[key],
  };
}
