import { type Numbers, readTensor, wrong } from "../decisions/index.js";
import { checkObject, rejectUnknown } from "../errors/index.js";
import { exp, log1p, log1pExp, sigmoid } from "../numerics/index.js";
import { ExactSum, type Note } from "../tally/index.js";
import { formatShape, softmax, view } from "../tensor/index.js";
import {
  type Calibrator,
  type CalibratorJson,
  calibratorJson,
  numbersOf,
  probabilitiesLike,
  readParameter,
} from "./calibrator.js";
import { type LabeledLogits, type LabeledLogitsInput, logitsFix, readLabeledLogits } from "./labeled-logits.js";

const where = "temperatureScaling";

/** Temperatures between which the fit looks. */
const LOWEST = 1e-3;
const HIGHEST = 1e3;

export interface TemperatureCalibrator extends Calibrator<"temperatureScaling", "logits"> {
  /** Logits are divided by it: above 1 the model was too sure, below 1 not sure enough. */
  readonly temperature: number;
  /** Mean negative log-likelihood of the samples it was fitted on, after and before. */
  readonly nll: number;
  readonly nllBefore: number;
  /** Entries of the last axis of the logits; 1 for binary logits, each of which is a sample. */
  readonly classes: number;
}

/**
 * One number T that makes probabilities as sure as they are right: p = softmax(z / T), or σ(z / T) of binary logits.
 *   T = argmin Σ w (log Σ_k e^(z_k/T) − z_y/T) / Σ w
 * The order of the classes stays, so accuracy and AUROC do. The likelihood is convex in 1/T: Newton steps, kept between
 * bounds that close in, on sums that are exact, so that the order of the samples changes no bit.
 * Where every label has the highest logit the likelihood rises forever as T falls: T ends at 0.001 with a note; where the
 * logits say less than nothing about the labels it ends at 1000, with a note. Where all logits of each sample are
 * equal, no T differs from another: it stays 1, with a note.
 *
 * @param input - `logits [..., K]` with `labels [...]` in 0..K−1, or binary `logits` with `labels` of their shape;
 * `weights`, `mask` of the shape of the labels. A logit may be −∞ where its class is not the label
 * @throws `argument`, `unknown`, `role`, `shape`; `value` for logits and labels out of range and for labels of one class;
 * `empty`
 * @see Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2
 *
 * @example
 * const calibrator = temperatureScaling({ logits: heldOutLogits, labels });
 * calibrator.apply(logits);
 */
export function temperatureScaling(input: LabeledLogitsInput): TemperatureCalibrator {
  checkObject(where, "argument", input);
  rejectUnknown(where, "argument", input, ["logits", "labels", "weights", "mask"]);
  const samples = readLabeledLogits(where, input, true);
  const likelihood = samples.classes === 1 ? binaryLikelihood(samples) : classLikelihood(samples);
  const nllAt = (inverse: number) => likelihood(inverse).loss / samples.totalWeight;
  const { inverse, note } = isFlat(samples) ? { inverse: 1, note: flatNote } : steepest(likelihood);
  const notes = note ? [note] : [];
  return temperatureCalibrator(1 / inverse, nllAt(inverse), nllAt(1), samples.classes, notes);
}

/** Sums over the samples at an inverse temperature b: −log-likelihood, its slope and its curvature in b. */
interface Likelihood {
  readonly loss: number;
  readonly slope: number;
  readonly curvature: number;
}

const flatNote: Note = {
  code: "flat-logits",
  field: "logits",
  message: "All logits of each sample are equal, so every temperature gives the same probabilities: it stays 1.",
};

const separableNote: Note = {
  code: "separable",
  field: "logits",
  message:
    `The likelihood still rises as the temperature falls to ${LOWEST}, where the fit ends: ` +
    "nearly every label has the highest logit. Fit on samples that the model was not trained on, or on more of them.",
};

const uninformativeNote: Note = {
  code: "uninformative",
  field: "logits",
  message:
    `The likelihood still rises as the temperature rises to ${HIGHEST}, where the fit ends: ` +
    "the logits say nothing of these labels, or the contrary. Compare the order of the classes in logits and labels.",
};

/** The inverse temperature where the slope is 0, between the bounds; a bound, with a note, where it is 0 nowhere. */
function steepest(likelihood: (inverse: number) => Likelihood): { readonly inverse: number; readonly note?: Note } {
  let [low, high] = [1 / HIGHEST, 1 / LOWEST];
  if (likelihood(low).slope >= 0) return { inverse: low, note: uninformativeNote };
  if (likelihood(high).slope <= 0) return { inverse: high, note: separableNote };
  let inverse = 1;
  for (let step = 0; step < 200; step++) {
    const { slope, curvature } = likelihood(inverse);
    if (slope === 0) return { inverse };
    if (slope < 0) low = inverse;
    else high = inverse;
    const shift = slope / curvature;
    const newton = inverse - shift;
    // Before the bounds are asked: a shift below rounding leads to a bound.
    if (Math.abs(shift) <= 2 * Number.EPSILON * inverse) return { inverse: newton };
    // Outside of what is known (or not a number), the middle in ratio: it closes in at least as bisection does.
    const next = newton > low && newton < high ? newton : Math.sqrt(low * high);
    if (next === inverse) return { inverse };
    inverse = next;
  }
  return { inverse };
}

function isFlat({ classes, logits, starts }: LabeledLogits): boolean {
  return starts.every((start) => {
    if (classes === 1) return logits[start] === 0;
    for (let k = 1; k < classes; k++) if (logits[start + k] !== logits[start]) return false;
    return true;
  });
}

function binaryLikelihood({ logits, starts, labels, weights }: LabeledLogits) {
  const [loss, slope, curvature] = [new ExactSum(), new ExactSum(), new ExactSum()];
  return (inverse: number): Likelihood => {
    for (const sum of [loss, slope, curvature]) sum.clear();
    for (let i = 0; i < starts.length; i++) {
      const weight = weights ? weights[i]! : 1;
      // How far the logit points away from the label.
      const away = labels[i] === 1 ? -logits[starts[i]!]! : logits[starts[i]!]!;
      const missed = sigmoid(inverse * away);
      loss.add(weight * log1pExp(inverse * away));
      slope.add(weight * (away * missed));
      curvature.add(weight * (away * missed) * (away * sigmoid(-inverse * away)));
    }
    return { loss: loss.value, slope: slope.value, curvature: curvature.value };
  };
}

function classLikelihood({ classes, logits, starts, labels, weights }: LabeledLogits) {
  const [loss, slope, curvature] = [new ExactSum(), new ExactSum(), new ExactSum()];
  const masses = new Float64Array(classes);
  return (inverse: number): Likelihood => {
    for (const sum of [loss, slope, curvature]) sum.clear();
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i]!;
      let top = 0;
      for (let k = 1; k < classes; k++) if (logits[start + k]! > logits[start + top]!) top = k;
      const peak = logits[start + top]!;
      // Relative to the highest: its own mass is 1, the others' are summed apart, so that small ones are not lost.
      let others = 0;
      let mean = 0;
      for (let k = 0; k < classes; k++) {
        const below = logits[start + k]! - peak;
        masses[k] = k === top ? 1 : exp(inverse * below);
        if (k === top || masses[k] === 0) continue;
        others += masses[k]!;
        mean += masses[k]! * below;
      }
      mean /= 1 + others;
      let variance = 0;
      for (let k = 0; k < classes; k++) {
        if (masses[k] === 0) continue;
        const deviation = logits[start + k]! - peak - mean;
        variance += masses[k]! * deviation * deviation;
      }
      const weight = weights ? weights[i]! : 1;
      const missing = peak - logits[start + labels[i]!]!;
      loss.add(weight * (log1p(others) + inverse * missing));
      slope.add(weight * (mean + missing));
      curvature.add(weight * (variance / (1 + others)));
    }
    return { loss: loss.value, slope: slope.value, curvature: curvature.value };
  };
}

function temperatureCalibrator(
  temperature: number,
  nll: number,
  nllBefore: number,
  classes: number,
  notes: readonly Note[],
): TemperatureCalibrator {
  return {
    method: where,
    temperature,
    nll,
    nllBefore,
    classes,
    notes,
    apply(given: Numbers<"logits">) {
      const logits = readTensor(where, "logits", given, ["logits"], logitsFix);
      if (classes > 1 && logits.shape.at(-1) !== classes) {
        const expected = `[..., ${classes}], as it was fitted on`;
        throw wrong(where, "shape", "logits", formatShape(logits.shape), expected);
      }
      const scaled = Float64Array.from(numbersOf(logits), (z) => z / temperature);
      if (classes === 1) return probabilitiesLike(logits, scaled.map(sigmoid));
      const rows = softmax(view(scaled, logits.shape, "logits", "float64"));
      return probabilitiesLike(logits, rows.data as Float64Array);
    },
    toJSON: (): CalibratorJson<typeof where> => calibratorJson(where, { classes, temperature, nll, nllBefore }),
  };
}

export const temperatureKeys = ["classes", "temperature", "nll", "nllBefore"];

/** @throws `argument` for JSON that `toJSON` did not write */
export function readTemperature(json: Readonly<Record<string, unknown>>): TemperatureCalibrator {
  const isInside = (value: number) => value >= LOWEST && value <= HIGHEST;
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  return temperatureCalibrator(
    readParameter(json, "temperature", `a number between ${LOWEST} and ${HIGHEST}`, isInside),
    readParameter(json, "nll", "a finite number"),
    readParameter(json, "nllBefore", "a finite number"),
    readParameter(json, "classes", "a whole number of at least 1", isCount),
    [],
  );
}
