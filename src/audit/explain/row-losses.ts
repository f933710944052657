import { LosswrightError } from "../../errors/index.js";
import { type AnyBatch, type Objective, unitsOf } from "../../losses/index.js";
import { exp, log, log1pExp, pow, sigmoid } from "../../numerics/index.js";
import { dataOf, isTensor, type Tensor, view } from "../../tensor/index.js";

/**
 * Losses that nobody should compute, as some code does: no objective gives them, so the search has its own rows of
 * mathematics for them. Each sees the logits of one unit, its label or target, and writes the slope.
 */
type Row = (row: Float64Array, answer: number, slope: Float64Array) => number;

/** What Keras clips a probability to. */
const epsilon = 1e-7;
const clipped = (p: number) => Math.min(1 - epsilon, Math.max(epsilon, p));
const isInside = (p: number) => p > epsilon && p < 1 - epsilon;

interface Softmax {
  readonly probabilities: Float64Array;
  readonly logOf: (k: number) => number;
}

function softmaxOf(row: Float64Array): Softmax {
  let top = Number.NEGATIVE_INFINITY;
  for (const z of row) if (z > top) top = z;
  const probabilities = row.map((z) => exp(z - top));
  let sum = 0;
  for (const p of probabilities) sum += p;
  for (let k = 0; k < row.length; k++) probabilities[k] = probabilities[k]! / sum;
  return { probabilities, logOf: (k) => row[k]! - top - log(sum) };
}

const categorical: Readonly<Record<string, (options: Readonly<Record<string, unknown>>) => Row>> = {
  // nll_loss takes log-probabilities; given logits it has no normalizer: −z_y.
  negativeLogit: () => (row, label, slope) => {
    slope.fill(0);
    slope[label] = -1;
    return -row[label]!;
  },
  // nll_loss given probabilities: −p_y, with no logarithm anywhere.
  negativeProbability: () => (row, label, slope) => {
    const { probabilities } = softmaxOf(row);
    const p = probabilities[label]!;
    for (let k = 0; k < row.length; k++) slope[k] = p * (probabilities[k]! - (k === label ? 1 : 0));
    return -p;
  },
  // from_logits=False: the scores are divided by their sum, clipped, and taken for probabilities.
  asProbabilities: () => (row, label, slope) => {
    let sum = 0;
    for (const z of row) sum += z;
    const p = row[label]! / sum;
    slope.fill(0);
    if (isInside(p)) {
      slope.fill(1 / sum);
      slope[label] = slope[label]! - 1 / row[label]!;
    }
    return -log(clipped(p));
  },
  // p_t taken as exp(−w·nll), after the weight: −w (1 − p^w)^γ log p.
  modulationOfWeightedLoss:
    ({ gamma, alpha }) =>
    (row, label, slope) => {
      const [power, weight] = [Number(gamma), perClass(alpha, label)];
      const { probabilities, logOf } = softmaxOf(row);
      const logP = logOf(label);
      const weighted = exp(weight * logP);
      const rest = 1 - weighted;
      const modulation = pow(rest, power);
      // d/d log p of −w (1 − p^w)^γ log p
      const inner = -weight * (modulation - power * pow(rest, power - 1) * weight * weighted * logP);
      for (let k = 0; k < row.length; k++) slope[k] = inner * ((k === label ? 1 : 0) - probabilities[k]!);
      return -weight * modulation * logP;
    },
};

const binary: Readonly<Record<string, (options: Readonly<Record<string, unknown>>, entry: number) => Row>> = {
  // from_logits=False: the score itself is clipped and taken for a probability.
  asProbabilities: () => (row, y, slope) => {
    const p = clipped(row[0]!);
    slope[0] = isInside(row[0]!) ? (p - y) / (p * (1 - p)) : 0;
    return -(y * log(p) + (1 - y) * log(1 - p));
  },
  // The modulation of binaryFocal or asymmetric as a constant weight.
  detachedModulation: (options) => (row, y, slope) => {
    const z = row[0]!;
    const p = sigmoid(z);
    const { one, zero } = sidesOf(options, z, p);
    slope[0] = y * one * (p - 1) + (1 - y) * zero.weight * zero.slope;
    return y * one * log1pExp(-z) + (1 - y) * zero.weight * zero.loss;
  },
  // Smoothing of positives alone, down to 1 − ε or to 1 − ε/2.
  smoothPositives: (options) => (row, y, slope) => smoothed(row, y * (1 - Number(options.labelSmoothing)), slope),
  smoothPositivesByHalf: (options) => (row, y, slope) =>
    smoothed(row, y * (1 - Number(options.labelSmoothing) / 2), slope),
  // The weight on the negative term instead of the positive one.
  posWeightOnNegatives: (options, entry) => (row, y, slope) => {
    const weight = perClass(options.posWeight, entry);
    const p = sigmoid(row[0]!);
    slope[0] = y * (p - 1) + weight * (1 - y) * p;
    return y * log1pExp(-row[0]!) + weight * (1 - y) * log1pExp(row[0]!);
  },
};

/** Plain binary cross entropy against a target. */
function smoothed(row: Float64Array, target: number, slope: Float64Array): number {
  const z = row[0]!;
  slope[0] = sigmoid(z) - target;
  return target * log1pExp(-z) + (1 - target) * log1pExp(z);
}

/** The weight of the positive side of a modulated Bernoulli loss; of the negative side also its own loss and slope. */
function sidesOf(options: Readonly<Record<string, unknown>>, z: number, p: number) {
  const { gamma, alpha, gammaPositive, gammaNegative, clip } = options as Record<string, number | null>;
  if (gamma !== undefined) {
    const [one, zero] = alpha == null ? [1, 1] : [alpha, 1 - alpha];
    const negative = { weight: zero * pow(p, gamma!), loss: log1pExp(z), slope: p };
    return { one: one * pow(sigmoid(-z), gamma!), zero: negative };
  }
  const shifted = Math.max(p - clip!, 0);
  // d −log(1 − s) / dz with s = p − c
  const slope = shifted > 0 ? (p * (1 - p)) / (1 - shifted) : 0;
  const weight = shifted > 0 ? pow(shifted, gammaNegative!) : 0;
  return { one: pow(sigmoid(-z), gammaPositive!), zero: { weight, loss: -log(1 - shifted), slope } };
}

function perClass(value: unknown, index: number): number {
  if (Array.isArray(value)) return Number(value[index % value.length]);
  return value === null || value === undefined ? 1 : Number(value);
}

/** The numerator of a part under one of these losses, and its gradient with respect to the logits. */
export interface RowLossSums {
  readonly numerator: number;
  readonly gradients: Readonly<Record<string, Tensor>>;
}

/** Whether there is such a loss for an objective. */
export function hasRowLoss(objective: Objective, name: string): boolean {
  return Object.hasOwn(objective.definition.unit === "element" ? binary : categorical, name);
}

/**
 * One of these losses over the units an objective counts, weighed as it weighs them.
 *
 * @throws `unsupported` for an objective or batch it is not defined for
 */
export function rowLoss(objective: Objective, batch: AnyBatch, name: string): RowLossSums {
  const { logits, labels, targets } = batch as Record<string, Tensor | undefined>;
  const element = objective.definition.unit === "element";
  const answers = element ? targets : labels;
  const options = objective.contract.options as Readonly<Record<string, unknown>>;
  const last = options.classAxis === undefined || options.classAxis === -1;
  if (!isTensor(logits) || !answers || !last || !hasRowLoss(objective, name)) {
    throw new LosswrightError({
      code: "unsupported",
      where: objective.name,
      found: `the loss "${name}" on these fields`,
      expected: "logits with the classes on the last axis, and labels",
    });
  }
  const units = unitsOf(objective, batch);
  const width = element ? 1 : logits.shape.at(-1)!;
  const entries = logits.shape.at(-1) ?? 1;
  const row = new Float64Array(width);
  const slope = new Float64Array(width);
  const data = dataOf("float64", logits.data.length);
  const shared = element ? undefined : categorical[name]!(options);
  let numerator = 0;
  for (let unit = 0; unit < units.count; unit++) {
    const weight = units.weight(unit);
    if (!units.counts(unit) || weight === 0) continue;
    const start = units.source(unit) * width;
    for (let k = 0; k < width; k++) row[k] = Number(logits.data[start + k]);
    const math = shared ?? binary[name]!(options, unit % entries);
    numerator += weight * math(row, Number(answers.data[unit]), slope);
    for (let k = 0; k < width; k++) data[start + k]! += weight * slope[k]!;
  }
  return { numerator, gradients: { logits: view(data, logits.shape, "unlabeled", "float64") } };
}
