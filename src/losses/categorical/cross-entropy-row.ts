import { nullableOption, numberOption, numbersOption, type OptionSpecs } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { exp, log, tanh } from "../../numerics/index.js";
import type { BatchView, KernelPlan, UnitRules, Workspace } from "../definition.js";
import { SoftmaxFlag, softmaxKernel } from "../softmax-kernel.js";
import { SoftmaxRow } from "../softmax-row.js";
import { checkPerClass, describeLabels, ignoredLabels, type LabelOptions, labelOptions } from "./labels.js";
import { TargetWeights, weightedGradient, weightedLoss } from "./target-weights.js";

/** Options of {@link crossEntropy} and {@link linearCrossEntropy}. */
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

export const crossEntropyOptions = {
  ...labelOptions,
  labelSmoothing: numberOption("moves ε of the target to all classes: (1 − ε) q + ε/K", 0, { atLeast: 0, below: 1 }),
  classWeights: numbersOption("weight of each class; with hard labels their sum divides", { atLeast: 0 }),
  temperature: numberOption("divides the logits", 1, { above: 0 }),
  zLoss: numberOption("adds c · (log Σ exp z)², which keeps logits from drifting", 0, { atLeast: 0 }),
  logitSoftCap: nullableOption(numberOption("bounds the logits: a · tanh(z / a)", 1, { above: 0 })),
  priors: numbersOption("frequency of each class: τ · log π is added to the logits", { above: 0 }),
  logitAdjustment: nullableOption(numberOption("τ of the priors", 1)),
} satisfies OptionSpecs<CrossEntropyOptions>;

/** Fills τ, which is nothing without priors. @throws `option` for τ alone */
export function settleCrossEntropy(where: string, options: CrossEntropyOptions): CrossEntropyOptions {
  if (options.priors !== null) return { ...options, logitAdjustment: options.logitAdjustment ?? 1 };
  if (options.logitAdjustment === null) return options;
  throw new LosswrightError({
    code: "option",
    where,
    field: "logitAdjustment",
    found: `${options.logitAdjustment} without priors`,
    expected: "priors beside it",
    fix: "give priors: the frequency of each class in the training set.",
  });
}

/** What the options make of a cross entropy, in words. */
export function describeCrossEntropy(name: string, options: CrossEntropyOptions): string {
  const { labelSmoothing, classWeights, temperature, zLoss, logitSoftCap, priors, logitAdjustment } = options;
  return [
    `${name} of ${describeLabels(options)}`,
    labelSmoothing > 0 && `smoothed by ${labelSmoothing}`,
    classWeights && "weighted by class (with hard labels the weights enter the denominator)",
    temperature !== 1 && `at temperature ${temperature}`,
    zLoss > 0 && `plus ${zLoss} times the squared log-sum-exp`,
    logitSoftCap !== null && `logits capped at ${logitSoftCap}`,
    priors && `logits adjusted by ${logitAdjustment} times the log priors`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** Which units count, and how class weights enter numerator and denominator. */
export function crossEntropyUnits(batch: BatchView<CrossEntropyOptions>): UnitRules {
  const { classWeights, labelSmoothing } = batch.options;
  checkPerClass(batch, "classWeights", classWeights);
  checkPerClass(batch, "priors", batch.options.priors);
  const present = ignoredLabels(batch);
  if (!classWeights || !batch.has("labels")) return present;
  const label = batch.index("labels", classWeights.length);
  const ofLabel = (unit: number) => classWeights[label(unit)]!;
  // Under smoothing the class weights act inside the loss, class by class.
  return labelSmoothing > 0
    ? { ...present, denominatorWeight: ofLabel }
    : { ...present, numeratorWeight: ofLabel, denominatorWeight: ofLabel };
}

/** Up to so many classes a kernel takes four rows at once. */
const FEW_CLASSES = 16;

/** The kernel of `crossEntropy`, or why there is none. */
export function crossEntropyKernel(batch: BatchView<CrossEntropyOptions>): KernelPlan | string {
  const { options } = batch;
  const { labelSmoothing, classWeights, temperature, zLoss, logitSoftCap, priors, logitAdjustment } = options;
  const outside = [temperature, logitSoftCap ?? 1].find((value) => !(value >= 1e-15 && value <= 1e15));
  if (outside !== undefined) return `an option is ${outside}, too far out for float32`;
  const hasTargets = !batch.has("labels");
  const adjusts = temperature !== 1 || logitSoftCap !== null || priors !== null;
  const weighs = hasTargets || labelSmoothing > 0;
  if (!adjusts && !weighs && zLoss === 0) return hardLabelKernel(batch);
  const flags =
    (adjusts ? SoftmaxFlag.adjusts : 0) | (weighs ? SoftmaxFlag.weighs : 0) | (hasTargets ? SoftmaxFlag.hasTargets : 0);
  const weighsZ = weighs && !hasTargets && classWeights !== null;
  return softmaxKernel(batch, {
    kernel: "crossEntropy",
    inputs: ["logits", "targets"],
    parameters: [labelSmoothing, temperature, zLoss, logitSoftCap ?? 0, weighsZ ? 1 : 0],
    tables: [
      priors ? Float32Array.from(priors, (prior) => logitAdjustment! * log(prior)) : undefined,
      weighs && classWeights ? Float32Array.from(classWeights) : undefined,
    ],
    flags,
    scratchRows: 4,
    nanosecondsPerClass: 1.2,
  });
}

/** The kernel of −log p of one class a row of `logits`, with no option. */
export function hardLabelKernel(batch: BatchView<object>): KernelPlan {
  const isFew = batch.sizes.K! <= FEW_CLASSES;
  return softmaxKernel(batch, {
    kernel: "crossEntropy",
    inputs: ["logits"],
    parameters: [0, 1, 0, 0, 0],
    flags: isFew ? SoftmaxFlag.few : 0,
    scratchRows: isFew ? 0 : 1,
    nanosecondsPerClass: 1.2,
  });
}

/** The cross entropy of one row of logits after another, wherever the rows come from. */
export interface CrossEntropyRow {
  loss(unit: number, logits: Float64Array): number;
  /** Writes d loss / d logits of the row last given. */
  gradient(unit: number, own: Float64Array): void;
}

/** The mathematics of a row: soft cap, temperature and priors on the logits, softmax, target, z-loss. */
export function crossEntropyRow(batch: BatchView<CrossEntropyOptions>, work: Workspace): CrossEntropyRow {
  const { zLoss } = batch.options;
  const classes = batch.sizes.K!;
  const scores = new Float64Array(classes);
  const slopes = new Float64Array(classes);
  const adjust = logitAdjuster(batch.options, classes, scores, slopes);
  const softmax = new SoftmaxRow(classes);
  const target = targetOf(batch, work, softmax);
  return {
    loss(unit, logits) {
      adjust(logits);
      softmax.update(scores);
      if (softmax.broken) return Number.NaN;
      const loss = target.loss(unit);
      return zLoss === 0 ? loss : loss + zLoss * target.zWeight(unit) * softmax.logSumExp * softmax.logSumExp;
    },
    gradient(unit, own) {
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
}

/** What stands against the softmax of a unit: one label, or a weight for each class. */
interface Target {
  loss(unit: number): number;
  gradient(unit: number, own: Float64Array): void;
  /** Factor of the z-loss inside the unit's loss; weights that act outside are not in it. */
  zWeight(unit: number): number;
}

function targetOf(batch: BatchView<CrossEntropyOptions>, work: Workspace, softmax: SoftmaxRow): Target {
  const { labelSmoothing, classWeights } = batch.options;
  const label = batch.has("labels") ? batch.index("labels") : undefined;
  if (label && labelSmoothing === 0) return hardLabel(batch.sizes.K!, label, softmax);
  const { weights, fill } = new TargetWeights(batch, work, { smoothing: labelSmoothing, perClass: classWeights });
  return {
    loss(unit) {
      fill(unit);
      return weightedLoss(weights, softmax);
    },
    gradient: (_, own) => weightedGradient(weights, softmax, own),
    zWeight: label && classWeights ? (unit) => classWeights[label(unit)]! : () => 1,
  };
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
