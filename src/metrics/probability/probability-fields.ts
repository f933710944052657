import { LosswrightError } from "../../errors/index.js";
import { isTensor, type Tensor, type Unlabeled } from "../../tensor/index.js";
import {
  type BoundFields,
  type CommonFields,
  type GivenFields,
  type MetricField,
  probabilityRange,
} from "../fields.js";

/** Probabilities beside labels: `[...]` of class 1 against 0 and 1, or `[..., K]` against class indices `[...]`. */
export interface ProbabilityFields extends CommonFields {
  readonly probabilities: Tensor<"probabilities" | Unlabeled>;
  readonly labels: Tensor<"classIndices" | "targets" | "mask" | Unlabeled>;
}

/** The fields, whose axes follow from how many the probabilities have beyond the labels. */
export function probabilityFields(given: GivenFields = {}): Readonly<Record<string, MetricField>> {
  const { probabilities, labels } = given;
  const perClass =
    isTensor(probabilities) && isTensor(labels) && probabilities.shape.length === labels.shape.length + 1;
  return {
    probabilities: {
      meaning: perClass ? "the probability of each class" : "the probability of class 1",
      axes: perClass ? ["...", "K"] : ["..."],
      holds: "reals",
      range: probabilityRange,
      roles: ["probabilities"],
    },
    labels: {
      meaning: perClass ? "the class of each sample, from 0" : "the class of each sample, 0 or 1",
      axes: ["..."],
      holds: perClass ? "indices" : "flags",
      roles: ["classIndices", "targets", "mask"],
    },
  };
}

/** Rows of half-precision softmax add up to 1 within so much; logits or independent probabilities do not. */
const slack = 0.01;

/** How a metric reads samples of probabilities. */
export interface ProbabilityReader {
  /** Classes along the last axis; 1 where only class 1 is given. */
  readonly classes: number;
  readonly label: (sample: number) => number;
  readonly probability: (sample: number, index: number) => number;
}

/**
 * Reads probabilities with their labels.
 *
 * @throws (from `label`) `value` for a row of classes that does not add up to 1
 */
export function readProbabilities(fields: BoundFields): ProbabilityReader {
  const value = fields.reals("probabilities");
  if (!fields.hasAxis("K")) {
    refuseOneHot(fields);
    return { classes: 1, label: fields.flags("labels"), probability: (sample) => value(sample) };
  }
  const classes = fields.size("K");
  const label = fields.indices("labels", classes);
  const checkedLabel = (sample: number) => {
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += value(sample * classes + k);
    if (Math.abs(sum - 1) <= slack) return label(sample);
    const error = fields.wrong(
      "probabilities",
      sample * classes,
      `a row that adds up to ${sum}`,
      "probabilities of classes, which add up to 1",
    );
    throw new LosswrightError({
      ...error.toJSON(),
      fix: "of logits take softmax first; of independent labels score each on its own.",
    });
  };
  return { classes, label: checkedLabel, probability: (sample, index) => value(sample * classes + index) };
}

/** Rows of probabilities that add up to 1 beside rows with a single 1: classes, given as flags. */
function refuseOneHot(fields: BoundFields): void {
  const length = fields.shape.at(-1) ?? 0;
  if (fields.shape.length < 2 || length < 2) return;
  const [probability, flag] = [fields.raw("probabilities"), fields.raw("labels")];
  for (let row = 0; row < fields.count; row += length) {
    let [sum, flags] = [0, 0];
    for (let k = row; k < row + length; k++) {
      sum += probability(k);
      flags += flag(k);
    }
    // NaN and unequal sums alike say that rows are no classes.
    if (!(Math.abs(sum - 1) < 1e-6) || flags !== 1) return;
  }
  if (fields.count === 0) return;
  throw fields.wrong(
    "labels",
    0,
    "rows of flags with a single 1, beside rows of probabilities that add up to 1",
    "class indices [...] beside probabilities [..., K]",
    "pass the index of the 1 in each row; to score every entry on its own, flatten both to one axis.",
  );
}
