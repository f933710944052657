import { numberOption } from "../../contract/index.js";
import { defineLoss } from "../define-loss.js";
import { Distance } from "./distance.js";
import { type PairBatch, pairFields } from "./pairs.js";

/** Options of {@link pairContrastive}. */
export interface PairContrastiveOptions {
  /** m ≥ 0: pairs that differ are pushed apart until their distance is m. Default 1. */
  readonly margin: number;
}

/**
 * Contrastive loss of a pair at the Euclidean distance d = ‖l − r‖, with y = 1 where they are the same.
 *   loss  = ½ (y d² + (1 − y) max(0, m − d)²)
 *   d/dl  = y (l − r) − (1 − y) max(0, m − d) (l − r)/d,   d/dr its negative
 * y between 0 and 1 weighs both terms. Pairs that differ and lie beyond m pull no more. At d = 0 the push has no
 * direction and its gradient is 0: two embeddings that coincide never part. The loss at d = m is smooth.
 * An infinite coordinate gives +∞ for the same and 0 for others; NaN gives NaN.
 * Hadsell, Chopra and LeCun 2006, eq. 4, whose Y is 1 − y.
 */
export const pairContrastive = /*#__PURE__*/ defineLoss<PairContrastiveOptions, PairBatch, "left" | "right">({
  name: "pairContrastive",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  documentation: {
    summary:
      "Squared distance of pairs that are the same, squared hinge on the distance of pairs that are not, halved.",
    formula: "½(y·d² + (1 − y)·max(0, m − d)²),  d = ‖l − r‖",
    gradient: "d/dl = y(l − r) − (1 − y)·max(0, m − d)·(l − r)/d, 0 in the push at d = 0; d/dr its negative",
    likelihood: { target: "pair that is the same or not", distribution: "none: a margin on a distance" },
    pitfalls: [
      "y is 1 for the same: the paper's Y is the other way round.",
      "Same pairs are pulled to distance 0, however near they are already, and collapse where there are too few others.",
      "The margin is in the unit of the distance: without normalized rows the scale of the embeddings decides it.",
      "Most random pairs that differ lie beyond the margin: mine hard ones (hardNegatives).",
    ],
    metric: "averagePrecision over pairs, recallAtK",
    source: "Hadsell et al. 2006, eq. 4",
  },
  options: { margin: numberOption("the distance to which pairs that differ are pushed apart", 1, { atLeast: 0 }) },
  fields: pairFields("1 where the two are the same, 0 where they are not", "unitInterval"),
  describe: ({ margin }) =>
    `contrastive loss of each pair, half the squared distance where the target is 1 and half of max(0, ${margin} − distance)² where it is 0`,
  open(batch, { rows, own }) {
    const { margin } = batch.options;
    const distance = new Distance(batch.sizes.D!, 2, 0);
    const [left, right, targets] = [rows.left!, rows.right!, rows.targets!];
    return {
      loss() {
        const d = distance.between(left, right);
        const gap = Math.max(0, margin - d);
        const y = targets[0]!;
        // A term of weight 0 is silent, also where the distance is infinite.
        return (y === 0 ? 0 : (y * d * d) / 2) + (y === 1 ? 0 : ((1 - y) * gap * gap) / 2);
      },
      gradient() {
        const y = targets[0]!;
        const gap = Math.max(0, margin - distance.value);
        distance.updateSlopes();
        for (let k = 0; k < left.length; k++) {
          const pull = y === 0 ? 0 : y * (left[k]! - right[k]!);
          const push = y === 1 || gap === 0 ? 0 : (1 - y) * gap * distance.slopes[k]!;
          own.left![k] = pull - push;
          own.right![k] = push - pull;
        }
      },
    };
  },
});
