import { LosswrightError } from "../../errors/index.js";
import { formatShape } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import { embeddingsField, type SelfSearchBatch, searchAmongThemselves, temperatureOption } from "./self-search.js";

/** Options of {@link ntXent}. */
export interface NtXentOptions {
  /** τ > 0: cosines are divided by it. Default 0.5. */
  readonly temperature: number;
}

/**
 * NT-Xent of SimCLR: two views of each of B examples, rows i and i + B, look for each other among all 2B rows.
 *   s_ij     = cos(x_i, x_j) / τ,   the row itself left out
 *   loss_i   = −log (exp s_iv / Σ_{j≠i} exp s_ij),   v the other view of i
 *   d/ds_ij  = p_ij − 1[j = v];   both rows of every pair get its gradient, through the norm: (g − x̂ (x̂·g)) / ‖x‖
 * The unit is a row, so there are 2B of them. A masked row is no unit, but stays a negative of the others and the
 * positive of its other view. B = 1 has no negatives and the loss 0. A row of norm below 1e-12 is divided by 1e-12.
 * NaN in a row makes every row NaN, with a note.
 * Chen et al. 2020, eq. 1; pytorch-metric-learning `NTXentLoss`.
 */
export const ntXent = /*#__PURE__*/ defineLoss<NtXentOptions, SelfSearchBatch, "embeddings">({
  name: "ntXent",
  family: "contrastive",
  unit: "row",
  unitShape: ["N"],
  couples: true,
  documentation: {
    summary: "Cross entropy over which row of the batch is the other view of a row.",
    formula: "−log (exp s_iv / Σ_{j≠i} exp s_ij),  s_ij = cos(x_i, x_j)/τ,  v = i ± B the other view",
    gradient: "d/ds_ij = p_ij − 1[j = v]; through cosines to both rows of each pair",
    likelihood: { target: "other view of the same example", distribution: "categorical over the other rows" },
    pitfalls: [
      "Views lie as all first ones, then all second ones: row i belongs to row i + B, not to row i + 1.",
      "The mean is over 2B rows, both directions; infoNce with symmetric: true has only the other side as negatives.",
      "Few negatives make it easy: give the embeddings of all micro-batches to accumulation(objective).gathered.",
    ],
    metric: "accuracy of a linear probe, recallAtK",
    source: "Chen et al. 2020, eq. 1; pytorch-metric-learning NTXentLoss",
  },
  options: { temperature: temperatureOption(0.5) },
  fields: { embeddings: { ...embeddingsField, views: 2 } },
  describe: ({ temperature }) =>
    `NT-Xent of each row against every other row of its batch, row i paired with row i + B, on cosines at temperature ${temperature}; masked rows stay negatives`,
  units(batch) {
    const [rows, width] = [batch.unitShape[0]!, batch.sizes.D!];
    if (rows % 2 === 0) return {};
    throw new LosswrightError({
      code: "shape",
      where: batch.where,
      field: "embeddings",
      found: formatShape([rows, width]),
      expected: "an even number of rows: two views of each example",
      fix: "stack the second views under the first: rows i and i + B belong together.",
    });
  },
  open(batch, work) {
    const rows = batch.sizes.N!;
    const half = rows / 2;
    const has = (row: number, key: number) => key === (row + half) % rows;
    return searchAmongThemselves(batch, work, { count: () => 1, has });
  },
});
