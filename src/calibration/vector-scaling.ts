import { type Numbers, readTensor, wrong } from "../decisions/index.js";
import { checkObject, rejectUnknown } from "../errors/index.js";
import { exp, log1p } from "../numerics/index.js";
import type { Note } from "../tally/index.js";
import { formatShape, softmax, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import {
  type Calibrator,
  type CalibratorJson,
  calibratorJson,
  numbersOf,
  probabilitiesLike,
  readParameter,
  readParameters,
} from "./calibrator.js";
import { type LabeledLogits, type LabeledLogitsInput, logitsFix, readLabeledLogits } from "./labeled-logits.js";

const where = "vectorScaling";

/** How strongly the parameters are held near scale 1 and bias 0, against the mean loss. */
const RIDGE = 1e-9;

export interface VectorCalibrator extends Calibrator<"vectorScaling", "logits"> {
  /** One number a class: `[K]`. */
  readonly scale: Tensor<Unlabeled, "float64">;
  /** One number a class, `[K]`, with sum 0: what all classes share changes no probability. */
  readonly bias: Tensor<Unlabeled, "float64">;
  /** Mean negative log-likelihood of the samples it was fitted on, after and before. */
  readonly nll: number;
  readonly nllBefore: number;
}

/**
 * A scale and a bias for each class: p = softmax(a ⊙ z + b).
 *   (a, b) = argmin Σ w (log Σ_k e^(a_k z_k + b_k) − a_y z_y − b_y) / Σ w + (ρ/2) (Σ(a_k − 1)² + Σ b_k²),  ρ = 1e-9
 * It mends classes that are predicted too often, as after class weights, which one temperature cannot; it may change
 * which class comes first. It has 2K parameters: with few samples a class, `temperatureScaling` is the safer fit.
 * The loss is convex: Newton steps by conjugate gradients with a line search, over rows in an order of their own, so
 * that the order of the samples changes no bit. ρ is what holds separable samples, where the likelihood alone has no
 * maximum: a finite fit with a note.
 *
 * @param input - `logits [..., K]`, finite; `labels [...]` in 0..K−1; `weights`, `mask` of the shape of the labels
 * @throws `argument`, `unknown`, `role`, `shape`; `value` for logits and labels out of range and for labels of one class;
 * `empty`
 * @see Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2
 *
 * @example
 * const { scale, bias } = vectorScaling({ logits, labels });
 */
export function vectorScaling(input: LabeledLogitsInput): VectorCalibrator {
  checkObject(where, "argument", input);
  rejectUnknown(where, "argument", input, ["logits", "labels", "weights", "mask"]);
  const samples = readLabeledLogits(where, input, false);
  if (samples.classes === 1) {
    const fix = "for binary logits fit plattScaling: a slope and an intercept.";
    throw wrong(where, "shape", "logits", "one logit a label", "[..., K] logits, K the number of classes", fix);
  }
  const rows = inOwnOrder(samples);
  const problem = new RegularizedLoss(rows);
  const start = new Float64Array(2 * rows.classes).fill(1, 0, rows.classes);
  const nllBefore = problem.moveTo(start).meanLoss;
  const { parameters, isConverged } = minimize(problem, start);
  center(parameters.subarray(rows.classes));
  const { meanLoss, areAllRight } = problem.moveTo(parameters);
  const scale = parameters.slice(0, rows.classes).map((value) => value + 0);
  const bias = parameters.slice(rows.classes).map((value) => value + 0);
  return vectorCalibrator(scale, bias, meanLoss, nllBefore, notesOf(rows, isConverged, areAllRight));
}

function notesOf({ classes, labels }: Rows, isConverged: boolean, areAllRight: boolean): readonly Note[] {
  const notes: Note[] = [];
  const absent = Array.from({ length: classes }, (_, k) => k).filter((k) => !labels.includes(k));
  if (absent.length > 0) {
    const message = `No sample is of class ${absent.slice(0, 10).join(", ")}: its probability goes towards 0. Fit on samples of every class.`;
    notes.push({ code: "absent-class", field: "labels", count: absent.length, message });
  }
  if (areAllRight) {
    const message =
      "The fitted logits are highest at every label: the likelihood alone has no maximum, and the parameters are as " +
      `large as the ridge of ${RIDGE} lets them be. Fit on more samples, or fit temperatureScaling.`;
    notes.push({ code: "separable", field: "logits", message });
  }
  if (!isConverged) {
    const message = `The fit had not settled after ${MOST_STEPS} steps: the parameters lower the loss, but not to the end.`;
    notes.push({ code: "unsettled", message });
  }
  return notes;
}

/** Rows of logits, copied in the order that their own numbers give. */
interface Rows {
  readonly classes: number;
  readonly count: number;
  readonly logits: Float64Array;
  readonly labels: Int32Array;
  readonly weights: Float64Array;
  readonly totalWeight: number;
}

function inOwnOrder({ classes, logits, starts, labels, weights, totalWeight }: LabeledLogits): Rows {
  const count = labels.length;
  const weightOf = (i: number) => (weights ? weights[i]! : 1);
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => {
    if (labels[a] !== labels[b]) return labels[a]! - labels[b]!;
    for (let k = 0; k < classes; k++) {
      const difference = logits[starts[a]! + k]! - logits[starts[b]! + k]!;
      if (difference !== 0) return difference;
    }
    return weightOf(a) - weightOf(b);
  });
  const sorted = new Float64Array(count * classes);
  order.forEach((from, row) => {
    // Adding +0 makes one zero of both.
    for (let k = 0; k < classes; k++) sorted[row * classes + k] = logits[starts[from]! + k]! + 0;
  });
  return {
    classes,
    count,
    logits: sorted,
    labels: Int32Array.from(order, (i) => labels[i]!),
    weights: Float64Array.from(order, weightOf),
    totalWeight,
  };
}

/** The mean loss with its ridge at a point, its gradient, and products with its Hessian. */
class RegularizedLoss {
  readonly size: number;
  readonly gradient: Float64Array;
  /** Of the Hessian: its diagonal, and what joins scale and bias of each class. */
  readonly diagonal: Float64Array;
  readonly joint: Float64Array;
  /** Without the ridge. */
  meanLoss = 0;
  /** With it. */
  value = 0;
  /** Whether each label's logit is above all others. */
  areAllRight = false;
  private readonly probabilities: Float64Array;

  constructor(private readonly rows: Rows) {
    this.size = 2 * rows.classes;
    this.gradient = new Float64Array(this.size);
    this.diagonal = new Float64Array(this.size);
    this.joint = new Float64Array(rows.classes);
    this.probabilities = new Float64Array(rows.count * rows.classes);
  }

  /** Computes everything at parameters: scales, then biases. */
  moveTo(parameters: Float64Array): this {
    const { classes, count, logits, labels, weights, totalWeight } = this.rows;
    const { gradient, diagonal, joint, probabilities } = this;
    gradient.fill(0);
    diagonal.fill(0);
    joint.fill(0);
    const row = new Float64Array(classes);
    let loss = 0;
    let right = 0;
    for (let i = 0; i < count; i++) {
      const start = i * classes;
      let top = 0;
      for (let k = 0; k < classes; k++) {
        row[k] = parameters[k]! * logits[start + k]! + parameters[classes + k]!;
        if (row[k]! > row[top]!) top = k;
      }
      const [peak, label, weight] = [row[top]!, labels[i]!, weights[i]!];
      let others = 0;
      let ties = 0;
      for (let k = 0; k < classes; k++) {
        if (row[k] === peak) ties++;
        row[k] = k === top ? 1 : exp(row[k]! - peak);
        if (k !== top) others += row[k]!;
      }
      const missing = peak - (parameters[label]! * logits[start + label]! + parameters[classes + label]!);
      loss += weight * (log1p(others) + missing);
      if (missing === 0 && ties === 1) right++;
      for (let k = 0; k < classes; k++) {
        const p = row[k]! / (1 + others);
        probabilities[start + k] = p;
        const residual = weight * (k === label ? p - 1 : p);
        gradient[k]! += residual * logits[start + k]!;
        gradient[classes + k]! += residual;
        const curvature = weight * p * (1 - p);
        diagonal[k]! += curvature * logits[start + k]! * logits[start + k]!;
        joint[k]! += curvature * logits[start + k]!;
        diagonal[classes + k]! += curvature;
      }
    }
    this.meanLoss = loss / totalWeight;
    this.areAllRight = right === count;
    let ridge = 0;
    for (let j = 0; j < this.size; j++) {
      const away = parameters[j]! - (j < classes ? 1 : 0);
      ridge += away * away;
      gradient[j] = gradient[j]! / totalWeight + RIDGE * away;
      diagonal[j] = diagonal[j]! / totalWeight + RIDGE;
    }
    for (let k = 0; k < classes; k++) joint[k]! /= totalWeight;
    this.value = this.meanLoss + (RIDGE / 2) * ridge;
    return this;
  }

  /** The Hessian at the point moved to, times a vector. */
  multiply(vector: Float64Array): Float64Array {
    const { classes, count, logits, weights, totalWeight } = this.rows;
    const { probabilities } = this;
    const out = new Float64Array(this.size);
    const moved = new Float64Array(classes);
    for (let i = 0; i < count; i++) {
      const start = i * classes;
      let mean = 0;
      for (let k = 0; k < classes; k++) {
        moved[k] = vector[k]! * logits[start + k]! + vector[classes + k]!;
        mean += probabilities[start + k]! * moved[k]!;
      }
      for (let k = 0; k < classes; k++) {
        const change = weights[i]! * probabilities[start + k]! * (moved[k]! - mean);
        out[k]! += change * logits[start + k]!;
        out[classes + k]! += change;
      }
    }
    for (let j = 0; j < this.size; j++) out[j] = out[j]! / totalWeight + RIDGE * vector[j]!;
    return out;
  }
}

const MOST_STEPS = 200;
/** Twice what is left to gain of the mean loss, where the fit ends. */
const SETTLED = 1e-22;

function minimize(problem: RegularizedLoss, start: Float64Array) {
  const parameters = start.slice();
  problem.moveTo(parameters);
  for (let step = 0; step < MOST_STEPS; step++) {
    const direction = newtonDirection(problem);
    const slope = dot(problem.gradient, direction);
    const before = problem.value;
    const moved = (share: number) => parameters.map((value, j) => value + share * direction[j]!);
    if (!(-slope > SETTLED)) {
      if (slope < 0) parameters.set(moved(1));
      return { parameters, isConverged: true };
    }
    let share = 1;
    const allowed = 1e-15 * Math.abs(before);
    while (!(problem.moveTo(moved(share)).value <= before + 1e-4 * share * slope + allowed)) {
      share /= 2;
      // No step lowers the loss as it is rounded: this is its floor.
      if (share < 1e-12) return { parameters, isConverged: true };
    }
    parameters.set(moved(share));
  }
  return { parameters, isConverged: false };
}

/** −H⁻¹g by conjugate gradients, preconditioned by the blocks of each class, the closer the nearer the end. */
function newtonDirection(problem: RegularizedLoss): Float64Array {
  const { size, gradient, diagonal, joint } = problem;
  const classes = size / 2;
  const direction = new Float64Array(size);
  const residual = gradient.map((value) => -value);
  const scaled = () => {
    const out = new Float64Array(size);
    for (let k = 0; k < classes; k++) {
      const [a, b, c] = [diagonal[k]!, joint[k]!, diagonal[classes + k]!];
      // a·c − b², as c times what is left of a.
      const rest = Math.max(a - (b / c) * b, 1e-12 * a);
      out[k] = (residual[k]! - (b / c) * residual[classes + k]!) / rest;
      out[classes + k] = (residual[classes + k]! - b * out[k]!) / c;
    }
    return out;
  };
  let preconditioned = scaled();
  let search = preconditioned;
  let norm = dot(residual, preconditioned);
  const enough = norm * Math.min(0.01, norm);
  for (let step = 0; step < 2 * size + 20 && norm > enough; step++) {
    const curved = problem.multiply(search);
    const curvature = dot(search, curved);
    if (!(curvature > 0)) break;
    const share = norm / curvature;
    for (let j = 0; j < size; j++) {
      direction[j]! += share * search[j]!;
      residual[j]! -= share * curved[j]!;
    }
    preconditioned = scaled();
    const next = dot(residual, preconditioned);
    const kept = next / norm;
    search = preconditioned.map((value, j) => value + kept * search[j]!);
    norm = next;
  }
  return direction;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < left.length; j++) sum += left[j]! * right[j]!;
  return sum;
}

/** Takes off the mean. */
function center(values: Float64Array): void {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  for (let k = 0; k < values.length; k++) values[k]! -= mean;
}

function vectorCalibrator(
  scale: Float64Array,
  bias: Float64Array,
  nll: number,
  nllBefore: number,
  notes: readonly Note[],
): VectorCalibrator {
  const classes = scale.length;
  return {
    method: where,
    scale: view(scale, [classes], "unlabeled", "float64"),
    bias: view(bias, [classes], "unlabeled", "float64"),
    nll,
    nllBefore,
    notes,
    apply(given: Numbers<"logits">) {
      const logits = readTensor(where, "logits", given, ["logits"], logitsFix);
      if (logits.shape.at(-1) !== classes) {
        const expected = `[..., ${classes}], as it was fitted on`;
        throw wrong(where, "shape", "logits", formatShape(logits.shape), expected);
      }
      const moved = Float64Array.from(numbersOf(logits), (z, i) => scale[i % classes]! * z + bias[i % classes]!);
      const rows = softmax(view(moved, logits.shape, "logits", "float64"));
      return probabilitiesLike(logits, rows.data as Float64Array);
    },
    toJSON: (): CalibratorJson<typeof where> =>
      calibratorJson(where, { scale: [...scale], bias: [...bias], nll, nllBefore }),
  };
}

export const vectorKeys = ["scale", "bias", "nll", "nllBefore"];

/** @throws `argument` for JSON that `toJSON` did not write */
export function readVector(json: Readonly<Record<string, unknown>>): VectorCalibrator {
  const scale = readParameters(json, "scale");
  const bias = readParameters(json, "bias", scale.length);
  const words = "a finite number";
  return vectorCalibrator(scale, bias, readParameter(json, "nll", words), readParameter(json, "nllBefore", words), []);
}
