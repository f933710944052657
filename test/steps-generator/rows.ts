/** Steps over rows of class scores: classifiers `[N, K]`, taggers and language models `[B, T, K]`, images `[N, K, H, W]`. */
import type { Tensor } from "../../src/tensor/index.js";
import type { Random } from "../instruments/random.js";
import { labelDtype, normals, positives, surroundings, wideOrSingle, written } from "./chance.js";
import { type Drawn, drawn, type Frame } from "./drawn.js";
import { crossEntropy, focal, softCrossEntropy } from "./losses.js";
import type { Precision } from "./rounding.js";
import type { Tape, Variable } from "./tape.js";
import { flags, integers, type Part, reals, type Task } from "./task.js";

/** The arrays of one part. */
export interface RowsData {
  /** Shape of the labels: `[N]` or `[B, T]`. */
  readonly lead: readonly number[];
  readonly classes: number;
  /** Row after row, each with its classes side by side. */
  readonly logits: ArrayLike<number>;
  readonly labels: readonly number[];
  readonly weights?: readonly number[];
  readonly mask?: readonly number[];
  /** Packed documents; nothing is scored across their borders. */
  readonly segments?: readonly number[];
  readonly precision: Precision;
  readonly labelDtype: "int64" | "int32";
  /** No labels are recorded: a teacher or soft targets stand in their place. */
  readonly unlabeled?: boolean;
  /** Fields that are recorded otherwise than these arrays say, or beside them. */
  readonly recorded?: Readonly<Record<string, Tensor>>;
  readonly context?: Part["context"];
}

/** The units of a part that code looks at. */
export interface RowUnits {
  readonly labels: readonly number[];
  /** Where each label stands. */
  readonly places: readonly number[];
  /** Whose row of scores it is scored by. */
  readonly sources: readonly number[];
  readonly part: number;
}

/** What code does with the arrays. */
export interface RowsCode {
  readonly ignored: number;
  /** The label at t is scored at t − shift. */
  readonly shift: number;
  readonly classWeights?: readonly number[] | undefined;
  readonly loss: (tape: Tape, rows: Variable, units: RowUnits) => Variable;
  /** Where the scores of a row are taken from. */
  readonly scoresOf?: ((source: number, data: RowsData) => number[]) | undefined;
  /** Left-out rows are computed too, and multiplied by 0. */
  readonly computesAll?: boolean;
  /** Changes the scores as a whole before rows are taken. */
  readonly before?: ((tape: Tape, logits: Variable) => Variable) | undefined;
}

/** How many rows come before the first axis that runs: the length of one sequence. */
function lengthOf({ lead }: RowsData): number {
  return lead.length > 1 ? lead.slice(1).reduce((product, n) => product * n, 1) : 1;
}

/** One part as code sees it. */
function rowsPart(data: RowsData, code: RowsCode, part: number): Part {
  const { lead, classes, logits, labels, weights, mask, segments, precision, recorded } = data;
  const length = lengthOf(data);
  const sourceOf = (place: number) => {
    const source = place - code.shift;
    if (code.shift !== 0 && Math.floor(source / length) !== Math.floor(place / length)) return -1;
    return segments && segments[source] !== segments[place] ? -1 : source;
  };
  const isIn = (place: number) => labels[place] !== code.ignored && mask?.[place] !== 0 && sourceOf(place) >= 0;
  const places = labels.flatMap((_, place) => {
    return isIn(place) || (code.computesAll && sourceOf(place) >= 0) ? [place] : [];
  });
  const counted = places.map((place) => Number(isIn(place)));
  const labelAt = (place: number) => Math.max(labels[place], 0);
  const units: RowUnits = {
    labels: places.map(labelAt),
    places,
    sources: places.map(sourceOf),
    part,
  };
  const scoresOf = code.scoresOf ?? ((source) => Array.from({ length: classes }, (_, k) => source * classes + k));
  return {
    fields: {
      logits: reals(logits, [...lead, classes], precision),
      ...(!data.unlabeled && { labels: integers(labels, lead, data.labelDtype) }),
      ...(weights && { weights: reals(weights, lead, precision) }),
      ...(mask && { mask: flags(mask, lead) }),
      ...(segments && { segmentIds: integers(segments, lead, data.labelDtype) }),
      ...recorded,
    },
    leaves: ["logits"],
    losses(tape, leaves) {
      const scores = code.before ? code.before(tape, leaves.logits) : leaves.logits;
      const taken = units.sources.flatMap((source) => scoresOf(source, data));
      return code.loss(tape, tape.take(scores, taken, [places.length, classes]), units);
    },
    weights: places.map((place, unit) => {
      return counted[unit] * (weights?.[place] ?? 1) * (code.classWeights?.[labelAt(place)] ?? 1);
    }),
    counted,
    groups: places.map((place) => Math.floor(place / length)),
    places,
    ...(data.context && { context: data.context }),
  };
}

export type RowsStep = Drawn<RowsData, RowsCode>;

/** Puts rows and code together. */
export function rowsStep(data: readonly RowsData[], code: RowsCode, frame: Frame): RowsStep {
  return drawn(rowsPart, data, code, frame);
}

// ------------------------------------------------------------------------------------------------ classifiers

export interface ClassifierWishes {
  /** Rows of each part. */
  readonly rows?: readonly number[];
  readonly classes?: number;
  readonly scale?: number;
  /** How far the score of the label stands out. */
  readonly margin?: number;
  /** The share of labels that are ignored. */
  readonly ignored?: number;
  readonly smoothing?: number;
  readonly temperature?: number;
  readonly classWeights?: readonly number[];
  /** The weight of a row; the field `weights` is recorded. */
  readonly weight?: () => number;
  readonly reduction?: Readonly<Record<string, unknown>>;
  readonly precision?: Precision;
  readonly focal?: { readonly gamma: number; readonly alpha?: readonly number[]; readonly reweightOnly?: boolean };
  /** Changes scores after they were drawn, before anything is computed. */
  readonly scores?: (drawn: Float64Array, of: { classes: number; labels: readonly number[] }) => Float64Array;
  readonly context?: Frame["context"];
  readonly ranks?: readonly number[];
}

/** A classifier of rows `[N, K]` under cross entropy or the focal loss. */
export function classifier(random: Random, wishes: ClassifierWishes = {}): RowsStep {
  const {
    rows = [random.integer(4, 14)],
    classes = random.integer(3, 9),
    scale = random.between(0.8, 2.5),
    margin = random.between(-0.5, 2),
    ignored = 0,
    smoothing = 0,
    temperature = 1,
    classWeights,
    weight,
    precision = wideOrSingle(random),
    focal: modulation,
  } = wishes;
  const dtype = labelDtype(random);
  const data = rows.map((count): RowsData => {
    const labels = Array.from({ length: count }, () => random.integer(0, classes - 1));
    const logits = normals(random, count * classes, scale);
    for (let row = 0; row < count; row++) {
      logits[row * classes + labels[row]] = Math.fround(logits[row * classes + labels[row]] + margin);
    }
    return {
      lead: [count],
      classes,
      logits: wishes.scores?.(logits, { classes, labels }) ?? logits,
      labels: labels.map((label) => (random.chance(ignored) ? -100 : label)),
      ...(weight && { weights: Array.from({ length: count }, weight) }),
      precision,
      labelDtype: dtype,
    };
  });
  const { alpha } = modulation ?? {};
  const code: RowsCode = {
    ignored: -100,
    shift: 0,
    ...(classWeights && { classWeights }),
    loss: (tape, logits, { labels }) =>
      modulation
        ? focal(tape, logits, labels, {
            gamma: modulation.gamma,
            detached: modulation.reweightOnly ?? false,
            ...(alpha && { alpha: labels.map((label) => alpha[label]) }),
          })
        : crossEntropy(tape, logits, labels, { smoothing, temperature }),
  };
  const options = modulation
    ? { gamma: modulation.gamma, ...(alpha && { alpha }), ...(modulation.reweightOnly && { reweightOnly: true }) }
    : {
        ...(ignored > 0 && { ignoreIndex: -100 }),
        ...(smoothing > 0 && { labelSmoothing: smoothing }),
        ...(temperature !== 1 && { temperature }),
        ...(classWeights && { classWeights }),
      };
  return rowsStep(data, code, {
    intended: {
      objective: modulation ? "focal" : "crossEntropy",
      options,
      reduction: { per: "token", divideBy: "weight", ...wishes.reduction },
    },
    precision,
    context: { ...surroundings(random, "accuracy"), ...wishes.context },
    ...(wishes.ranks && { ranks: wishes.ranks }),
  });
}

/** Weights of classes that lie far enough apart to be noticed. */
export function drawnClassWeights(random: Random, classes: number): number[] {
  const weights = Array.from({ length: classes }, () => written(random, 0.2, 3));
  weights[random.integer(0, classes - 1)] = written(random, 4, 9);
  return weights;
}

/** Weights of units. */
export function drawnWeights(random: Random): () => number {
  const pool = positives(random, 16, 0.2, 3);
  return () => random.pick(pool);
}

// ------------------------------------------------------------------------------------------------ soft targets

/** A classifier with a distribution as its target; smoothing on top of it where asked for. */
export function softClassifier(
  random: Random,
  smoothing: number,
): { task: Task; smoothed: (smoothing: number) => Task } {
  const [rows, classes, precision] = [random.integer(4, 10), random.integer(3, 7), wideOrSingle(random)];
  const targets = Array.from({ length: rows }, () => {
    const [first, second] = random.shuffled(Array.from({ length: classes }, (_, k) => k));
    const share = random.pick([0.5, 0.6, 0.75, 0.9]);
    return Array.from({ length: classes }, (_, k) => (k === first ? share : k === second ? 1 - share : 0));
  }).flat();
  const data: RowsData = {
    lead: [rows],
    classes,
    logits: normals(random, rows * classes, 1.8),
    labels: Array.from({ length: rows }, () => 0),
    unlabeled: true,
    precision,
    labelDtype: "int64",
    recorded: { targets: reals(targets, [rows, classes], precision) },
  };
  const recorded = Array.from(data.recorded!.targets.data as Float32Array);
  const step = rowsStep(
    [data],
    {
      ignored: -100,
      shift: 0,
      loss: (tape, logits) => softCrossEntropy(tape, logits, softened(recorded, classes, smoothing)),
    },
    {
      intended: {
        objective: "crossEntropy",
        options: smoothing > 0 ? { labelSmoothing: smoothing } : {},
        reduction: { per: "token", divideBy: "weight" },
      },
      precision,
      context: surroundings(random, "accuracy"),
    },
  );
  const smoothed = (by: number) =>
    step.with({ code: { loss: (tape, logits) => softCrossEntropy(tape, logits, softened(recorded, classes, by)) } });
  return { task: step.task, smoothed };
}

function softened(targets: readonly number[], classes: number, smoothing: number): number[] {
  return targets.map((q) => (1 - smoothing) * q + smoothing / classes);
}
