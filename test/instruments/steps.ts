/**
 * Recorded steps made in code, right ones and wrong ones.
 *
 * The losses are written here once more, as training code has them: plain loops in float32, a stable softmax, a naive
 * sum. Nothing of the library computes a number of a step, so that an audit of one is a comparison with other code.
 *
 *   const parts = tokenParts(random, { kept: [3, 11] });
 *   stepOf({ parts, loss: mean(parts.map(meanOf)), factors: parts.map((part) => 1 / countOf(part) / 2) });
 */
import { type Tensor, tensor } from "../../src/index.js";
import type { StepContext, StepRecord } from "../../src/io/index.js";
import type { Random } from "./random.js";

const { fround } = Math;

/** A unit as training code sees it: its loss, what weighs it, and its row of the gradient. */
export interface RecordedUnit {
  readonly loss: number;
  readonly weight: number;
  /** Its row of the batch, which is its sequence. */
  readonly row: number;
  /** Where its gradient row begins in the differentiable field. */
  readonly at: number;
  /** d loss / d entry. */
  readonly slope: ArrayLike<number>;
}

/** A micro-batch or shard with what code computed on it. */
export interface RecordedPart {
  readonly intended: Intended;
  readonly fields: Readonly<Record<string, Tensor>>;
  /** The field with a gradient. */
  readonly of: string;
  readonly units: readonly RecordedUnit[];
  readonly rows: number;
}

interface Intended {
  readonly objective: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly reduction?: Readonly<Record<string, unknown>>;
}

// ------------------------------------------------------------------------------------------------ losses, in float32

/** Cross entropy of one row of logits and its gradient: a stable log-softmax. */
export function softmaxLoss(logits: ArrayLike<number>, label: number): { loss: number; slope: Float32Array } {
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < logits.length; k++) top = Math.max(top, logits[k]!);
  const slope = new Float32Array(logits.length);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) {
    slope[k] = Math.exp(fround(logits[k]! - top));
    sum = fround(sum + slope[k]!);
  }
  for (let k = 0; k < logits.length; k++) slope[k] = slope[k]! / sum;
  slope[label] = slope[label]! - 1;
  return { loss: fround(fround(Math.log(sum)) - fround(logits[label]! - top)), slope };
}

/** Binary cross entropy with logits, and its derivative. */
function logisticLoss(logit: number, target: number): { loss: number; slope: readonly number[] } {
  const tail = fround(Math.log(fround(1 + fround(Math.exp(-Math.abs(logit))))));
  const sigmoid = fround(1 / fround(1 + fround(Math.exp(-logit))));
  return {
    loss: fround(fround(Math.max(logit, 0) - fround(logit * target)) + tail),
    slope: [fround(sigmoid - target)],
  };
}

/** The square of a difference, and its derivative. */
function squareLoss(prediction: number, target: number): { loss: number; slope: readonly number[] } {
  const difference = fround(prediction - target);
  return { loss: fround(difference * difference), slope: [fround(2 * difference)] };
}

// ------------------------------------------------------------------------------------------------ parts

export interface TokenWishes {
  /** Labels that are not ignored, one number a part; −100 stands at all other places. */
  readonly kept: readonly number[];
  readonly rows?: number | readonly number[];
  readonly length?: number;
  readonly classes?: number;
  /** The label at t is scored at t − shift. */
  readonly shift?: number;
  readonly classWeights?: readonly number[];
  /** The weight of a unit; the field `weights` is recorded. */
  readonly weight?: () => number;
  /** Size of the logits. */
  readonly scale?: number;
  readonly reduction?: Readonly<Record<string, unknown>>;
  /** Changes logits after they were drawn, before anything is computed. */
  readonly logit?: (drawn: number, index: number, labels: Int32Array) => number;
}

/** Token labels under cross entropy, one part for each entry of `kept`. */
export function tokenParts(random: Random, wishes: TokenWishes): RecordedPart[] {
  return wishes.kept.map((kept, part) => tokenPart(random, kept, part, wishes));
}

function tokenPart(random: Random, kept: number, part: number, wishes: TokenWishes): RecordedPart {
  const { length = 8, classes = 5, shift = 0, classWeights, weight, scale = 2, reduction, logit = (z) => z } = wishes;
  const { rows: given = 4 } = wishes;
  const rows = typeof given === "number" ? given : given[part]!;
  // Each row keeps a label as long as there are enough, so that sequences are never empty by chance.
  const places = Array.from({ length: rows }, (_, row) => row * length + shift);
  const rest = Array.from({ length: rows * length }, (_, at) => at).filter((at) => at % length > shift);
  const chosen = new Set([...places, ...random.shuffled(rest)].slice(0, kept));
  if (chosen.size < kept) throw new Error(`a part of ${rows} rows of ${length} does not hold ${kept} labels`);
  const labels = Int32Array.from({ length: rows * length }, (_, at) =>
    chosen.has(at) ? random.integer(0, classes - 1) : -100,
  );
  const drawn = Float32Array.from({ length: rows * length * classes }, () => random.real(scale));
  const logits = drawn.map((z, index) => logit(z, index, labels));
  const weights = weight && Float32Array.from({ length: rows * length }, weight);
  const units = [...chosen]
    .sort((a, b) => a - b)
    .map((place) => {
      const at = (place - shift) * classes;
      const label = labels[place]!;
      return {
        ...softmaxLoss(logits.subarray(at, at + classes), label),
        weight: (weights?.[place] ?? 1) * (classWeights?.[label] ?? 1),
        row: Math.floor(place / length),
        at,
      };
    });
  return {
    intended: {
      objective: "crossEntropy",
      options: { ...(shift && { labelShift: shift }), ...(classWeights && { classWeights }) },
      ...(reduction && { reduction }),
    },
    fields: {
      logits: tensor(logits, [rows, length, classes]),
      labels: tensor(BigInt64Array.from(Array.from(labels, BigInt)), [rows, length]),
      ...(weights && { weights: tensor(weights, [rows, length]) }),
    },
    of: "logits",
    units,
    rows,
  };
}

export interface ElementWishes {
  /** Rows of each part. */
  readonly rows: readonly number[];
  readonly columns?: number;
  readonly loss?: "squaredError" | "binaryCrossEntropy";
  /** Whether an element counts; the field `mask` is recorded. */
  readonly mask?: () => boolean;
  /** What stands at masked elements. */
  readonly masked?: number;
  readonly scale?: number;
  readonly reduction?: Readonly<Record<string, unknown>>;
}

/** Elements under squared error, or under binary cross entropy. */
export function elementParts(random: Random, wishes: ElementWishes): RecordedPart[] {
  const { columns = 3, loss = "squaredError", mask, masked, scale = 1, reduction } = wishes;
  const binary = loss === "binaryCrossEntropy";
  const of = binary ? "logits" : "predictions";
  return wishes.rows.map((rows) => {
    const size = rows * columns;
    const flags = mask && Uint8Array.from({ length: size }, () => Number(mask()));
    if (flags && !flags.includes(1)) flags[0] = 1;
    const counts = (at: number) => (flags?.[at] ?? 1) === 1;
    const drawn = (at: number) => (counts(at) || masked === undefined ? random.real(scale) : masked);
    const predictions = Float32Array.from({ length: size }, (_, at) => drawn(at));
    const targets = Float32Array.from({ length: size }, () => (binary ? random.integer(0, 1) : random.real(scale)));
    const units = Array.from({ length: size }, (_, at) => at)
      .filter(counts)
      .map((at) => ({
        ...(binary ? logisticLoss : squareLoss)(predictions[at]!, targets[at]!),
        weight: 1,
        row: Math.floor(at / columns),
        at,
      }));
    return {
      intended: { objective: loss, ...(reduction && { reduction }) },
      fields: {
        [of]: tensor(predictions, [rows, columns]),
        targets: tensor(targets, [rows, columns]),
        ...(flags && { mask: tensor(flags, [rows, columns]) }),
      },
      of,
      units,
      rows,
    };
  });
}

/** Queries of ranks that all hold the same gathered keys, under InfoNCE without normalization. */
export function rankParts(random: Random, wishes: { readonly queries: readonly number[] }): RecordedPart[] {
  const [width, temperature] = [6, 0.5];
  const count = total(wishes.queries);
  const keys = Float32Array.from({ length: count * width }, () => random.real(1));
  let offset = 0;
  return wishes.queries.map((rows) => {
    const queries = Float32Array.from({ length: rows * width }, () => random.real(1));
    const labels = Int32Array.from({ length: rows }, (_, row) => offset + row);
    offset += rows;
    const units = Array.from({ length: rows }, (_, row) => {
      const scores = Float32Array.from({ length: count }, (_, key) => {
        let score = 0;
        for (let i = 0; i < width; i++) score += queries[row * width + i]! * keys[key * width + i]!;
        return score / temperature;
      });
      const { loss, slope: pull } = softmaxLoss(scores, labels[row]!);
      const slope = Float32Array.from({ length: width }, (_, i) => {
        let sum = 0;
        for (let key = 0; key < count; key++) sum += pull[key]! * keys[key * width + i]!;
        return sum / temperature;
      });
      return { loss, slope, weight: 1, row, at: row * width };
    });
    return {
      intended: { objective: "infoNce", options: { temperature, normalize: false } },
      fields: { queries: tensor(queries, [rows, width]), keys: tensor(keys, [count, width]), labels: tensor(labels) },
      of: "queries",
      units,
      rows,
    };
  });
}

// ------------------------------------------------------------------------------------------------ what code sums and divides

/** The weighted sum of a part's losses. */
export function sumOf({ units }: RecordedPart): number {
  return units.reduce((sum, { weight, loss }) => sum + weight * loss, 0);
}

/** The weights of a part. */
export function weightOf({ units }: RecordedPart): number {
  return units.reduce((sum, { weight }) => sum + weight, 0);
}

export function countOf({ units }: RecordedPart): number {
  return units.length;
}

export function meanOf(part: RecordedPart): number {
  return part.units.length ? sumOf(part) / weightOf(part) : 0;
}

/** The mean inside each row, one number a row that has a unit. */
export function rowMeansOf(part: RecordedPart): number[] {
  const rows = [...new Set(part.units.map(({ row }) => row))];
  return rows.map((row) => meanOf({ ...part, units: part.units.filter((unit) => unit.row === row) }));
}

export function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0);
}

export function mean(numbers: readonly number[]): number {
  return total(numbers) / numbers.length;
}

// ------------------------------------------------------------------------------------------------ records

/** What multiplies the gradient of a unit's weighted loss. */
export type Factor = number | ((unit: RecordedUnit) => number);

/** A mean inside sequences: a unit's share is 1 over the weight of its row, over the number of rows. */
export function factorsInRows(part: RecordedPart, rows: number): (unit: RecordedUnit) => number {
  const weights = new Map<number, number>();
  for (const { row, weight } of part.units) weights.set(row, (weights.get(row) ?? 0) + weight);
  return ({ row }) => 1 / weights.get(row)! / rows;
}

export interface StepWishes {
  readonly parts: readonly RecordedPart[];
  /** The reported loss; null: not recorded. */
  readonly loss: number | null;
  /** What multiplies the gradients of each part; without it none are recorded. */
  readonly factors?: readonly Factor[];
  readonly context?: StepContext;
  readonly ranks?: readonly number[];
  readonly intended?: Partial<Intended>;
  /** What parts report of themselves; by default their own mean. */
  readonly partLosses?: readonly (number | null)[];
}

/** A record of parts, or of the step whole when there is one part and nothing says otherwise. */
export function stepOf({ parts, loss, factors, context = {}, ranks, intended, partLosses }: StepWishes): StepRecord {
  const reportOf = (part: RecordedPart, i: number, value: number | null) => ({
    loss: value === null ? null : fround(value),
    gradients: factors ? { [part.of]: gradientOf(part, factors[i]!) } : {},
  });
  const record = {
    format: 1 as const,
    name: "step",
    intended: { ...parts[0]!.intended, ...intended, version: 1 },
    context,
  };
  const [only] = parts;
  if (parts.length === 1 && !ranks) {
    return { ...record, fields: { ...only!.fields }, reported: reportOf(only!, 0, loss), parts: [] };
  }
  return {
    ...record,
    reported: { loss: loss === null ? null : fround(loss), gradients: {} },
    parts: parts.map((part, i) => ({
      fields: { ...part.fields },
      reported: reportOf(part, i, partLosses ? partLosses[i]! : meanOf(part)),
      context: ranks ? { rank: ranks[i]! } : {},
    })),
  };
}

/** The gradient of a part's losses, each unit's by its weight and factor, in float32. */
export function gradientOf({ fields, of, units }: RecordedPart, factor: Factor): Tensor {
  const { shape, data } = fields[of]!;
  const gradient = new Float32Array(data.length);
  for (const unit of units) {
    const by = unit.weight * (typeof factor === "number" ? factor : factor(unit));
    for (let k = 0; k < unit.slope.length; k++) gradient[unit.at + k]! += fround(unit.slope[k]! * by);
  }
  return tensor(gradient, shape);
}

/** The same part with one field in another tensor: another dtype, shape or some other numbers. */
export function withField(part: RecordedPart, name: string, change: (field: Tensor) => Tensor): RecordedPart {
  return { ...part, fields: { ...part.fields, [name]: change(part.fields[name]!) } };
}
