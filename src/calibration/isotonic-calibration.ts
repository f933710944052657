import {
  type BinarySamples,
  checkBothClasses,
  type Numbers,
  readBinarySamples,
  readTensor,
  type SampleWeights,
} from "../decisions/index.js";
import { checkObject, rejectUnknown } from "../errors/index.js";
import { sortedOrder } from "../numerics/index.js";
import { ExactSum } from "../tally/index.js";
import { type Tensor, view } from "../tensor/index.js";
import {
  type Calibrator,
  type CalibratorJson,
  calibratorJson,
  damaged,
  numbersOf,
  probabilitiesLike,
  readParameters,
} from "./calibrator.js";

const where = "isotonicCalibration";
const roles = ["scores", "logits", "probabilities", "logProbabilities"] as const;
type Scores = Numbers<(typeof roles)[number]>;

export interface IsotonicCalibrationInput extends SampleWeights {
  /** Of any shape; only their order and their distances between neighbors count. */
  readonly scores: Scores;
  /** 0 or 1, of the same shape. */
  readonly labels: Numbers<"classIndices" | "targets">;
}

export interface IsotonicCalibrator extends Calibrator<"isotonicCalibration", (typeof roles)[number]> {
  /** Scores in ascending order and the probabilities there, none below the one before: `[P]` each. */
  readonly thresholds: { readonly x: Tensor<"scores", "float64">; readonly y: Tensor<"probabilities", "float64"> };
}

/**
 * Probabilities by the monotone curve nearest to the labels, of any form.
 *   min Σ w (y_i − f(s_i))²  over all f that never fall
 * Equal scores are averaged first, then neighbors that fall are pooled until none does (pool adjacent violators). Between
 * thresholds the curve is linear, beyond the first and the last it is level. The order of scores stays, but for ties.
 * It takes a thousand samples or so to be worth its freedom; with fewer, `plattScaling`.
 * Weights of equal scores are summed exactly, pools in twice the precision of a number: no order of samples changes a bit.
 *
 * @throws `argument`, `unknown`, `role`, `shape`; `value` for labels other than 0 and 1, scores that are not finite, or
 * labels of one class; `empty`
 * @see Zadrozny and Elkan 2002; scikit-learn `IsotonicRegression(out_of_bounds="clip")`
 *
 * @example
 * const calibrator = isotonicCalibration({ scores, labels });
 * calibrator.apply(scores); // a NaN stays one
 */
export function isotonicCalibration(input: IsotonicCalibrationInput): IsotonicCalibrator {
  checkObject(where, "argument", input);
  rejectUnknown(where, "argument", input, ["scores", "labels", "weights", "mask"]);
  const samples = readBinarySamples(where, input, roles);
  checkBothClasses(where, samples.positives, samples.scores.length);
  const groups = groupsOf(samples);
  const { firsts, means } = pool(groups);
  const [x, y]: [number[], number[]] = [[], []];
  for (let i = 0; i < firsts.length; i++) {
    const [first, last] = [firsts[i]!, (firsts[i + 1] ?? groups.scores.length) - 1];
    // Of a level piece its two ends say all.
    x.push(groups.scores[first]!);
    y.push(means[i]!);
    if (last === first) continue;
    x.push(groups.scores[last]!);
    y.push(means[i]!);
  }
  return isotonicCalibrator(Float64Array.from(x), Float64Array.from(y));
}

/** The distinct scores in ascending order, with the weight of their samples and of those with label 1. */
interface Groups {
  readonly scores: Float64Array;
  readonly weights: Float64Array;
  readonly positives: Float64Array;
}

function groupsOf({ scores, positive, weights }: BinarySamples): Groups {
  const order = sortedOrder(scores);
  let count = 1;
  for (let i = 1; i < order.length; i++) if (scores[order[i]!] !== scores[order[i - 1]!]) count++;
  const out = {
    scores: new Float64Array(count),
    weights: new Float64Array(count),
    positives: new Float64Array(count),
  };
  const [all, ones] = [new ExactSum(), new ExactSum()];
  for (let i = 0, at = 0; i < order.length; i++) {
    const index = order[i]!;
    const weight = weights ? weights[index]! : 1;
    all.add(weight);
    if (positive[index]) ones.add(weight);
    if (i + 1 < order.length && scores[order[i + 1]!] === scores[index]) continue;
    // Adding +0 makes one zero of both.
    out.scores[at] = scores[index]! + 0;
    out.weights[at] = all.value;
    out.positives[at++] = ones.value;
    all.clear();
    ones.clear();
  }
  return out;
}

/** Pools neighbors whose means do not rise. Returns the first group of each pool, and its mean. */
function pool({ weights, positives }: Groups): { readonly firsts: number[]; readonly means: number[] } {
  const [firsts, means]: [number[], number[]] = [[], []];
  // Sums in two parts each, the rounding error apart: exact for counts, and to 2^−100 for weights.
  const sums: { weight: number; weightLow: number; positive: number; positiveLow: number }[] = [];
  for (let i = 0; i < weights.length; i++) {
    let first = i;
    let sum = { weight: weights[i]!, weightLow: 0, positive: positives[i]!, positiveLow: 0 };
    let mean = sum.positive / sum.weight;
    while (means.length > 0 && means.at(-1)! >= mean) {
      const before = sums.pop()!;
      first = firsts.pop()!;
      means.pop();
      const weight = before.weight + sum.weight;
      const positive = before.positive + sum.positive;
      sum = {
        weight,
        weightLow: errorOfSum(before.weight, sum.weight, weight) + (before.weightLow + sum.weightLow),
        positive,
        positiveLow: errorOfSum(before.positive, sum.positive, positive) + (before.positiveLow + sum.positiveLow),
      };
      mean = (sum.positive + sum.positiveLow) / (sum.weight + sum.weightLow);
    }
    firsts.push(first);
    means.push(Math.min(1, mean));
    sums.push(sum);
  }
  return { firsts, means };
}

/** a + b − sum, exactly (Knuth). */
function errorOfSum(a: number, b: number, sum: number): number {
  const part = sum - a;
  return a - (sum - part) + (b - part);
}

function isotonicCalibrator(x: Float64Array, y: Float64Array): IsotonicCalibrator {
  const thresholds = {
    x: view(x, [x.length], "scores", "float64"),
    y: view(y, [y.length], "probabilities", "float64"),
  };
  return {
    method: where,
    thresholds,
    notes: [],
    apply(given: Scores) {
      const scores = readTensor(where, "scores", given, roles);
      return probabilitiesLike(
        scores,
        Float64Array.from(numbersOf(scores), (score) => probabilityAt(x, y, score)),
      );
    },
    toJSON: (): CalibratorJson<typeof where> => calibratorJson(where, { thresholds: { x: [...x], y: [...y] } }),
  };
}

function probabilityAt(x: Float64Array, y: Float64Array, score: number): number {
  if (Number.isNaN(score)) return score;
  // The last threshold at or below the score.
  let [low, high] = [-1, x.length];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (x[middle]! <= score) low = middle;
    else high = middle;
  }
  if (low < 0) return y[0]!;
  if (low === x.length - 1 || x[low] === score) return y[low]!;
  const share = (score - x[low]!) / (x[high]! - x[low]!);
  return Math.min(y[high]!, y[low]! + share * (y[high]! - y[low]!));
}

export const isotonicKeys = ["thresholds"];

/** @throws `argument` for JSON that `toJSON` did not write */
export function readIsotonic(json: Readonly<Record<string, unknown>>): IsotonicCalibrator {
  const { thresholds } = json;
  if (typeof thresholds !== "object" || thresholds === null) throw damaged("thresholds", thresholds, "{ x, y }");
  rejectUnknown("calibratorFrom", "key", thresholds, ["x", "y"]);
  const given = thresholds as Readonly<Record<string, unknown>>;
  const x = readParameters(given, "x");
  const y = readParameters(given, "y", x.length);
  const unsorted = x.findIndex((value, i) => i > 0 && !(value > x[i - 1]!));
  if (unsorted >= 0) throw damaged("x", x[unsorted], `scores that rise, above ${x[unsorted - 1]} at [${unsorted}]`);
  const falling = y.findIndex((value, i) => value < (i > 0 ? y[i - 1]! : 0) || value > 1);
  if (falling >= 0) throw damaged("y", y[falling], `probabilities in [0, 1] that do not fall, at [${falling}]`);
  return isotonicCalibrator(x, y);
}
