import { numberOption, numbersOption } from "../../contract/index.js";
import { defineLoss } from "../define-loss.js";
import {
  alignmentOf,
  categoricalFields,
  checkPerClass,
  describeLabels,
  ignoredLabels,
  type LabelBatch,
  type LabelOptions,
  labelOptions,
} from "./labels.js";

/** Options of {@link multiMargin}. */
export interface MultiMarginOptions extends LabelOptions {
  /** The power of each hinge, 1 or 2. Default 1. */
  readonly p: number;
  /** How far the label's score must lie above each other. Default 1. */
  readonly margin: number;
  /** w_k ≥ 0, one a class: scales the loss by the label's and never divides (torch). */
  readonly classWeights: readonly number[] | null;
}

/**
 * Multi-class margin loss: the label's score must lie above each other by a margin.
 *   loss     = (w_y / K) Σ_{k≠y} h_k^p,   h_k = max(0, margin − z_y + z_k),  p = 1 or 2
 *   d/dz_k   = (w_y / K) p h_k^(p−1) where h_k > 0, 0 at the kink;   d/dz_y = −Σ_{k≠y} d/dz_k
 * The division is by K, not by the K − 1 classes compared. A class whose logit is −∞ is never near: no loss, no gradient;
 * a label whose logit is −∞ gives +∞. NaN, +∞ or nothing but −∞ gives NaN, with a note.
 * Crammer and Singer 2001 sum over classes where they take the largest; torch `multi_margin_loss`.
 */
export const multiMargin = /*#__PURE__*/ defineLoss<MultiMarginOptions, LabelBatch, "logits">({
  name: "multiMargin",
  family: "categorical",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "Hinges that hold the label's score a margin above every other class's.",
    formula: "(w_y / K) Σ_{k≠y} max(0, margin − z_y + z_k)^p,  p = 1 or 2",
    gradient: "d/dz_k = (w_y / K) p h_k^(p−1) where h_k > 0, else 0;  d/dz_y = −Σ_{k≠y} d/dz_k",
    likelihood: { target: "single class", distribution: "none: scores, no probabilities" },
    pitfalls: [
      "Scores are no logits of probabilities: calibrate them, or use crossEntropy where probabilities are wanted.",
      "It divides by the number of classes: its size falls as classes are added.",
      "classWeights scale the loss and stay out of the denominator, other than in crossEntropy.",
    ],
    metric: "accuracy",
    source: "torch multi_margin_loss",
  },
  options: {
    ...labelOptions,
    p: numberOption("power of each hinge, 1 or 2", 1, { atLeast: 1, atMost: 2, integer: true }),
    margin: numberOption("how far the label's score must lie above each other", 1),
    classWeights: numbersOption("factor on the loss of each label; it never divides", { atLeast: 0 }),
  },
  fields: { logits: categoricalFields.logits, labels: { ...categoricalFields.labels, optional: false } },
  alignment: alignmentOf,
  describe: (options) =>
    [
      `multi-class margin loss of ${describeLabels(options)}, ${options.p === 2 ? "squared " : ""}hinges at margin ${options.margin} summed and divided by the number of classes`,
      options.classWeights && "the loss times the label's class weight (not in the denominator)",
    ]
      .filter(Boolean)
      .join(", "),
  units(batch) {
    checkPerClass(batch, "classWeights", batch.options.classWeights);
    return ignoredLabels(batch);
  },
  open(batch, { rows, own }) {
    const { p, margin, classWeights } = batch.options;
    const classes = batch.sizes.K!;
    const logits = rows.logits!;
    const label = batch.index("labels");
    const scale = (y: number) => (classWeights ? classWeights[y]! : 1) / classes;
    const hinge = (k: number, y: number) =>
      k === y || logits[k] === Number.NEGATIVE_INFINITY ? 0 : Math.max(0, margin - logits[y]! + logits[k]!);
    let broken = false;
    return {
      loss(unit) {
        const y = label(unit);
        let top = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < classes; k++) top = Math.max(top, logits[k]!);
        broken = !Number.isFinite(top);
        if (broken) return Number.NaN;
        if (scale(y) === 0) return 0;
        let sum = 0;
        for (let k = 0; k < classes; k++) sum += p === 1 ? hinge(k, y) : hinge(k, y) * hinge(k, y);
        return scale(y) * sum;
      },
      gradient(unit) {
        const y = label(unit);
        const slopes = own.logits!;
        let sum = 0;
        for (let k = 0; k < classes; k++) {
          const h = scale(y) === 0 ? 0 : hinge(k, y);
          slopes[k] = broken ? Number.NaN : h > 0 ? scale(y) * (p === 1 ? 1 : 2 * h) : 0;
          sum += slopes[k]!;
        }
        slopes[y] = 0 - sum;
      },
    };
  },
});
