import { choiceOption } from "../../contract/index.js";
import { log } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import {
  type AlignmentOptions,
  alignmentOf,
  alignmentOptions,
  categoricalFields,
  describeAlignment,
} from "../categorical/labels.js";
import { noteTargetsAboveOne } from "../categorical/target-weights.js";
import { defineLoss } from "../define-loss.js";
import { SoftmaxFlag, softmaxKernel } from "../softmax-kernel.js";
import { SoftmaxRow } from "../softmax-row.js";
import { type Distribution, forwardDivergence, reverseDivergence } from "./divergence.js";
import { constantLogits, type ModelLogits, modelLogits } from "./fields.js";

/** Options of {@link klDivergence}. */
export interface KlDivergenceOptions extends AlignmentOptions {
  /** `"forward"`: KL(target‖model), covers the target; `"reverse"`: KL(model‖target), seeks a mode. Default forward. */
  readonly direction: "forward" | "reverse";
}

/** The model's logits with a distribution to meet, as probabilities or as logits. */
export type KlDivergenceBatch = ModelLogits &
  (
    | { readonly targets: Tensor<"targets" | "probabilities" | Unlabeled>; readonly targetLogits?: never }
    | { readonly targetLogits: Tensor<"logits" | Unlabeled>; readonly targets?: never }
  );

/**
 * Kullback–Leibler divergence between the softmax p of logits and a target distribution q.
 *   forward   KL(q‖p) = Σ_k q_k log(q_k / p_k),    d/dz_j = (Σ q) p_j − q_j
 *   reverse   KL(p‖q) = Σ_k p_k log(p_k / q_k),    d/dz_j = p_j (log(p_j / q_j) − KL(p‖q))
 * Forward has the gradient of cross entropy and is 0 at p = q: it differs by the entropy of q. 0 log 0 = 0. Reverse goes
 * through p in both places; a class with q = 0 and p > 0 makes it +∞, and no gradient there means anything.
 * Computed as Σ q (e^d − 1 − d), d = log(p / q), a sum without a sign: equal logits give 0, nearly equal ones keep their
 * digits. Targets are constants and need not sum to 1. A logit of −∞ is p = 0: +∞ forward where q > 0; NaN and +∞ give
 * NaN, with a note. Kullback and Leibler 1951; torch `kl_div`, summed over classes.
 */
export const klDivergence = /*#__PURE__*/ defineLoss<KlDivergenceOptions, KlDivergenceBatch, "logits">({
  name: "klDivergence",
  family: "distribution",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "How far the model's distribution is from a given one.",
    formula: "forward Σ_k q_k log(q_k / p_k);  reverse Σ_k p_k log(p_k / q_k);  p = softmax(z)",
    gradient: "forward d/dz_j = (Σ q) p_j − q_j;  reverse d/dz_j = p_j (log(p_j / q_j) − KL(p‖q))",
    likelihood: {
      target: "distribution over classes",
      distribution: "categorical, forward: its cross entropy minus the entropy of q, a constant; reverse: none",
    },
    pitfalls: [
      "torch's kl_div takes log-probabilities first and averages over elements by default: reduction batchmean is the mean over rows, this one over positions.",
      "Forward spreads over all modes of the target, reverse picks one; exchanging the arguments exchanges them.",
      "Reverse needs a target above 0 wherever the model is: smooth it, or give targetLogits.",
      "targets are probabilities: raw scores belong in targetLogits.",
    ],
    metric: "perplexity against the target, agreement of the most probable class",
    source: "torch kl_div, summed over classes",
  },
  options: {
    ...alignmentOptions,
    direction: choiceOption("forward: KL(target‖model); reverse: KL(model‖target)", "forward", ["forward", "reverse"]),
  },
  fields: {
    logits: modelLogits,
    targets: { ...categoricalFields.targets, meaning: "the distribution to meet: probabilities, not logits" },
    targetLogits: {
      ...constantLogits("the same as logits of another model, at the place of the model's; a constant"),
      optional: true,
    },
  },
  oneOf: [["targets", "targetLogits"]],
  alignment: alignmentOf,
  describe: (options) =>
    `KL divergence ${
      options.direction === "forward"
        ? "from target to model, KL(target‖model),"
        : "from model to target, KL(model‖target),"
    } of ${describeAlignment(options, "position")}, summed over the classes, the target a constant`,
  open(batch, work) {
    const classes = batch.sizes.K!;
    const model = new SoftmaxRow(classes);
    const { target, update, excess } = batch.has("targets")
      ? givenTarget(work.rows.targets!, (unit, sum) => noteTargetsAboveOne(work.note, unit, sum))
      : softmaxTarget(work.rows.targetLogits!);
    const divergence = batch.options.direction === "forward" ? forwardDivergence : reverseDivergence;
    const math = divergence(target, model, classes, excess);
    let broken = false;
    return {
      loss(unit) {
        model.update(work.rows.logits!);
        broken = !update(unit) || model.broken;
        return broken ? Number.NaN : math.loss();
      },
      gradient() {
        const own = work.own.logits!;
        own.fill(broken ? Number.NaN : 0);
        if (!broken) math.addGradient(own, 1);
      },
    };
  },
  kernel: (batch) =>
    softmaxKernel(batch, {
      kernel: "klDivergence",
      inputs: ["logits", batch.has("targets") ? "targets" : "targetLogits"],
      label: null,
      parameters: [batch.options.direction === "reverse" ? 1 : 0],
      flags: batch.has("targets") ? SoftmaxFlag.hasTargets : 0,
      scratchRows: 4,
      nanosecondsPerClass: 3,
    }),
});

/** A target distribution that is brought up to each unit. */
interface Target {
  readonly target: Distribution;
  /** Takes the unit's row; whether it is a distribution. */
  update(unit: number): boolean;
  /** Σ q − 1. */
  excess(): number;
}

function softmaxTarget(logits: Float64Array): Target {
  const target = new SoftmaxRow(logits.length);
  return {
    target,
    update() {
      target.update(logits);
      return !target.broken;
    },
    excess: () => 0,
  };
}

/** Probabilities as given. Their sum is kept in two parts, so that what it lacks to 1 is known exactly. */
function givenTarget(targets: Float64Array, check: (unit: number, sum: number) => void): Target {
  let excess = 0;
  return {
    target: { probability: (k) => targets[k]!, negativeLog: (k) => -log(targets[k]!) },
    update(unit) {
      let sum = -1;
      let lost = 0;
      for (let k = 0; k < targets.length; k++) {
        const term = targets[k]!;
        const next = sum + term;
        lost += Math.abs(sum) >= term ? sum - next + term : term - next + sum;
        sum = next;
      }
      excess = sum + lost;
      check(unit, 1 + excess);
      return true;
    },
    excess: () => excess,
  };
}
