/**
 * A training step as code: parts with fields, the loss of every unit on a tape, what weighs and what groups the units.
 *
 * A step is right when its numbers are those of its task, and wrong when they are those of another task on the same
 * fields: another mask, another shift, another divisor. So a record is the fields of one task and the numbers of one.
 */
import type { StepContext, StepRecord } from "../../src/io/index.js";
import { type Tensor, tensor } from "../../src/tensor/index.js";
import { type Precision, roundTo } from "./rounding.js";
import { Tape, type Variable } from "./tape.js";

export type Leaves = Readonly<Record<string, Variable>>;

/** A micro-batch, a rank, or the step itself. */
export interface Part {
  readonly fields: Readonly<Record<string, Tensor>>;
  /** The fields with a gradient. */
  readonly leaves: readonly string[];
  /** The loss of every unit, flat, before any weight. */
  losses(tape: Tape, leaves: Leaves): Variable;
  /** What weighs each unit in the numerator: 0 where mask or ignored label leave it out. */
  readonly weights: readonly number[];
  /** 1 where mask and ignored label leave a unit in, whatever it weighs. */
  readonly counted: readonly number[];
  /** The sequence or sample that each unit belongs to. */
  readonly groups: readonly number[];
  /** Where each unit stands, where that is not its number. */
  readonly places?: readonly number[];
  readonly context?: StepContext;
}

/** The contract a step should follow. */
export interface Intended {
  readonly objective: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly reduction?: Readonly<Record<string, unknown>>;
}

/** What multiplies the loss of each unit of each part in the loss of the step. */
export type Coefficients = (parts: readonly Part[]) => number[][];

export interface Task {
  readonly intended: Intended;
  readonly parts: readonly Part[];
  readonly coefficients: Coefficients;
  readonly precision: Precision;
  readonly context: StepContext;
  /** The rank of each part, where parts are ranks. */
  readonly ranks?: readonly number[];
  /** One part that is recorded in shards: rows of axis 0, or pieces of the same rows. */
  readonly shards?: { readonly along: "rows" | "time"; readonly lengths: readonly number[] };
}

/** The numbers that a step reports. */
export interface Report {
  readonly loss: number;
  readonly partLosses: readonly number[];
  /** A part's share of the gradient that the optimizer gets, by field. */
  readonly gradients: readonly Readonly<Record<string, Float64Array>>[];
}

// ------------------------------------------------------------------------------------------------ coefficients

const sum = (numbers: ArrayLike<number>) => Array.from(numbers).reduce((total, x) => total + x, 0);
const dividedBy = (weights: readonly number[], divisor: number) => weights.map((w) => (w === 0 ? 0 : w / divisor));

/** Σ of the parts' weights, which divides a mean over all units. */
function weightOf(parts: readonly Part[]): number {
  return sum(parts.map(({ weights }) => sum(weights)));
}

/** How many units the parts count, whatever they weigh. */
export function countOf(parts: readonly Part[]): number {
  return sum(parts.map(({ counted }) => sum(counted)));
}

/** How many groups of the parts have a unit that counts. */
function groupCountOf(parts: readonly Part[]): number {
  return sum(parts.map((part) => groupWeights(part).size));
}

/** The mean over all units, by weight. */
export const overWeights: Coefficients = (parts) => {
  const divisor = weightOf(parts);
  return parts.map(({ weights }) => dividedBy(weights, divisor));
};

/** The weighted sum over the number of units that count. */
export const overCounts: Coefficients = (parts) => {
  const divisor = countOf(parts);
  return parts.map(({ weights }) => dividedBy(weights, divisor));
};

/** The weighted sum over a constant. */
export function over(divisor: number): Coefficients {
  return (parts) => parts.map(({ weights }) => dividedBy(weights, divisor));
}

/** The mean inside each group, then over all groups. */
export const overGroups: Coefficients = (parts) => {
  const count = groupCountOf(parts);
  return parts.map((part) => {
    const inside = groupWeights(part);
    return part.weights.map((w, unit) => (w === 0 ? 0 : w / inside.get(part.groups[unit])! / count));
  });
};

/** The sum inside each group, over the number of groups. */
export const overSamples: Coefficients = (parts) => {
  const count = groupCountOf(parts);
  return parts.map(({ weights }) => dividedBy(weights, count));
};

/** Each part as a step of its own, times a factor a part. */
export function apart(
  coefficients: Coefficients,
  factors: (parts: readonly Part[]) => readonly number[],
): Coefficients {
  return (parts) => {
    const by = factors(parts);
    return parts.map((part, i) => coefficients([part])[0].map((c) => c * by[i]));
  };
}

/** All coefficients times one factor. */
export function times(coefficients: Coefficients, factor: number): Coefficients {
  return (parts) => coefficients(parts).map((row) => row.map((c) => c * factor));
}

/** The parts of each rank as a step of its own, the ranks added. */
export function ranksApart(coefficients: Coefficients, ranks: readonly number[]): Coefficients {
  return (parts) => {
    const out: number[][] = [];
    for (const rank of new Set(ranks)) {
      const own = parts.flatMap((_, i) => (ranks[i] === rank ? [i] : []));
      const result = coefficients(own.map((i) => parts[i]));
      for (const [k, i] of own.entries()) out[i] = result[k];
    }
    return out;
  };
}

function groupWeights({ groups, weights }: Part): Map<number, number> {
  const sums = new Map<number, number>();
  for (const [unit, group] of groups.entries()) {
    if (weights[unit] !== 0) sums.set(group, (sums.get(group) ?? 0) + weights[unit]);
  }
  return sums;
}

// ------------------------------------------------------------------------------------------------ numbers

/** How a step's numbers come about otherwise than by its coefficients. */
export interface Circumstances {
  /** Coefficients of the gradients where they are not those of the loss. */
  readonly gradients?: Coefficients;
  /** What a part reports of itself; its own mean without it. */
  readonly partLosses?: Coefficients;
  /** A mask of 0 multiplies a loss instead of leaving it out: 0 · NaN is NaN. */
  readonly multiplied?: boolean;
  /** What the loss is multiplied by before the backward pass. */
  readonly lossScale?: number;
}

/** Runs a task on a tape for each part. */
export function run(task: Task, circumstances: Circumstances = {}): Report {
  const { parts, coefficients, precision } = task;
  const { multiplied = false, lossScale = 1 } = circumstances;
  const inLoss = coefficients(parts);
  const inGradient = circumstances.gradients?.(parts) ?? inLoss;
  const ownMeans = circumstances.partLosses?.(parts) ?? parts.map((part) => coefficients([part])[0]);
  let loss = 0;
  const partLosses: number[] = [];
  const gradients = parts.map((part, i) => {
    const tape = new Tape(precision);
    const leaves = Object.fromEntries(part.leaves.map((name) => [name, tape.leaf(numbersOf(part.fields[name]))]));
    const losses = part.losses(tape, leaves);
    loss += tape.weightedSum(losses, inLoss[i], { multiplied }).data[0];
    partLosses.push(tape.weightedSum(losses, ownMeans[i], { multiplied }).data[0]);
    tape.backward(tape.weightedSum(losses, inGradient[i], { multiplied }), lossScale);
    return Object.fromEntries(part.leaves.map((name) => [name, leaves[name].gradient]));
  });
  return { loss: roundTo(precision === "float64" ? "float64" : "float32", loss), partLosses, gradients };
}

/**
 * How far apart two reports are: the larger of the relative difference of the losses and of the gradients; infinite
 * where one is finite and the other is not.
 */
export function distance(right: Report, wrong: Report): { loss: number; gradient: number } {
  const loss = Math.abs(wrong.loss - right.loss) / Math.max(Math.abs(wrong.loss), 1e-12);
  let gap = 0;
  let length = 0;
  for (const [i, fields] of wrong.gradients.entries()) {
    for (const [name, mine] of Object.entries(fields)) {
      const other = right.gradients[i][name];
      for (let k = 0; k < mine.length; k++) {
        gap += (mine[k] - other[k]) ** 2;
        length += mine[k] ** 2;
      }
    }
  }
  const gradient = gap === 0 ? 0 : Math.sqrt(gap / Math.max(length, 1e-24));
  const orInfinite = (value: number) => (Number.isFinite(value) ? value : Number.POSITIVE_INFINITY);
  return {
    loss: Object.is(right.loss, wrong.loss) ? 0 : orInfinite(loss),
    gradient: orInfinite(gradient),
  };
}

// ------------------------------------------------------------------------------------------------ records

export interface RecordWishes {
  /** The fields that are recorded with a gradient; all leaves without it, none with an empty list. */
  readonly gradients?: readonly string[];
  /** What the trainer reports as the step's loss; the computed one without it. */
  readonly loss?: number | null;
  readonly context?: StepContext;
}

/** The record of a task's fields and the numbers somebody computed on them. */
export function recordOf(task: Task, report: Report, wishes: RecordWishes = {}): StepRecord {
  const { intended, parts, ranks, shards } = task;
  const context = { ...task.context, ...wishes.context };
  const loss = wishes.loss === undefined ? report.loss : wishes.loss;
  const head = { format: 1 as const, name: "step", intended: { ...intended, version: 1 }, context };
  const gradientsOf = (i: number, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, gradientTensor(parts[i].fields[name], report.gradients[i][name])]));
  const recorded = (part: Part) => part.leaves.filter((name) => wishes.gradients?.includes(name) ?? true);
  if (parts.length === 1 && !ranks) {
    const [only] = parts;
    const whole = {
      fields: { ...only.fields },
      reported: { loss, gradients: gradientsOf(0, recorded(only)) },
    };
    if (shards) return { ...head, ...inShards(shards, whole, report.partLosses) };
    return { ...head, context: { ...context, ...only.context }, ...whole, parts: [] };
  }
  return {
    ...head,
    reported: { loss, gradients: {} },
    parts: parts.map((part, i) => ({
      fields: { ...part.fields },
      reported: { loss: report.partLosses[i], gradients: gradientsOf(i, recorded(part)) },
      context: { ...(ranks && { rank: ranks[i] }), ...part.context },
    })),
  };
}

function inShards(
  { along, lengths }: NonNullable<Task["shards"]>,
  { fields, reported }: Pick<StepRecord, "fields" | "reported">,
  partLosses: readonly number[],
): Pick<StepRecord, "reported" | "parts"> {
  const axis = along === "rows" ? 0 : 1;
  let from = 0;
  const parts = lengths.map((length, i) => {
    const cut = (whole: Readonly<Record<string, Tensor>>) =>
      Object.fromEntries(Object.entries(whole).map(([name, t]) => [name, slice(t, axis, from, length)]));
    // The gradient of a scalar that all share is the sum of what the shards report.
    const shares = (whole: Readonly<Record<string, Tensor>>) =>
      Object.fromEntries(
        Object.entries(whole).map(([name, t]) => [name, t.shape.length > 0 ? t : shareOf(t, lengths.length)]),
      );
    const part = {
      fields: cut(fields!),
      reported: {
        loss: partLosses.length > 1 ? partLosses[i] : reported.loss,
        gradients: cut(shares(reported.gradients)),
      },
      context: { rank: i },
    };
    from += length;
    return part;
  });
  return { reported: { loss: reported.loss, gradients: {} }, parts };
}

function shareOf({ data, shape }: Tensor, of: number): Tensor {
  const share = Number(data[0]) / of;
  return tensor(data instanceof Float64Array ? Float64Array.of(share) : Float32Array.of(share), shape);
}

/** A run of an axis; what has no such axis belongs to all. */
export function slice(whole: Tensor, axis: number, from: number, length: number): Tensor {
  const { shape, data } = whole;
  if (shape.length <= axis) return whole;
  const inner = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  const outer = shape.slice(0, axis).reduce((product, n) => product * n, 1);
  const kept: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < length * inner; k++) kept.push((o * shape[axis] + from) * inner + k);
  }
  const made = data.slice(0, kept.length);
  for (const [i, place] of kept.entries()) (made as Float64Array)[i] = data[place] as number;
  return tensor(made, [...shape.slice(0, axis), length, ...shape.slice(axis + 1)]);
}

function gradientTensor({ shape, data }: Tensor, gradient: Float64Array): Tensor {
  return tensor(data instanceof Float64Array ? gradient : Float32Array.from(gradient), shape);
}

function numbersOf({ shape, data }: Tensor): { shape: readonly number[]; data: ArrayLike<number> } {
  return { shape, data: Float64Array.from(data as ArrayLike<number>, Number) };
}

// ------------------------------------------------------------------------------------------------ tensors

/** Floating-point numbers as a step in some precision holds them. */
export function reals(numbers: ArrayLike<number>, shape: readonly number[], precision: Precision = "float32"): Tensor {
  return tensor(precision === "float64" ? Float64Array.from(numbers) : Float32Array.from(numbers), shape);
}

/** Whole numbers, int64 as PyTorch has them or int32 as JAX and TensorFlow. */
export function integers(
  numbers: ArrayLike<number>,
  shape: readonly number[],
  dtype: "int64" | "int32" = "int64",
): Tensor {
  const list = Array.from(numbers);
  return tensor(dtype === "int64" ? BigInt64Array.from(list, (x) => BigInt(x)) : Int32Array.from(list), shape);
}

/** A mask of 0 and 1. */
export function flags(numbers: ArrayLike<number>, shape: readonly number[]): Tensor {
  return tensor(Uint8Array.from(numbers), shape);
}
