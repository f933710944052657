import { numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { FieldSpec, UnitFields } from "../definition.js";

/** Options of {@link marginRanking}. */
export interface MarginRankingOptions {
  /** By how much the right side must win before the loss is 0, in the unit of the scores. Default 0. */
  readonly margin: number;
}

/** What {@link marginRanking} reads, pair by pair, all of one shape. */
export interface MarginRankingBatch extends UnitFields {
  readonly left: Tensor<"scores" | "logits" | "predictions" | Unlabeled>;
  readonly right: Tensor<"scores" | "logits" | "predictions" | Unlabeled>;
  /** 1 where left ranks higher, −1 where right does; of a floating dtype. */
  readonly targets: Tensor<"targets" | Unlabeled>;
}

const side = {
  holds: "reals",
  roles: ["scores", "logits", "predictions"],
  shape: ["..."],
  read: "label",
  gradient: "row",
} as const satisfies Omit<FieldSpec, "meaning">;

/**
 * Margin ranking loss of two scores and a target y of 1 (left ranks higher) or −1 (right does).
 *   h        = m − y (left − right)
 *   loss     = max(0, h)
 *   d/dleft  = −y where h ≥ 0, 0 beyond;   d/dright = −d/dleft
 * At the corner h = 0 the gradient is that of the line, as in torch: with m = 0 equal scores are pushed apart.
 * Infinite scores give 0 or +∞ by their order; two of one sign and NaN give NaN. torch `margin_ranking_loss`.
 */
export const marginRanking = /*#__PURE__*/ defineLoss<MarginRankingOptions, MarginRankingBatch, "left" | "right">({
  name: "marginRanking",
  family: "preference",
  unit: "pair",
  unitShape: ["..."],
  documentation: {
    summary: "A hinge on the difference of two scores: 0 once the right one wins by the margin.",
    formula: "max(0, m − y·(left − right))",
    gradient: "d/dleft = −y where m − y·(left − right) ≥ 0, else 0;  d/dright = −d/dleft",
    likelihood: { target: "pair preference", distribution: "none: a hinge bounds the number of misordered pairs" },
    pitfalls: [
      "With margin 0, scores that are all equal have loss 0: nothing shows that nothing was learned.",
      "The margin has the unit of the scores: scores that may grow freely outgrow it.",
      "Targets are 1 and −1; 0 and 1 are refused, since a 0 would make the pair a constant.",
    ],
    metric: "pairAccuracy",
    source: "torch margin_ranking_loss",
  },
  options: { margin: numberOption("by how much the right side must win before the loss is 0", 0) },
  fields: {
    left: { ...side, meaning: "one score a pair" },
    right: { ...side, meaning: "the other score of the pair" },
    targets: {
      meaning: "1 where left ranks higher, -1 where right does",
      holds: "reals",
      roles: ["targets"],
      shape: ["..."],
      read: "label",
      gradient: "none",
      domain: "sign",
    },
  },
  describe: ({ margin }) => `margin ranking loss of each pair with margin ${margin}`,
  open({ options }, { rows, own }) {
    const [left, right, targets] = [rows.left!, rows.right!, rows.targets!];
    const hinge = () => options.margin - targets[0]! * (left[0]! - right[0]!);
    return {
      loss: () => Math.max(0, hinge()),
      gradient() {
        const height = hinge();
        const slope = height >= 0 ? -targets[0]! : height < 0 ? 0 : Number.NaN;
        own.left![0] = slope;
        own.right![0] = 0 - slope;
      },
    };
  },
});
