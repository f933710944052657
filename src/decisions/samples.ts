import { formatShape, placeOf, type Role, sameShape, type Tensor } from "../tensor/index.js";
import { type Numbers, type Range, readTensor, wrong } from "./numbers.js";

/** What says how much each sample counts: both have the shape of the labels. */
export interface SampleWeights {
  /** Finite, at least 0; a sample of weight 0 is not read. */
  readonly weights?: Numbers<"weights">;
  /** 0 or 1; a sample under 0 is not read. */
  readonly mask?: Numbers<"mask">;
}

/** Samples with a score and a label of 0 or 1: those alone that count. */
export interface BinarySamples {
  readonly scores: Float64Array;
  /** 1 where the label is 1. */
  readonly positive: Uint8Array;
  /** Undefined where every sample weighs 1. */
  readonly weights: Float64Array | undefined;
  /** How many samples have the label 1. */
  readonly positives: number;
}

/** Far above any score, and squares of it still far below the largest float64. */
const LARGEST = 1e100;

/** What a score must be. Differences and squares of such numbers do not overflow. */
const finiteScore: Range = {
  has: (value) => Math.abs(value) <= LARGEST,
  words: "a finite score of at most 1e100",
  fix: "find out which sample gave it; a sample that is not to count gets a mask of 0.",
};

const zeroOrOne: Range = {
  has: (value) => value === 0 || value === 1,
  words: "0 or 1",
  fix: "labels of −1 and 1 become (label + 1) / 2; a sample that is not to count gets a mask of 0.",
};

/**
 * How much each sample counts: weight times mask, or undefined where all count 1.
 *
 * @throws `argument`, `role`; `shape` for another shape than the labels'; `value` for a weight that is negative or not
 * finite (under the mask none is read), or a mask of anything but 0 and 1; `empty` where no sample is left
 */
export function readSampleWeights(
  where: string,
  given: SampleWeights,
  shape: readonly number[],
  count: number,
): Float64Array | undefined {
  const mask = given.mask === undefined ? undefined : readLike(where, "mask", given.mask, ["mask"], shape);
  const weights =
    given.weights === undefined ? undefined : readLike(where, "weights", given.weights, ["weights"], shape);
  let total = count;
  let out: Float64Array | undefined;
  if (mask || weights) {
    total = 0;
    out = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const live = mask ? Number(mask.data[i]) : 1;
      if (live !== 0 && live !== 1) throw outOfRange(where, "mask", live, i, shape, { words: "0 or 1" });
      const weight = live && weights ? Number(weights.data[i]) : live;
      if (!(weight >= 0 && weight <= LARGEST)) {
        throw outOfRange(where, "weights", weight, i, shape, { words: "a finite weight of at least 0" });
      }
      out[i] = weight;
      if (weight > 0) total++;
    }
  }
  if (total > 0) return out;
  const found = count === 0 ? `labels of shape ${formatShape(shape)}` : `${count} samples of weight 0`;
  throw wrong(where, "empty", "labels", found, "at least one sample that counts", "pass held-out samples.");
}

/**
 * Scores and labels of two classes, with what does not count taken out.
 *
 * @throws as {@link readSampleWeights}; `value` for a score that is not finite or a label that is neither 0 nor 1
 */
export function readBinarySamples(
  where: string,
  input: { readonly scores: unknown; readonly labels: unknown } & SampleWeights,
  roles: readonly Role[],
  roleFix?: string,
): BinarySamples {
  const scores = readTensor(where, "scores", input.scores, roles, roleFix);
  const labels = readLike(where, "labels", input.labels, ["classIndices", "targets"], scores.shape, "scores");
  const count = labels.data.length;
  const weights = readSampleWeights(where, input, labels.shape, count);
  let live = count;
  if (weights) for (let i = 0; i < count; i++) if (weights[i] === 0) live--;
  const kept = {
    scores: new Float64Array(live),
    positive: new Uint8Array(live),
    weights: weights && new Float64Array(live),
  };
  let positives = 0;
  for (let i = 0, at = 0; i < count; i++) {
    if (weights?.[i] === 0) continue;
    const [score, label] = [Number(scores.data[i]), Number(labels.data[i])];
    if (!finiteScore.has(score)) throw outOfRange(where, "scores", score, i, scores.shape, finiteScore);
    if (!zeroOrOne.has(label)) throw outOfRange(where, "labels", label, i, labels.shape, zeroOrOne);
    kept.scores[at] = score;
    kept.positive[at] = label;
    positives += label;
    if (kept.weights) kept.weights[at] = weights![i]!;
    at++;
  }
  return { ...kept, positives };
}

/** Throws `value` where all samples have one label, of which nothing can be learned about the other. */
export function checkBothClasses(where: string, positives: number, count: number): void {
  if (positives > 0 && positives < count) return;
  throw wrong(
    where,
    "value",
    "labels",
    `${count} labels, all of them ${positives > 0 ? 1 : 0}`,
    "samples of both classes",
    "pass held-out samples of both; one class says nothing about where the other begins.",
  );
}

/** A tensor of the same shape as another field. */
export function readLike(
  where: string,
  field: string,
  given: unknown,
  roles: readonly Role[],
  shape: readonly number[],
  other = "labels",
): Tensor {
  const found = readTensor(where, field, given, roles);
  if (sameShape(found.shape, shape)) return found;
  throw wrong(where, "shape", field, formatShape(found.shape), `the shape of ${other}, ${formatShape(shape)}`);
}

/** The error for a number out of range, with its place. */
export function outOfRange(
  where: string,
  field: string,
  value: number,
  at: number,
  shape: readonly number[],
  { words, fix }: Pick<Range, "words" | "fix">,
) {
  const index = placeOf(at, shape);
  return wrong(where, "value", field, `${value} at ${formatShape(index)}`, words, fix, index);
}
