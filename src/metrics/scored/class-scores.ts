import { flagOption, nullableOption, numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { isTensor, type Tensor, type Unlabeled } from "../../tensor/index.js";
import type { Samples } from "../accumulators.js";
import { ignoreIndexOption } from "../classification/labels.js";
import type { BoundFields, CommonFields, GivenFields, MetricField } from "../fields.js";

/**
 * Scores beside labels, for metrics of their order: `[...]` of one class against 0 and 1, `[..., K]` against class
 * indices `[...]`, or under `multilabel` against flags `[..., K]`.
 *
 * A sample of K classes is kept as K entries side by side, so that rows can be told apart again after any merge.
 */
export interface ScoreFields extends CommonFields {
  readonly scores: Tensor<"scores" | "logits" | "probabilities" | "logProbabilities" | Unlabeled>;
  readonly labels: Tensor<"classIndices" | "targets" | "mask" | Unlabeled>;
}

/** Options of metrics that read scores of classes. */
export interface ClassScoresOptions {
  /** The number of classes, where it is to be checked; null takes it from the scores. */
  readonly classes: number | null;
  /** Labels are `[..., K]` flags that are each there or not. */
  readonly multilabel: boolean;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

export const classScoresOptions = {
  multilabel: flagOption("labels are [..., K] flags that are each there or not", false),
  classes: nullableOption(
    numberOption("the number of classes, where it is to be checked", 2, { integer: true, atLeast: 2 }),
  ),
  ignoreIndex: ignoreIndexOption,
};

const roles = ["scores", "logits", "probabilities", "logProbabilities"] as const;

/** The fields, whose axes follow from how many the scores have beyond the labels. */
export function scoreFields(multilabel: boolean, given: GivenFields = {}): Readonly<Record<string, MetricField>> {
  const perClass = multilabel || hasClassAxis(given);
  return {
    scores: {
      meaning: perClass ? "a score of each class, higher for likelier" : "a score, higher for likelier positives",
      axes: perClass ? ["...", "K"] : ["..."],
      holds: "reals",
      infinite: true,
      roles,
    },
    labels: {
      meaning: multilabel
        ? "1 where a label is there"
        : perClass
          ? "the class of each sample, from 0"
          : "1 for positives, 0 for negatives",
      axes: multilabel ? ["...", "K"] : ["..."],
      holds: perClass && !multilabel ? "indices" : "flags",
      roles: ["classIndices", "targets", "mask"],
    },
  };
}

/** Whether scores have one axis more than labels: that of the classes. */
function hasClassAxis({ scores, labels }: GivenFields): boolean {
  return isTensor(scores) && isTensor(labels) && scores.shape.length === labels.shape.length + 1;
}

/** Columns of what is kept. `code` is twice the class, plus 1 where it is there. */
export const columns = ["score", "code"] as const;

/** Opens an update that keeps every score with its class and whether the class is there. */
export function openScores(
  where: string,
  fields: BoundFields,
  samples: Samples,
  { classes, multilabel }: Pick<ClassScoresOptions, "classes" | "multilabel">,
): (sample: number, weight: number) => void {
  const score = fields.reals("scores");
  const count = fields.hasAxis("K") ? fields.size("K") : 1;
  checkClasses(where, classes, count);
  if (count === 1 && !multilabel) {
    const label = fields.flags("labels");
    return (sample, weight) => samples.add(weight, score(sample), label(sample));
  }
  samples.reserve(fields.count * count);
  if (multilabel) {
    const flag = fields.flags("labels");
    return (sample, weight) => {
      for (let k = 0; k < count; k++) {
        const at = sample * count + k;
        samples.add(weight, score(at), 2 * k + flag(at));
      }
    };
  }
  const label = fields.indices("labels", count);
  return (sample, weight) => {
    const actual = label(sample);
    for (let k = 0; k < count; k++) samples.add(weight, score(sample * count + k), 2 * k + (k === actual ? 1 : 0));
  };
}

/** @throws `shape` where scores are of another number of classes than the option says */
export function checkClasses(where: string, classes: number | null, count: number): void {
  if (classes === null || classes === count || (classes === 2 && count === 1)) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field: "scores",
    found: count === 1 ? "scores of one class" : `scores of ${count} classes`,
    expected: `${classes} along K, as the option classes says`,
  });
}

/** Scores of one class, or of any set of entries, with 1 for positives. */
export interface Scored {
  readonly scores: Float64Array;
  readonly positive: Uint8Array;
  readonly weights: Float64Array | undefined;
}

/** What {@link openScores} kept, by class and by row. */
export interface ScoredClasses {
  readonly classes: number;
  readonly rows: number;
  /** One class of all rows against the others. */
  of(index: number): Scored;
  /** One row: all its classes. */
  row(index: number): Scored;
  /** Every entry, whatever its class. */
  readonly all: Scored;
  /** The class that a row is of, where exactly one is there. */
  labelOf(row: number): number;
  /** The weight of a row. */
  weightOf(row: number): number;
}

/** @throws `argument` where updates had different numbers of classes */
export function readScores(where: string, samples: Samples): ScoredClasses {
  const [scores, codes, { weights }] = [samples.column("score"), samples.column("code"), samples];
  let classes = 1;
  for (let i = 0; i < codes.length; i++) if (codes[i]! >= 2 * classes) classes = (codes[i]! >> 1) + 1;
  const rows = codes.length / classes;
  // Rows are whole where entry i is of class i mod K.
  let isWhole = Number.isInteger(rows);
  for (let i = 0; i < codes.length; i++) if (codes[i]! >> 1 !== i % classes) isWhole = false;
  if (!isWhole) {
    throw new LosswrightError({
      code: "argument",
      where,
      field: "scores",
      found: "updates of different numbers of classes",
      expected: "one number of classes in all updates",
      fix: "give every update scores of all classes; set classes to have it checked.",
    });
  }
  const pick = (count: number, at: (i: number) => number): Scored => {
    const picked = {
      scores: new Float64Array(count),
      positive: new Uint8Array(count),
      weights: weights && new Float64Array(count),
    };
    for (let i = 0; i < count; i++) {
      picked.scores[i] = scores[at(i)]!;
      picked.positive[i] = codes[at(i)]! & 1;
      if (picked.weights) picked.weights[i] = weights![at(i)]!;
    }
    return picked;
  };
  const whole = (): Scored => {
    const positive = new Uint8Array(codes.length);
    for (let i = 0; i < positive.length; i++) positive[i] = codes[i]! & 1;
    return { scores, positive, weights };
  };
  return {
    classes,
    rows,
    of: (index) => (classes === 1 ? whole() : pick(rows, (row) => row * classes + index)),
    row: (index) => pick(classes, (k) => index * classes + k),
    get all() {
      return whole();
    },
    labelOf: (row) => {
      for (let k = 0; k < classes; k++) if (codes[row * classes + k]! & 1) return k;
      return -1;
    },
    weightOf: (row) => weights?.[row * classes] ?? 1,
  };
}
