import {
  type Numbers,
  outOfRange,
  readSampleWeights,
  readTensor,
  type SampleWeights,
  wrong,
} from "../decisions/index.js";
import { ExactSum } from "../tally/index.js";
import { formatShape, sameShape } from "../tensor/index.js";
import { numbersOf } from "./calibrator.js";

/** Logits with what happened. */
export interface LabeledLogitsInput extends SampleWeights {
  /** `[..., K]` for K classes, or of any shape for binary labels. */
  readonly logits: Numbers<"logits">;
  /** `[...]` of 0..K−1; or 0 and 1, of the shape of the logits. */
  readonly labels: Numbers<"classIndices" | "targets">;
}

/** Rows of logits with their labels, those alone that count. */
export interface LabeledLogits {
  /** 1 for binary logits: a row is one logit. */
  readonly classes: number;
  readonly logits: ArrayLike<number>;
  /** Where each row that counts begins in `logits`. */
  readonly starts: Float64Array;
  readonly labels: Int32Array;
  /** Undefined where every row weighs 1. */
  readonly weights: Float64Array | undefined;
  readonly totalWeight: number;
}

/** Far above any logit; with it, differences times 1000 are still finite. */
const LARGEST = 1e100;

/** What to do about a tensor that holds no logits. */
export const logitsFix =
  "pass what came before the softmax or sigmoid; the logarithms of probabilities of classes are logits too: " +
  'tensor(data, shape, "logits").';

/**
 * Reads logits and labels, with what does not count taken out.
 *
 * @param mayForbid - whether the logit of a class that is not the label may be −∞
 * @throws `argument`, `role`, `shape`, `empty`; `value` for a logit or label out of range, with its place, and for labels
 * that are all of one class
 */
export function readLabeledLogits(where: string, input: LabeledLogitsInput, mayForbid: boolean): LabeledLogits {
  const logits = readTensor(where, "logits", input.logits, ["logits"], logitsFix);
  const labels = readTensor(where, "labels", input.labels, ["classIndices", "targets"]);
  const isBinary = sameShape(labels.shape, logits.shape);
  const classes = isBinary ? 1 : (logits.shape.at(-1) ?? 1);
  if (!isBinary && !sameShape(labels.shape, logits.shape.slice(0, -1))) {
    const expected = `[..., K] logits for labels ${formatShape(labels.shape)}, or binary logits of their shape`;
    throw wrong(where, "shape", "logits", formatShape(logits.shape), expected);
  }
  if (!isBinary && classes < 2) {
    const fix = "of one logit a sample drop the last axis: the labels are 0 and 1 then.";
    throw wrong(where, "shape", "logits", formatShape(logits.shape), "at least two classes in the last axis", fix);
  }
  const count = labels.data.length;
  const weights = readSampleWeights(where, input, labels.shape, count);
  let live = count;
  if (weights) for (let i = 0; i < count; i++) if (weights[i] === 0) live--;
  const out = {
    starts: new Float64Array(live),
    labels: new Int32Array(live),
    weights: weights && new Float64Array(live),
  };
  const numbers = numbersOf(logits);
  const highest = isBinary ? 1 : classes - 1;
  const total = new ExactSum();
  let isMixed = false;
  for (let i = 0, at = 0; i < count; i++) {
    if (weights?.[i] === 0) continue;
    const label = Number(labels.data[i]);
    if (!(Number.isInteger(label) && label >= 0 && label <= highest)) {
      const fix = "a sample that is not to count gets a mask of 0.";
      throw outOfRange(where, "labels", label, i, labels.shape, { words: `a class in 0..${highest}`, fix });
    }
    for (let k = 0; k < classes; k++) {
      const logit = numbers[i * classes + k]!;
      const isForbidden = mayForbid && classes > 1 && k !== label && logit === Number.NEGATIVE_INFINITY;
      if (Math.abs(logit) <= LARGEST || isForbidden) continue;
      const words = mayForbid && classes > 1 ? "a finite logit, or −∞ off the label" : "a finite logit";
      const fix = "find out which sample gave it; a sample that is not to count gets a mask of 0.";
      throw outOfRange(where, "logits", logit, i * classes + k, logits.shape, { words, fix });
    }
    out.starts[at] = i * classes;
    out.labels[at] = label;
    if (out.weights) out.weights[at] = weights![i]!;
    total.add(weights ? weights[i]! : 1);
    isMixed ||= label !== out.labels[0];
    at++;
  }
  if (!isMixed) {
    const fix = "pass held-out samples of every class: one class alone says nothing about how sure to be.";
    throw wrong(
      where,
      "value",
      "labels",
      `${live} labels, all of them ${out.labels[0]}`,
      "labels of more than one class",
      fix,
    );
  }
  return { ...out, classes, logits: numbers, totalWeight: total.value };
}
