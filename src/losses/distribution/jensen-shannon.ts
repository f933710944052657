import { numberOption } from "../../contract/index.js";
import { exp, expm1, log, log1p } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { addExpectationGradient } from "../categorical/expectation.js";
import { type AlignmentOptions, alignmentOf, alignmentOptions, describeAlignment } from "../categorical/labels.js";
import { defineLoss } from "../define-loss.js";
import { SoftmaxRow } from "../softmax-row.js";
import { type DivergenceMath, divergencePart, forwardDivergence, logRatio, reverseDivergence } from "./divergence.js";
import { constantLogits, type ModelLogits, modelLogits } from "./fields.js";

/** Options of {@link jensenShannon}. */
export interface JensenShannonOptions extends AlignmentOptions {
  /** β in [0, 1]: share of the target in the mixture; 0 is KL(target‖model), 1 is KL(model‖target). Default 0.5. */
  readonly beta: number;
}

/** The model's logits with those of the distribution to meet. */
export interface JensenShannonBatch extends ModelLogits {
  readonly targetLogits: Tensor<"logits" | Unlabeled>;
}

/**
 * Generalized Jensen–Shannon divergence of the softmax p of logits and a target q, over their mixture m.
 *   m        = (1 − β) p + β q
 *   loss     = β KL(q‖m) + (1 − β) KL(p‖m)
 *   d/dz_j   = (1 − β) p_j (log(p_j / m_j) − Σ_k p_k log(p_k / m_k))
 * The gradient goes through p and through m. At β = 0 and 1 the formula is 0; there it stands for KL(q‖p) and KL(p‖q), as
 * in TRL, so that the ends are limits of nothing: a β of 1e-9 is nearly 0. Between them it is bounded by the entropy of
 * the coin β, whatever p and q are, and symmetric at 1/2.
 * Each class's part is positive, so equal logits give 0 and nearly equal ones keep their digits. A class forbidden (−∞) on
 * one side is finite between the ends; NaN and +∞ give NaN, with a note. Lin 1991, eq. 4.1; Agarwal et al. 2024, eq. 1.
 */
export const jensenShannon = /*#__PURE__*/ defineLoss<JensenShannonOptions, JensenShannonBatch, "logits">({
  name: "jensenShannon",
  family: "distribution",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "A bounded divergence of two distributions over their mixture, with the two KL divergences at its ends.",
    formula: "β KL(q‖m) + (1 − β) KL(p‖m),  m = (1 − β) p + β q;  β = 0: KL(q‖p), β = 1: KL(p‖q)",
    gradient: "d/dz_j = (1 − β) p_j (log(p_j / m_j) − Σ_k p_k log(p_k / m_k));  klDivergence's at the ends",
    likelihood: { target: "distribution of a teacher", distribution: "none: a divergence" },
    pitfalls: [
      "It saturates: where model and target share no class the gradient vanishes. Begin with klDivergence.",
      "β near 0 or 1 is nearly 0 in value and gradient, β at 0 or 1 is a KL divergence: the ends jump.",
      "Libraries disagree which side β weighs: here it is the share of the target in the mixture.",
      "TRL averages over the labels that are not ignored: give mask.",
    ],
    metric: "agreement with the teacher, perplexity",
    source: "TRL GKDTrainer.generalized_jsd_loss; Agarwal et al. 2024",
  },
  options: {
    ...alignmentOptions,
    beta: numberOption("share of the target in the mixture; 0 is KL(target‖model), 1 is KL(model‖target)", 0.5, {
      atLeast: 0,
      atMost: 1,
    }),
  },
  fields: {
    logits: modelLogits,
    targetLogits: constantLogits("logits of the distribution to meet, at the place of the model's; a constant"),
  },
  alignment: alignmentOf,
  describe(options) {
    const { beta } = options;
    const unit = describeAlignment(options, "position");
    if (beta === 0) return `generalized Jensen–Shannon divergence at beta 0, which is KL(target‖model), of ${unit}`;
    if (beta === 1) return `generalized Jensen–Shannon divergence at beta 1, which is KL(model‖target), of ${unit}`;
    return `generalized Jensen–Shannon divergence ${beta} KL(target‖m) + (1 − ${beta}) KL(model‖m) over the mixture m with ${beta} of the target, of ${unit}`;
  },
  open(batch, work) {
    const { beta } = batch.options;
    const classes = batch.sizes.K!;
    const [model, target] = [new SoftmaxRow(classes), new SoftmaxRow(classes)];
    const math =
      beta === 0
        ? forwardDivergence(target, model, classes)
        : beta === 1
          ? reverseDivergence(target, model, classes)
          : mixtureDivergence(target, model, classes, beta);
    return {
      loss() {
        model.update(work.rows.logits!);
        target.update(work.rows.targetLogits!);
        return model.broken || target.broken ? Number.NaN : math.loss();
      },
      gradient() {
        const own = work.own.logits!;
        const broken = model.broken || target.broken;
        own.fill(broken ? Number.NaN : 0);
        if (!broken) math.addGradient(own, 1);
      },
    };
  },
});

/** β KL(q‖m) + (1 − β) KL(p‖m) for β in (0, 1). */
function mixtureDivergence(target: SoftmaxRow, model: SoftmaxRow, classes: number, beta: number): DivergenceMath {
  const ratios = new Float64Array(classes);
  const slopes = new Float64Array(classes);
  return {
    loss() {
      let sum = 0;
      for (let k = 0; k < classes; k++) {
        const [q, p] = [target.probability(k), model.probability(k)];
        ratios[k] = 0;
        if (q === 0 && p === 0) continue;
        const mixture = (1 - beta) * p + beta * q;
        const d = logRatio(target, model, k);
        // log(m/q) and log(m/p) differ by d; the one whose exponential cannot overflow comes first, and both on their
        // own where their difference would cancel.
        const fromTarget = d < 1 ? logMixture(beta, 1 - beta, d) : logMixture(1 - beta, beta, -d) + d;
        const fromModel = d > -1 ? logMixture(1 - beta, beta, -d) : fromTarget - d;
        sum += beta * divergencePart(q, mixture, fromTarget) + (1 - beta) * divergencePart(p, mixture, fromModel);
        ratios[k] = -(1 - beta) * fromModel;
      }
      return sum;
    },
    addGradient(own, factor) {
      slopes.fill(0);
      addExpectationGradient(model, ratios, slopes);
      for (let k = 0; k < classes; k++) own[k]! += factor * slopes[k]!;
    },
  };
}

/** log(rest + share e^x) where rest + share = 1: near 0 from what it lacks to 1, far below from its two parts. */
function logMixture(rest: number, share: number, x: number): number {
  return x > -1 || share < 0.5 ? log1p(share * expm1(x)) : log(rest + share * exp(x));
}
