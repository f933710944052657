import { numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { cos, sin } from "../../numerics/index.js";
import { formatShape, type Tensor, type Unlabeled } from "../../tensor/index.js";
import { type LabelOptions, labelOptions } from "../categorical/labels.js";
import { defineLoss } from "../define-loss.js";
import type { UnitFields } from "../definition.js";
import { SoftmaxRow } from "../softmax-row.js";

/** Options of {@link angularMargin}. */
export interface AngularMarginOptions extends Pick<LabelOptions, "ignoreIndex"> {
  /** m in radians, in [0, π): added to the angle between a row and its class. Default 0.5. */
  readonly margin: number;
  /** s > 0: cosines are multiplied by it before the softmax. Default 64. */
  readonly scale: number;
}

/** What {@link angularMargin} reads. */
export interface AngularMarginBatch extends UnitFields {
  /** `[B, K]`: cosines between rows and class centers, both divided by their norm before. */
  readonly logits: Tensor<"logits" | "scores" | Unlabeled>;
  /** `[B]`. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

/** How far beyond ±1 a cosine may lie by rounding: the last bit of bfloat16 at 1. */
const slack = 1 / 128;

/**
 * ArcFace: cross entropy of scaled cosines, with a margin m added to the angle θ of the label.
 *   z_k    = s cos θ_k,   z_y = s φ(cos θ_y)
 *   φ(c)   = cos(θ + m) = c cos m − √(1 − c²) sin m   where c > cos(π − m),   c − m sin m   beyond (angle past π − m)
 *   loss   = −log softmax(z)_y
 *   d/dc_k = s p_k,   d/dc_y = −s (1 − p_y) φ'(c_y),   φ' = cos m + c sin m / √(1 − c²), 1 beyond
 * φ falls by cos m + m sin m − 1 where the angle passes π − m, as in the references. Its slope grows without bound towards c = 1: at
 * c = ±1 it is infinite, and the gradient with it, with a note. Rounding may leave a cosine a little (2^−7) beyond ±1:
 * √(1 − c²) is 0 there; farther out is an error. −∞ forbids its class, as in `crossEntropy`; +∞ and NaN give NaN.
 * Deng et al. 2019, eq. 3; insightface (`easy_margin` false); pytorch-metric-learning `ArcFaceLoss`.
 */
export const angularMargin = /*#__PURE__*/ defineLoss<AngularMarginOptions, AngularMarginBatch, "logits">({
  name: "angularMargin",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  documentation: {
    summary: "Cross entropy of scaled cosines after the label's angle is made larger by a margin.",
    formula: "−log softmax(z)_y,  z_k = s·cos θ_k,  z_y = s·cos(θ_y + m), s·(cos θ_y − m sin m) where θ_y > π − m",
    gradient:
      "d/dcos θ_k = s·p_k;  d/dcos θ_y = −s·(1 − p_y)·(cos m + cos θ_y·sin m / sin θ_y), s·(p_y − 1) past π − m",
    likelihood: {
      target: "single class",
      distribution: "none: the margin makes the label harder than it is; categorical for margin 0",
    },
    pitfalls: [
      "Takes cosines: divide rows and class centers by their norms first, and multiply by no scale.",
      "The margin is in radians: 0.5 is 28.6 degrees.",
      "softmax of what it sees is no probability of the label; classify without the margin.",
      "Where a row lies on its class center the slope is infinite: keep such rows away from exactly 1.",
      "A large scale with a margin from the first step may not start to learn: warm the margin up.",
    ],
    metric: "accuracy, recallAtK, verification at a fixed false acceptance",
    source: "Deng et al. 2019, eq. 3; insightface; pytorch-metric-learning ArcFaceLoss",
  },
  options: {
    ignoreIndex: labelOptions.ignoreIndex,
    margin: numberOption("radians added to the angle of the label", 0.5, { atLeast: 0, below: Math.PI }),
    scale: numberOption("multiplies the cosines before the softmax", 64, { above: 0 }),
  },
  fields: {
    logits: {
      meaning: "cosines between rows and class centers, in [−1, 1]",
      holds: "reals",
      roles: ["logits", "scores"],
      shape: ["B", "K"],
      read: "label",
      gradient: "row",
    },
    labels: {
      meaning: "the class of each row, 0..K−1",
      holds: "indices",
      indexes: "K",
      roles: ["classIndices"],
      shape: ["B"],
      read: "label",
      gradient: "none",
    },
  },
  describe: ({ margin, scale, ignoreIndex }) =>
    `cross entropy of each row's cosines times ${scale}, ${margin} radians added to the angle of the label (past π − ${margin} its cosine less ${margin}·sin ${margin}), labels ${ignoreIndex} left out`,
  units(batch) {
    const label = batch.integer("labels");
    const { ignoreIndex } = batch.options;
    return { present: (unit) => label(unit) !== ignoreIndex };
  },
  open(batch, { rows, own, note }) {
    const { margin, scale } = batch.options;
    const classes = batch.sizes.K!;
    const cosines = rows.logits!;
    const scores = new Float64Array(classes);
    const softmax = new SoftmaxRow(classes);
    const label = batch.index("labels");
    const [cosOfMargin, sinOfMargin] = [cos(margin), sin(margin)];
    let slope = 0;
    return {
      loss(unit) {
        const y = label(unit);
        for (let k = 0; k < classes; k++) {
          const cosine = cosines[k]!;
          if (Math.abs(cosine) > 1 + slack && Number.isFinite(cosine)) throw noCosine(batch.where, unit, k, cosine);
          scores[k] = scale * cosine;
        }
        const cosine = cosines[y]!;
        if (!(cosine < Number.POSITIVE_INFINITY)) {
          scores[y] = Number.NaN;
        } else if (cosine <= -cosOfMargin) {
          scores[y] = scale * (cosine - margin * sinOfMargin);
          slope = 1;
        } else {
          const sine = Math.sqrt(Math.abs(cosine) >= 1 ? 0 : (1 - cosine) * (1 + cosine));
          scores[y] = scale * (cosine * cosOfMargin - sine * sinOfMargin);
          slope = margin === 0 ? 1 : cosOfMargin + (cosine / sine) * sinOfMargin;
          if (sine === 0 && margin !== 0) {
            note(
              "infinite-slope",
              unit,
              `a cosine of ${cosine} at the label, where the slope of the angle is infinite`,
            );
          }
        }
        softmax.update(scores);
        return softmax.broken ? Number.NaN : softmax.negativeLog(y);
      },
      gradient(unit) {
        const [y, slopes] = [label(unit), own.logits!];
        if (softmax.broken) {
          slopes.fill(Number.NaN);
          return;
        }
        for (let k = 0; k < classes; k++) slopes[k] = scale * softmax.probability(k);
        // A certain row stays put, also where the slope of the angle is infinite.
        const complement = softmax.complement(y);
        slopes[y] = complement === 0 ? 0 : -scale * complement * slope;
      },
    };
  },
});

function noCosine(where: string, unit: number, entry: number, found: number): LosswrightError {
  return new LosswrightError({
    code: "value",
    where,
    field: "logits",
    found: `${found} at ${formatShape([unit, entry])}`,
    expected: "a cosine, in [-1, 1]",
    fix: "divide rows and class centers by their norms before their dot product; the loss multiplies by its scale itself.",
    index: [unit, entry],
  });
}
