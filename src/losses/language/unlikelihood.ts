import { log1p } from "../../numerics/index.js";
import {
  alignmentOf,
  type CategoricalBatch,
  categoricalFields,
  describeLabels,
  ignoredLabels,
  type LabelOptions,
  labelOptions,
} from "../categorical/labels.js";
import { defineLoss } from "../define-loss.js";
import { SoftmaxRow } from "../softmax-row.js";

/** Options of {@link unlikelihood}. */
export type UnlikelihoodOptions = LabelOptions;

/**
 * Unlikelihood of unwanted tokens: their probability is pushed down. With weights t (1 at the label, or `targets`):
 *   loss     = −Σ_c t_c log(1 − p_c)
 *   d/dz_k   = t_k r_k − p_k Σ_c t_c r_c,     r_c = p_c / (1 − p_c)
 * At most one class has p above 1/2. Its 1 − p is the mass of the others: with q the softmax of the others alone,
 *   −log(1 − p) = −log p_k + log q_k for any other k,     p_k r = q_k p
 * both finite for finite logits, also where p rounds to 1: logits [1000, 0, 0] give 1000 − log 2, gradient [1, −½, −½].
 *
 * Every other logit −∞ (or K = 1) leaves 1 − p = 0: the loss is +∞, with the limit t of the gradient at that class. An
 * unwanted logit of −∞ costs nothing. A row of −∞, NaN or +∞ gives NaN, with a note. Welleck et al. 2020, eq. 2.
 */
export const unlikelihood = /*#__PURE__*/ defineLoss<UnlikelihoodOptions, CategoricalBatch, "logits">({
  name: "unlikelihood",
  family: "language",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "Pushes down the probability of unwanted tokens: −log(1 − p) of each.",
    formula: "−Σ_c t_c log(1 − p_c);  t is 1 at the label, or the targets",
    gradient: "d/dz_k = t_k r_k − p_k Σ_c t_c r_c, r = p / (1 − p)",
    likelihood: {
      target: "tokens that must not follow",
      distribution: "for each, the Bernoulli probability that it does not come",
    },
    pitfalls: [
      "It says what must not come and never what should: add it to crossEntropy with weightedSum.",
      "labels name the unwanted token of a position, not the right one; the right one among the targets fights the cross entropy.",
      "It grows without bound as an unwanted token becomes sure: one repetition can outweigh a batch.",
    ],
    metric: "rate of repeated n-grams, beside perplexity",
    source: "Welleck et al. 2020, eq. 2",
  },
  options: labelOptions,
  fields: {
    ...categoricalFields,
    labels: { ...categoricalFields.labels, meaning: "the one unwanted token of each unit, 0..K−1" },
    targets: { ...categoricalFields.targets, meaning: "how much each token is unwanted, 0 where it is not; any sum" },
  },
  oneOf: [["labels", "targets"]],
  alignment: alignmentOf,
  describe: (options) => `unlikelihood −log(1 − p) of the unwanted tokens of ${describeLabels(options)}`,
  units: (batch) => ignoredLabels(batch),
  open(batch, { rows, own }) {
    const classes = batch.sizes.K!;
    const logits = rows.logits!;
    const label = batch.has("labels") ? batch.index("labels") : undefined;
    const weights = rows.targets ?? new Float64Array(classes);
    const softmax = new SoftmaxRow(classes);
    const others = new SoftmaxRow(classes);
    const otherLogits = new Float64Array(classes);
    /** The unwanted class with p above 1/2, −1 where there is none. */
    let likely = -1;
    return {
      loss(unit) {
        if (label) {
          weights.fill(0);
          weights[label(unit)] = 1;
        }
        softmax.update(logits);
        if (softmax.broken) return Number.NaN;
        likely = -1;
        let loss = 0;
        for (let k = 0; k < classes; k++) {
          if (weights[k] === 0) continue;
          const probability = softmax.probability(k);
          if (probability > 0.5) likely = k;
          else loss -= weights[k]! * log1p(-probability);
        }
        if (likely < 0) return loss;
        otherLogits.set(logits);
        otherLogits[likely] = Number.NEGATIVE_INFINITY;
        others.update(otherLogits);
        if (others.broken) return Number.POSITIVE_INFINITY;
        let other = likely === 0 ? 1 : 0;
        for (let k = 0; k < classes; k++) if (otherLogits[k]! > otherLogits[other]!) other = k;
        return loss + weights[likely]! * (softmax.negativeLog(other) - others.negativeLog(other));
      },
      gradient() {
        const slopes = own.logits!;
        if (softmax.broken) {
          slopes.fill(Number.NaN);
          return;
        }
        let pull = 0;
        for (let k = 0; k < classes; k++) {
          // A class not unwanted may have 1 − p = 0; its odds are never formed.
          const counts = k !== likely && weights[k] !== 0;
          slopes[k] = counts ? weights[k]! * (softmax.probability(k) / softmax.complement(k)) : 0;
          pull += slopes[k]!;
        }
        for (let k = 0; k < classes; k++) slopes[k]! -= softmax.probability(k) * pull;
        if (likely < 0) return;
        const push = weights[likely]! * softmax.probability(likely);
        slopes[likely]! += push;
        if (others.broken) return;
        for (let k = 0; k < classes; k++) if (k !== likely) slopes[k]! -= push * others.probability(k);
      },
    };
  },
});
