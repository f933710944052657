import { nullableOption, numberOption, numbersOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { exp, log, tanh } from "../../numerics/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, Workspace } from "../definition.js";
import { SoftmaxRow } from "../softmax-row.js";
import {
  type CategoricalBatch,
  categoricalFields,
  checkPerClass,
  describeLabels,
  type LabelOptions,
  labelOptions,
  notIgnored,
} from "./labels.js";

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends LabelOptions {
  /** ε in [0, 1): the target becomes (1 − ε) q + ε/K. Default 0. */
  readonly labelSmoothing: number;
  /** w_k ≥ 0, one a class; with hard labels their sum divides. */
  readonly classWeights: readonly number[] | null;
  /** T > 0: logits are divided by it. Default 1. */
  readonly temperature: number;
  /** c ≥ 0: adds c · (log Σ exp z)². Default 0. */
  readonly zLoss: number;
  /** a > 0: logits become a · tanh(z / a). */
  readonly logitSoftCap: number | null;
  /** π_k > 0, one a class: τ · log π_k is added to the logits. */
  readonly priors: readonly number[] | null;
  /** τ of the priors; 1 when priors are given. */
  readonly logitAdjustment: number | null;
}

/**
 * Cross entropy of logits z against a label y or a target distribution q.
 *   loss    = −log p_y = log Σ_k exp(z_k) − z_y,     Σ_k q_k (−log p_k) for targets
 *   d/dz_k  = p_k − 1[k = y],                        (Σ q) p_k − q_k for targets
 * The order on logits is soft cap a·tanh(z/a), then /T, then + τ log π; the chain rule goes back through all three.
 *
 * Smoothing makes the target (1 − ε) q + ε/K. With class weights and hard labels the loss is w_y (−log p_y) over Σ w_y;
 * with smoothing (1 − ε) w_y (−log p_y) + (ε/K) Σ_k w_k (−log p_k), still over Σ w_y; with targets they scale the loss
 * and stay out of the denominator (torch). z-loss adds c·lse², weighted by w_y with hard labels.
 *
 * A logit of −∞ forbids its class: loss and gradient 0 there, +∞ where it is the label, NaN where all are −∞ and under
 * NaN or +∞, with a note. A soft cap leaves −∞ what it is.
 * torch `cross_entropy`; z-loss: Chowdhery et al. 2022, section 5; logit adjustment: Menon et al. 2021, eq. 10.
 */
export const crossEntropy = /*#__PURE__*/ defineLoss<CrossEntropyOptions, CategoricalBatch, "logits">({
  name: "crossEntropy",
  family: "categorical",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "The negative log-likelihood of one class among K, from logits.",
    formula: "log Σ_k exp(z_k) − z_y;  Σ_k q_k (−log p_k) for targets",
    gradient: "d/dz_k = p_k − 1[k = y];  (Σ q) p_k − q_k for targets",
    likelihood: { target: "single class", distribution: "categorical" },
    pitfalls: [
      "Takes logits: a softmax before it flattens the gradient, and log(softmax) underflows.",
      "Classes exclude each other: several true labels at once belong in binaryCrossEntropy.",
      "The mean is over the labels that count, weighted: micro-batches and ranks need one numerator over one denominator.",
      "A causal model's logits at t score the label at t + 1: labelShift: 1, once.",
      "With classWeights the probabilities are those of a re-weighted world; calibrate before using them.",
    ],
    metric: "accuracy, macro F1, perplexity for tokens",
    source: "torch cross_entropy",
  },
  options: {
    ...labelOptions,
    labelSmoothing: numberOption("moves ε of the target to all classes: (1 − ε) q + ε/K", 0, { atLeast: 0, below: 1 }),
    classWeights: numbersOption("weight of each class; with hard labels their sum divides", { atLeast: 0 }),
    temperature: numberOption("divides the logits", 1, { above: 0 }),
    zLoss: numberOption("adds c · (log Σ exp z)², which keeps logits from drifting", 0, { atLeast: 0 }),
    logitSoftCap: nullableOption(numberOption("bounds the logits: a · tanh(z / a)", 1, { above: 0 })),
    priors: numbersOption("frequency of each class: τ · log π is added to the logits", { above: 0 }),
    logitAdjustment: nullableOption(numberOption("τ of the priors", 1)),
  },
  fields: categoricalFields,
  oneOf: [["labels", "targets"]],
  settle(options) {
    if (options.priors !== null) return { ...options, logitAdjustment: options.logitAdjustment ?? 1 };
    if (options.logitAdjustment === null) return options;
    throw new LosswrightError({
      code: "option",
      where: "crossEntropy",
      field: "logitAdjustment",
      found: `${options.logitAdjustment} without priors`,
      expected: "priors beside it",
      fix: "give priors: the frequency of each class in the training set.",
    });
  },
  alignment: ({ labelShift, classAxis }) => ({ labelShift, classAxis }),
  describe(options) {
    const { labelSmoothing, classWeights, temperature, zLoss, logitSoftCap, priors, logitAdjustment } = options;
    return [
      `cross entropy of ${describeLabels(options)}`,
      labelSmoothing > 0 && `smoothed by ${labelSmoothing}`,
      classWeights && "weighted by class (with hard labels the weights enter the denominator)",
      temperature !== 1 && `at temperature ${temperature}`,
      zLoss > 0 && `plus ${zLoss} times the squared log-sum-exp`,
      logitSoftCap !== null && `logits capped at ${logitSoftCap}`,
      priors && `logits adjusted by ${logitAdjustment} times the log priors`,
    ]
      .filter(Boolean)
      .join(", ");
  },
  units(batch) {
    const { classWeights, labelSmoothing } = batch.options;
    checkPerClass(batch, "classWeights", classWeights);
    checkPerClass(batch, "priors", batch.options.priors);
    const present = notIgnored(batch);
    if (!classWeights || !batch.has("labels")) return { present };
    const label = batch.index("labels");
    const ofLabel = (unit: number) => classWeights[label(unit)]!;
    // Under smoothing the class weights act inside the loss, class by class.
    return labelSmoothing > 0
      ? { present, denominatorWeight: ofLabel }
      : { present, numeratorWeight: ofLabel, denominatorWeight: ofLabel };
  },
  open(batch, work) {
    const { zLoss } = batch.options;
    const classes = batch.sizes.K!;
    const scores = new Float64Array(classes);
    const slopes = new Float64Array(classes);
    const adjust = logitAdjuster(batch.options, classes, scores, slopes);
    const softmax = new SoftmaxRow(classes);
    const target = targetOf(batch, work, softmax);
    const logits = work.rows.logits!;
    return {
      loss(unit) {
        adjust(logits);
        softmax.update(scores);
        if (softmax.broken) return Number.NaN;
        const loss = target.loss(unit);
        return zLoss === 0 ? loss : loss + zLoss * target.zWeight(unit) * softmax.logSumExp * softmax.logSumExp;
      },
      gradient(unit) {
        const own = work.own.logits!;
        if (softmax.broken) {
          own.fill(Number.NaN);
          return;
        }
        target.gradient(unit, own);
        if (zLoss !== 0) {
          const factor = 2 * zLoss * target.zWeight(unit) * softmax.logSumExp;
          for (let k = 0; k < classes; k++) own[k]! += factor * softmax.probability(k);
        }
        for (let k = 0; k < classes; k++) own[k]! *= slopes[k]!;
      },
    };
  },
});

/** What stands against the softmax of a unit: one label, or a weight for each class. */
interface Target {
  loss(unit: number): number;
  gradient(unit: number, own: Float64Array): void;
  /** Factor of the z-loss inside the unit's loss; weights that act outside are not in it. */
  zWeight(unit: number): number;
}

function targetOf(batch: BatchView<CrossEntropyOptions>, work: Workspace, softmax: SoftmaxRow): Target {
  const { labelSmoothing, classWeights } = batch.options;
  if (!batch.has("labels")) return softTarget(batch, work, softmax);
  const label = batch.index("labels");
  return labelSmoothing > 0
    ? smoothedLabel(batch.sizes.K!, label, labelSmoothing, classWeights, softmax)
    : hardLabel(batch.sizes.K!, label, softmax);
}

function hardLabel(classes: number, label: (unit: number) => number, softmax: SoftmaxRow): Target {
  return {
    loss: (unit) => softmax.negativeLog(label(unit)),
    gradient(unit, own) {
      const y = label(unit);
      for (let k = 0; k < classes; k++) own[k] = softmax.probability(k);
      own[y] = -softmax.complement(y);
    },
    zWeight: () => 1,
  };
}

function smoothedLabel(
  classes: number,
  label: (unit: number) => number,
  smoothing: number,
  classWeights: readonly number[] | null,
  softmax: SoftmaxRow,
): Target {
  const spread = Float64Array.from({ length: classes }, (_, k) => (smoothing / classes) * (classWeights?.[k] ?? 1));
  const weights = new Float64Array(classes);
  const fill = (y: number) => {
    weights.set(spread);
    weights[y]! += (1 - smoothing) * (classWeights?.[y] ?? 1);
  };
  return {
    loss(unit) {
      fill(label(unit));
      return weightedLoss(weights, softmax);
    },
    gradient: (_, own) => weightedGradient(weights, softmax, own),
    zWeight: (unit) => classWeights?.[label(unit)] ?? 1,
  };
}

function softTarget(batch: BatchView<CrossEntropyOptions>, { rows, note }: Workspace, softmax: SoftmaxRow): Target {
  const { labelSmoothing, classWeights } = batch.options;
  const targets = rows.targets!;
  const classes = targets.length;
  const weights = new Float64Array(classes);
  const fill = (unit: number) => {
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      const target = targets[k]!;
      sum += target;
      const smoothed = labelSmoothing > 0 ? (1 - labelSmoothing) * target + labelSmoothing / classes : target;
      weights[k] = smoothed * (classWeights?.[k] ?? 1);
    }
    if (sum > 1 + 1e-6) {
      const message = `a row of targets sums to ${sum}; labels that do not exclude each other belong in binaryCrossEntropy`;
      note("targets-above-one", unit, message, "targets");
    }
  };
  return {
    loss(unit) {
      fill(unit);
      return weightedLoss(weights, softmax);
    },
    gradient: (_, own) => weightedGradient(weights, softmax, own),
    zWeight: () => 1,
  };
}

/** Σ_k q_k (−log p_k); a class of weight 0 is silent, also where its logarithm is infinite. */
function weightedLoss(weights: Float64Array, softmax: SoftmaxRow): number {
  let loss = 0;
  for (let k = 0; k < weights.length; k++) if (weights[k] !== 0) loss += weights[k]! * softmax.negativeLog(k);
  return loss;
}

/** (Σ q) p_k − q_k as (Σ_{j≠k} q_j) p_k − q_k (1 − p_k): exact for one-hot weights, where the plain form cancels. */
function weightedGradient(weights: Float64Array, softmax: SoftmaxRow, own: Float64Array): void {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]!;
  for (let k = 0; k < weights.length; k++) {
    own[k] = (sum - weights[k]!) * softmax.probability(k) - weights[k]! * softmax.complement(k);
  }
}

/** Writes the logits the softmax sees, and their derivative by the logits given. */
function logitAdjuster(
  { logitSoftCap, temperature, priors, logitAdjustment }: CrossEntropyOptions,
  classes: number,
  scores: Float64Array,
  slopes: Float64Array,
): (logits: Float64Array) => void {
  const shifts = Float64Array.from({ length: classes }, (_, k) => (priors ? logitAdjustment! * log(priors[k]!) : 0));
  slopes.fill(1 / temperature);
  if (logitSoftCap === null) {
    return (logits) => {
      for (let k = 0; k < classes; k++) scores[k] = logits[k]! / temperature + shifts[k]!;
    };
  }
  return (logits) => {
    for (let k = 0; k < classes; k++) {
      const logit = logits[k]!;
      // An infinite logit stays what it says: a forbidden class, or an error to be seen.
      const finite = Math.abs(logit) < Number.POSITIVE_INFINITY;
      const capped = finite ? logitSoftCap * tanh(logit / logitSoftCap) : logit;
      scores[k] = capped / temperature + shifts[k]!;
      slopes[k] = finite ? tanhSlope(logit / logitSoftCap) / temperature : 1 / temperature;
    }
  };
}

/** 1 − tanh²(x) as 4u/(1 + u)² with u = e^(−2|x|): the difference would cancel where tanh is near 1. */
function tanhSlope(x: number): number {
  const u = exp(-2 * Math.abs(x));
  return (4 * u) / ((1 + u) * (1 + u));
}
