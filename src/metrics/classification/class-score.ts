import {
  choiceOption,
  eitherOption,
  flagOption,
  nullableOption,
  numberOption,
  type OptionSpecs,
} from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { ExactSum } from "../../tally/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import type { Sums } from "../accumulators.js";
import type { BoundFields } from "../fields.js";
import { defineMetric, type NarrowFactory, onlySums } from "../metric.js";
import type { ClassFields } from "./class-fields.js";
import {
  type ConfusionOptions,
  checkClassCount,
  confusionFields,
  confusionForms,
  confusionOptions,
  mostClasses,
  sumOf,
} from "./confusion.js";
import { labelFlagFields } from "./labels.js";
import { labelClass, predictedClass } from "./predicted-class.js";
import { rankOf } from "./top-k.js";

/** Options of metrics that score each class on its own: precision, recall, F, Jaccard. */
export interface ClassScoreOptions extends ConfusionOptions {
  /**
   * How classes become one number: `"macro"` (default) their mean, over the classes that occur in labels or
   * predictions; `"weighted"` their mean by the weight of their labels; `"micro"` of their counts together;
   * `"binary"` that of class 1 alone; `"samples"` the mean over samples of `[N, K]` flags; `"none"` one a class.
   */
  readonly average: "macro" | "micro" | "weighted" | "binary" | "samples" | "none";
  /** Samples are `[N, K]` flags of labels that are each there or not; every column is a class. */
  readonly multilabel: boolean;
  /** Under `"macro"`: whether `classes` that never occur are left out or count as `zeroDivision`. */
  readonly absent: "skip" | "zero";
  /** What a class is worth that nothing is known of (0/0): 0 (default), 1, or `"nan"`, which a mean leaves out. */
  readonly zeroDivision: number | "nan";
  /** With scores: the k highest are all predicted; null for the highest alone. */
  readonly topK: number | null;
}

const options: OptionSpecs<ClassScoreOptions> = {
  ...confusionOptions,
  average: choiceOption("how classes become one number", "macro", [
    "macro",
    "micro",
    "weighted",
    "binary",
    "samples",
    "none",
  ]),
  multilabel: flagOption("samples are [N, K] flags of labels that are each there or not", false),
  absent: choiceOption(
    "whether a macro mean leaves classes out that never occur, or counts them as zeroDivision",
    "skip",
    ["skip", "zero"],
  ),
  zeroDivision: eitherOption<number, "nan">(
    numberOption("what 0/0 is", 0, { atLeast: 0, atMost: 1 }),
    choiceOption("what 0/0 is", "nan", ["nan"]),
  ),
  topK: nullableOption(numberOption("with scores: the k highest are all predicted", 1, { integer: true, atLeast: 1 })),
};

/** What is counted of a class: samples it is right for, is predicted for, is the label of. */
const parts = ["right", "predicted", "actual"] as const;
const partCount = parts.length;

/** The exact counts of one class, or of classes together. */
interface Counts {
  readonly right: number;
  readonly predicted: number;
  readonly actual: number;
}

/** A quotient of counts; 0/0 is what `zeroDivision` says. */
type Quotient<Options> = (counts: Counts, options: Options) => readonly [above: number, below: number];

/** What a metric of this kind computes: a number, or one a class. */
export type ClassScore = number | Tensor<Unlabeled, "float64">;

/** Makes metrics of one number, or of one a class where `average` is `"none"`. */
export type ClassScoreFactory<Own extends object> = NarrowFactory<
  ClassFields,
  ClassScoreOptions & Own,
  ClassScore,
  {
    readonly special: { readonly average: "none" };
    readonly specially: Tensor<Unlabeled, "float64">;
    readonly usual: { readonly average?: Exclude<ClassScoreOptions["average"], "none"> };
    readonly usually: number;
  }
>;

/** A metric that is a quotient of each class's counts. */
export function defineClassScore<Own extends object>(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  readonly options: OptionSpecs<Own>;
  readonly quotient: Quotient<Own>;
}): ClassScoreFactory<Own> {
  const { name, summary, formula, source, quotient } = given;
  const made = defineMetric<ClassFields, ClassScoreOptions & Own, ReturnType<typeof onlySums>, ClassScore>({
    name,
    documentation: { summary, formula, source, goal: "maximize" },
    options: { ...options, ...given.options } as OptionSpecs<ClassScoreOptions & Own>,
    fields: ({ multilabel }) => (multilabel ? labelFlagFields(["...", "K"]) : confusionFields()),
    forms: ({ multilabel, topK }) => {
      if (multilabel) return [["predictions", "labels"]];
      return topK === null ? confusionForms() : [["scores", "labels"]];
    },
    ignored: "labels",
    state: onlySums,
    open: (fields, { sums }, chosen) => {
      checkOptions(name, chosen);
      checkClassCount(name, fields, chosen.average === "binary" ? 2 : chosen.classes);
      const ratio = (right: number, predicted: number, actual: number) =>
        divided(quotient({ right, predicted, actual }, chosen), chosen.zeroDivision);
      if (chosen.average === "samples") return openSamples(fields, sums, ratio);
      return chosen.multilabel ? openFlags(fields, sums) : openClasses(fields, sums, chosen);
    },
    compute: ({ sums }, chosen) => {
      checkOptions(name, chosen);
      const of = (counts: Counts) => divided(quotient(counts, chosen), chosen.zeroDivision);
      return average(sums, chosen, of);
    },
  });
  return made as ClassScoreFactory<Own>;
}

function divided([above, below]: readonly [number, number], zeroDivision: number | "nan"): number {
  if (below !== 0) return above / below;
  return zeroDivision === "nan" ? Number.NaN : zeroDivision;
}

/** @throws `option` for options that do not go together */
function checkOptions(where: string, { average, multilabel, topK, classes }: ClassScoreOptions): void {
  const wrong = (field: string, found: string, expected: string, fix: string) => {
    throw new LosswrightError({ code: "option", where, field, found, expected, fix });
  };
  if (average === "samples" && !multilabel) {
    wrong("average", '"samples" of classes', "flags: multilabel: true", 'set multilabel: true, or average: "micro".');
  }
  if (average === "binary" && (multilabel || (classes !== null && classes > 2))) {
    wrong("average", '"binary" of more than two classes', "labels 0 and 1", 'take average: "macro" or "none".');
  }
  if (multilabel && topK !== null) {
    wrong("topK", `topK: ${topK} beside multilabel`, "scores of classes, of which one is right", "leave topK out.");
  }
}

/** Where the counts of a class lie. */
function cellsOf(sums: Sums): (index: number, part: number) => ExactSum {
  const cells: ExactSum[] = [];
  return (index, part) => {
    const key = index * partCount + part;
    cells[key] ??= sums.of(key);
    return cells[key];
  };
}

function openClasses(fields: BoundFields, sums: Sums, { classes, topK, average }: ClassScoreOptions) {
  // Scores say how many classes there are, whether the last one occurs or not.
  if (fields.hasAxis("K")) sums.of(fields.size("K") * partCount - 1);
  const cell = cellsOf(sums);
  const bound = average === "binary" ? 2 : (classes ?? mostClasses);
  const label = labelClass(fields, bound);
  if (topK === null) {
    const prediction = predictedClass(fields, bound);
    return (sample: number, weight: number) => {
      const [actual, predicted] = [label(sample), prediction(sample)];
      if (actual === predicted) cell(actual, 0).add(weight);
      cell(predicted, 1).add(weight);
      cell(actual, 2).add(weight);
    };
  }
  const length = fields.size("K");
  const rank = rankOf(fields.reals("scores"), length);
  return (sample: number, weight: number) => {
    const actual = label(sample);
    cell(actual, 2).add(weight);
    for (let k = 0; k < length; k++) {
      if (rank(sample, k) >= topK) continue;
      cell(k, 1).add(weight);
      if (k === actual) cell(k, 0).add(weight);
    }
  };
}

function openFlags(fields: BoundFields, sums: Sums) {
  const cell = cellsOf(sums);
  const length = fields.size("K");
  const [label, prediction] = [fields.flags("labels"), fields.flags("predictions")];
  let isFirst = true;
  return (sample: number, weight: number) => {
    // Every column of a sample is a class, whether a flag of it is ever set or not.
    if (isFirst) for (let key = 0; key < length; key++) cell(key, 0);
    isFirst = false;
    for (let k = 0; k < length; k++) {
      const [actual, predicted] = [label(sample * length + k), prediction(sample * length + k)];
      if (actual && predicted) cell(k, 0).add(weight);
      if (predicted) cell(k, 1).add(weight);
      if (actual) cell(k, 2).add(weight);
    }
  };
}

function openSamples(
  fields: BoundFields,
  sums: Sums,
  ratio: (right: number, predicted: number, actual: number) => number,
) {
  const length = fields.size("K");
  const [label, prediction] = [fields.flags("labels"), fields.flags("predictions")];
  const [values, weights] = [sums.of("value"), sums.of("weight")];
  return (sample: number, weight: number) => {
    let [right, predicted, actual] = [0, 0, 0];
    for (let k = sample * length; k < (sample + 1) * length; k++) {
      const [isActual, isPredicted] = [label(k), prediction(k)];
      right += isActual & isPredicted;
      predicted += isPredicted;
      actual += isActual;
    }
    const value = ratio(right, predicted, actual);
    if (Number.isNaN(value)) return;
    values.add(weight * value);
    weights.add(weight);
  };
}

function average(sums: Sums, chosen: ClassScoreOptions, of: (counts: Counts) => number): ClassScore {
  if (chosen.average === "samples") return sums.value("value") / sums.value("weight");
  const keys = sums.keys();
  if (keys.length === 0 && chosen.average !== "none") return Number.NaN;
  const highest = keys.reduce<number>((most, key) => Math.max(most, Math.floor((key as number) / partCount)), -1);
  const count = chosen.average === "binary" ? 2 : (chosen.classes ?? highest + 1);
  // Reading leaves the state as it is: a sum that was never added to is not made in it.
  const sumAt = (key: number) => (sums.has(key) ? sums.of(key) : new ExactSum());
  const all = Array.from({ length: count }, (_, k) => parts.map((__, part) => sumAt(k * partCount + part)));
  const countsOf = (list: readonly ExactSum[]): Counts => ({
    right: list[0]!.value,
    predicted: list[1]!.value,
    actual: list[2]!.value,
  });
  if (chosen.average === "binary") return of(countsOf(all[1]!));
  if (chosen.average === "micro") return of(countsOf(parts.map((_, part) => sumOf(all.map((list) => list[part]!)))));
  const counts = all.map(countsOf);
  const values = counts.map(of);
  if (chosen.average === "none") return view(Float64Array.from(values), [count], "unlabeled", "float64");
  const every = chosen.multilabel || chosen.absent === "zero";
  const weightOf = ({ actual, predicted }: Counts) =>
    chosen.average === "weighted" ? actual : every || actual !== 0 || predicted !== 0 ? 1 : 0;
  const weights = counts.map(weightOf);
  // Flags without a label: the references then weigh every class alike.
  const isUnlabeled = weights.every((weight) => weight === 0);
  const [above, below] = [new ExactSum(), new ExactSum()];
  for (const [k, value] of values.entries()) {
    const weight = isUnlabeled ? 1 : weights[k]!;
    if (weight === 0 || Number.isNaN(value)) continue;
    above.add(weight * value);
    below.add(weight);
  }
  return above.value / below.value;
}
