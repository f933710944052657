import {
  type BinarySamples,
  checkBothClasses,
  type Numbers,
  readBinarySamples,
  readTensor,
  type SampleWeights,
  wrong,
} from "../decisions/index.js";
import { checkObject, rejectUnknown } from "../errors/index.js";
import { log, log1pExp, sigmoid } from "../numerics/index.js";
import { ExactSum, type Note } from "../tally/index.js";
import {
  type Calibrator,
  type CalibratorJson,
  calibratorJson,
  numbersOf,
  probabilitiesLike,
  readParameter,
} from "./calibrator.js";

const where = "plattScaling";

const roleFix =
  "pass the scores before they became probabilities, whose logarithms of odds are a straight line; " +
  "isotonicCalibration takes probabilities as they are.";

export interface PlattScalingInput extends SampleWeights {
  /** Of any shape: logits, margins, any score where higher means rather 1. */
  readonly scores: Numbers<"scores" | "logits">;
  /** 0 or 1, of the same shape. */
  readonly labels: Numbers<"classIndices" | "targets">;
  /** Platt's targets (default), which keep the fit finite; `false` fits the labels as they are. */
  readonly targetPriors?: boolean;
}

export interface PlattCalibrator extends Calibrator<"plattScaling", "scores" | "logits"> {
  /** p = σ(slope · score + intercept). */
  readonly slope: number;
  readonly intercept: number;
}

/**
 * Probabilities of scores by a logistic curve: p = σ(slope · s + intercept).
 *   (slope, intercept) = argmin −Σ w (t log p + (1 − t) log(1 − p))
 * With `targetPriors` (the default) t is (P + 1)/(P + 2) where the label is 1 and 1/(N + 2) where it is 0, with P and N
 * the weights of both classes: as if one sample more of each had been seen, so that separable scores have a finite fit.
 * Without, t is the label; scores that separate the classes have no finite fit then, and throw.
 * Newton steps with a line search on exact sums: convex, so it ends in the one minimum, whatever the order of the samples.
 * Where all scores are equal the slope is 0, with a note.
 *
 * @throws `argument`, `unknown`, `role`, `shape`, `option`; `value` for labels other than 0 and 1, scores that are not
 * finite, labels of one class, and separable scores without `targetPriors`; `empty`
 * @see Platt 1999; Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs for support vector machines"
 *
 * @example
 * const { slope, intercept } = plattScaling({ scores, labels });
 */
export function plattScaling(input: PlattScalingInput): PlattCalibrator {
  checkObject(where, "argument", input);
  rejectUnknown(where, "argument", input, ["scores", "labels", "weights", "mask", "targetPriors"]);
  const { targetPriors = true } = input;
  if (typeof targetPriors !== "boolean") {
    throw wrong(where, "option", "targetPriors", JSON.stringify(targetPriors) ?? String(targetPriors), "true or false");
  }
  const samples = readBinarySamples(where, input, ["scores", "logits"], roleFix);
  checkBothClasses(where, samples.positives, samples.scores.length);
  const ends = endsOf(samples);
  if (!targetPriors) checkOverlap(ends);
  const targets = targetsOf(samples, targetPriors);
  // On scores in [−1, 1] both parameters have the same scale, and the sums of squares do not cancel.
  const lowest = Math.min(ends.lowest[0], ends.lowest[1]);
  const highest = Math.max(ends.highest[0], ends.highest[1]);
  const [middle, half] = [lowest / 2 + highest / 2, highest / 2 - lowest / 2];
  if (half === 0) return plattCalibrator(0, logitOf(targets.mean), [flatNote]);
  const [slope, intercept] = minimum(samples, targets, middle, half);
  return plattCalibrator(slope / half + 0, intercept - (slope * middle) / half + 0, []);
}

const flatNote: Note = {
  code: "flat-scores",
  field: "scores",
  message: "All scores are equal, so they say nothing: the slope is 0, and every probability is the share of ones.",
};

interface Ends {
  /** Lowest and highest score of the labels 0 and 1. */
  readonly lowest: readonly [number, number];
  readonly highest: readonly [number, number];
}

function endsOf({ scores, positive }: BinarySamples): Ends {
  const lowest: [number, number] = [Infinity, Infinity];
  const highest: [number, number] = [-Infinity, -Infinity];
  for (let i = 0; i < scores.length; i++) {
    const label = positive[i]!;
    if (scores[i]! < lowest[label]!) lowest[label] = scores[i]!;
    if (scores[i]! > highest[label]!) highest[label] = scores[i]!;
  }
  return { lowest, highest };
}

/** Without priors a finite fit exists where each class has a score above the lowest of the other, and only there. */
function checkOverlap({ lowest, highest }: Ends): void {
  const isOverlapping = highest[0] > lowest[1] && highest[1] > lowest[0];
  const isFlat = lowest[0] === highest[0] && lowest[1] === highest[1] && lowest[0] === lowest[1];
  if (isOverlapping || isFlat) return;
  throw wrong(
    where,
    "value",
    "scores",
    `scores of label 0 in [${lowest[0]}, ${highest[0]}] and of label 1 in [${lowest[1]}, ${highest[1]}]`,
    "scores of both labels that overlap: the slope of separated ones has no end",
    "leave targetPriors on, or fit on more samples that the model was not trained on.",
  );
}

interface Targets {
  /** The target of the labels 0 and 1. */
  readonly of: readonly [number, number];
  readonly mean: number;
  readonly weight: number;
}

function targetsOf({ positive, weights, positives }: BinarySamples, priors: boolean): Targets {
  const sums = [new ExactSum(), new ExactSum()] as const;
  if (weights) for (let i = 0; i < positive.length; i++) sums[positive[i] as 0 | 1].add(weights[i]!);
  const negative = weights ? sums[0].value : positive.length - positives;
  const above = weights ? sums[1].value : positives;
  const of = priors ? ([1 / (negative + 2), (above + 1) / (above + 2)] as const) : ([0, 1] as const);
  const weight = negative + above;
  return { of, weight, mean: (of[0] * negative + of[1] * above) / weight };
}

/** Least loss over σ(slope · (s − middle)/half + intercept). */
function minimum(samples: BinarySamples, targets: Targets, middle: number, half: number): readonly [number, number] {
  let [slope, intercept] = [0, logitOf(targets.mean)];
  let at = sumsAt(samples, targets, middle, half, slope, intercept);
  for (let step = 0; step < 100; step++) {
    const [bySlope, byIntercept] = newtonStep(at);
    // Twice what the step would lower the loss by.
    const decrement = -(at.gradient[0] * bySlope + at.gradient[1] * byIntercept);
    if (!(decrement > 1e-28 * targets.weight)) {
      // The last step squares an error that is below rounding already; it is only taken where it is a step.
      return decrement >= 0 ? [slope + bySlope, intercept + byIntercept] : [slope, intercept];
    }
    let share = 1;
    let next = sumsAt(samples, targets, middle, half, slope + bySlope, intercept + byIntercept);
    const allowed = 1e-15 * Math.abs(at.loss);
    while (!(next.loss <= at.loss - 1e-4 * share * decrement + allowed)) {
      share /= 2;
      if (share < 1e-10) return [slope, intercept];
      next = sumsAt(samples, targets, middle, half, slope + share * bySlope, intercept + share * byIntercept);
    }
    slope += share * bySlope;
    intercept += share * byIntercept;
    at = next;
  }
  return [slope, intercept];
}

interface Sums {
  readonly loss: number;
  /** By slope and intercept. */
  readonly gradient: readonly [number, number];
  /** Σ q s², Σ q s, Σ q. */
  readonly curvature: readonly [number, number, number];
}

function sumsAt(
  { scores, positive, weights }: BinarySamples,
  { of }: Targets,
  middle: number,
  half: number,
  slope: number,
  intercept: number,
): Sums {
  const sums = [0, 1, 2, 3, 4, 5].map(() => new ExactSum());
  const [loss, bySlope, byIntercept, squares, mixed, ones] = sums as [
    ExactSum,
    ExactSum,
    ExactSum,
    ExactSum,
    ExactSum,
    ExactSum,
  ];
  for (let i = 0; i < scores.length; i++) {
    const weight = weights ? weights[i]! : 1;
    const target = of[positive[i] as 0 | 1];
    const score = (scores[i]! - middle) / half;
    const logit = slope * score + intercept;
    const [above, below] = [sigmoid(logit), sigmoid(-logit)];
    loss.add(weight * (target * log1pExp(-logit) + (1 - target) * log1pExp(logit)));
    // p − t without the cancellation near a target of 0 or 1.
    const residual = weight * (above * (1 - target) - below * target);
    bySlope.add(residual * score);
    byIntercept.add(residual);
    const curvature = weight * above * below;
    squares.add(curvature * score * score);
    mixed.add(curvature * score);
    ones.add(curvature);
  }
  return {
    loss: loss.value,
    gradient: [bySlope.value, byIntercept.value],
    curvature: [squares.value, mixed.value, ones.value],
  };
}

/** −H⁻¹g; the diagonal is lifted by 1e-12 of itself, so that H has an inverse. */
function newtonStep({ gradient: [a, b], curvature: [squares, mixed, ones] }: Sums): readonly [number, number] {
  const lift = 1 + 1e-12;
  const [p, q] = [squares * lift, ones * lift];
  const determinant = p * q - mixed * mixed;
  return [(mixed * b - q * a) / determinant, (mixed * a - p * b) / determinant];
}

function logitOf(p: number): number {
  return log(p / (1 - p));
}

function plattCalibrator(slope: number, intercept: number, notes: readonly Note[]): PlattCalibrator {
  return {
    method: where,
    slope,
    intercept,
    notes,
    apply(given: Numbers<"scores" | "logits">) {
      const scores = readTensor(where, "scores", given, ["scores", "logits"], roleFix);
      return probabilitiesLike(
        scores,
        Float64Array.from(numbersOf(scores), (score) => sigmoid(slope * score + intercept)),
      );
    },
    toJSON: (): CalibratorJson<typeof where> => calibratorJson(where, { slope, intercept }),
  };
}

export const plattKeys = ["slope", "intercept"];

/** @throws `argument` for JSON that `toJSON` did not write */
export function readPlatt(json: Readonly<Record<string, unknown>>): PlattCalibrator {
  const words = "a finite number";
  return plattCalibrator(readParameter(json, "slope", words), readParameter(json, "intercept", words), []);
}
