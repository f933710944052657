import { flagOption, numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { UnitFields } from "../definition.js";
import { Distance } from "./distance.js";
import { rowField } from "./pairs.js";

/** Options of {@link triplet}. */
export interface TripletOptions {
  /** m ≥ 0: how much farther the negative must be, in the unit of the distance. Default 1. */
  readonly margin: number;
  /** The order of the norm, at least 1; ∞ is the largest coordinate. Default 2. */
  readonly p: number;
  /** Whether the negative's distance is the lesser of those to anchor and positive. Default false. */
  readonly swap: boolean;
}

/** What {@link triplet} reads. */
export interface TripletBatch extends UnitFields {
  /** `[B, D]`. */
  readonly anchors: Tensor<"embeddings" | Unlabeled>;
  /** `[B, D]`: what must be near. */
  readonly positives: Tensor<"embeddings" | Unlabeled>;
  /** `[B, D]`: what must be farther. */
  readonly negatives: Tensor<"embeddings" | Unlabeled>;
}

/** Torch adds it to each coordinate of a difference; it keeps the slope of the root finite where rows are the same. */
const nudge = 1e-6;

/**
 * Triplet margin loss of an anchor a, a positive b and a negative c.
 *   d(x, y)  = ‖x − y + 1e-6‖_p,   loss = max(0, m + d(a, b) − d(a, c))
 *   swap: d(a, c) is replaced by min(d(a, c), d(b, c))
 *   where the loss counts, with u(x, y) = d d(x, y)/dx = sign(δ)(|δ|/d)^(p−1), δ = x − y + 1e-6:
 *   d/da = u(a, b) − u(a, c),   d/db = −u(a, b),   d/dc = u(a, c);   under swap u(b, c) pulls at b and c instead
 * Kinks as in torch: exactly at the margin (m + d(a, b) = d(a, c)) the slope is that of the active side; where both
 * distances of swap are the same each counts half. Same rows a = b are 1e-6 √D apart and still pull.
 * NaN gives NaN; a negative infinitely far gives 0; a positive infinitely far gives +∞ and a NaN slope there.
 * Schroff et al. 2015; swap: Balntas et al. 2016; torch `triplet_margin_loss`.
 */
export const triplet = /*#__PURE__*/ defineLoss<TripletOptions, TripletBatch, "anchors" | "positives" | "negatives">({
  name: "triplet",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  documentation: {
    summary: "Hinge on how much farther a negative is from its anchor than a positive.",
    formula: "max(0, m + d(a, b) − d(a, c)),  d(x, y) = ‖x − y + 1e-6‖_p",
    gradient: "where it counts: d/da = u(a, b) − u(a, c), d/db = −u(a, b), d/dc = u(a, c), u(x, y) = d d(x, y)/dx",
    likelihood: {
      target: "triple of anchor, match and mismatch",
      distribution: "none: a margin between two distances",
    },
    pitfalls: [
      "Most random triplets cost nothing after a short while: mine hard ones (hardNegatives), and watch the share above 0.",
      "The mean is over all rows, also those at 0: the pull shrinks as triplets are solved.",
      "Without normalized rows the margin is met by scaling all embeddings up.",
      "The hardest negatives of a noisy set are mostly false ones, and all embeddings may fall onto one point.",
    ],
    metric: "recallAtK",
    source: "Schroff et al. 2015; torch triplet_margin_loss",
  },
  options: {
    margin: numberOption("how much farther the negative must be than the positive", 1, { atLeast: 0 }),
    p: numberOption("the order of the norm; inf is the largest coordinate", 2, { atLeast: 1, infinite: true }),
    swap: flagOption("takes the lesser of the negative's distances to anchor and positive", false),
  },
  fields: {
    anchors: rowField("one embedding a row, from which is measured"),
    positives: rowField("what must be near the anchor"),
    negatives: rowField("what must be farther from the anchor"),
  },
  describe: ({ margin, p, swap }) =>
    [
      `triplet loss of each row with margin ${margin} on distances of order ${p}, 1e-6 added to each coordinate`,
      swap && "the negative measured from anchor or positive, whichever is nearer",
    ]
      .filter(Boolean)
      .join(", "),
  open(batch, { rows, own }) {
    const { margin, p, swap } = batch.options;
    const width = batch.sizes.D!;
    const near = new Distance(width, p, nudge);
    const far = new Distance(width, p, nudge);
    const swapped = new Distance(width, p, nudge);
    const [anchors, positives, negatives] = [rows.anchors!, rows.positives!, rows.negatives!];
    let hinge = 0;
    return {
      loss() {
        const toPositive = near.between(anchors, positives);
        const toAnchor = far.between(anchors, negatives);
        const toNegative = swap ? Math.min(toAnchor, swapped.between(positives, negatives)) : toAnchor;
        hinge = margin + toPositive - toNegative;
        return Math.max(0, hinge);
      },
      gradient() {
        const slopes = [own.anchors!, own.positives!, own.negatives!] as const;
        if (!(hinge >= 0)) {
          for (const slope of slopes) slope.fill(hinge < 0 ? 0 : Number.NaN);
          return;
        }
        near.updateSlopes();
        far.updateSlopes();
        if (swap) swapped.updateSlopes();
        // Which distance the minimum takes: the anchor's, the positive's, or half of each at a tie.
        const share = !swap || far.value < swapped.value ? 1 : far.value === swapped.value ? 0.5 : 0;
        for (let k = 0; k < width; k++) {
          const pull = near.slopes[k]!;
          const fromAnchor = share === 0 ? 0 : share * far.slopes[k]!;
          const fromPositive = share === 1 ? 0 : (1 - share) * swapped.slopes[k]!;
          own.anchors![k] = pull - fromAnchor;
          own.positives![k] = -pull - fromPositive;
          own.negatives![k] = fromAnchor + fromPositive;
        }
      },
    };
  },
});
