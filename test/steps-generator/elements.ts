/** Steps over elements: regression, multi-label classification, the binary focal loss. */
import type { Tensor } from "../../src/tensor/index.js";
import type { Random } from "../instruments/random.js";
import { normals, surroundings, wideOrSingle, written } from "./chance.js";
import { type Drawn, drawn, type Frame } from "./drawn.js";
import { binaryCrossEntropy, modulated, type ResidualName, residual } from "./losses.js";
import type { Precision } from "./rounding.js";
import type { Tape, Variable } from "./tape.js";
import { flags, overSamples, type Part, reals } from "./task.js";

/** The arrays of one part, all of one shape. */
export interface ElementsData {
  readonly shape: readonly number[];
  /** `predictions` or `logits`. */
  readonly outputs: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
  readonly weights?: readonly number[];
  readonly mask?: readonly number[];
  readonly precision: Precision;
  readonly recorded?: Readonly<Record<string, Tensor>>;
}

/** What code does with them. */
export interface ElementsCode {
  readonly field: "predictions" | "logits";
  /** The loss of every element, of those left out too. */
  readonly loss: (tape: Tape, outputs: Variable, data: ElementsData) => Variable;
  /** What stands at left-out elements is read, and multiplied by 0. */
  readonly readsAll?: boolean;
}

function elementsPart(data: ElementsData, code: ElementsCode): Part {
  const { shape, outputs, targets, weights, mask, precision, recorded } = data;
  const count = outputs.length;
  const counted = Array.from({ length: count }, (_, i) => mask?.[i] ?? 1);
  return {
    fields: {
      [code.field]: reals(outputs, shape, precision),
      targets: reals(targets, shape, precision),
      ...(weights && { weights: reals(weights, shape, precision) }),
      ...(mask && { mask: flags(mask, shape) }),
      ...recorded,
    },
    leaves: [code.field],
    losses: (tape, leaves) => {
      const own = leaves[code.field];
      const read = code.readsAll ? own : tape.where(counted, own);
      const known = code.readsAll ? data : { ...data, targets: Array.from(targets, (y, i) => (counted[i] ? y : 0)) };
      return code.loss(tape, read, known);
    },
    weights: counted.map((c, i) => (c === 0 ? 0 : (weights?.[i] ?? 1))),
    counted,
    groups: counted.map((_, i) => Math.floor((i * shape[0]) / count)),
  };
}

export type ElementsStep = Drawn<ElementsData, ElementsCode>;

export interface ElementWishes {
  /** Rows of each part. */
  readonly rows?: readonly number[];
  /** Entries a row; 0 for `[N]` without a second axis. */
  readonly columns?: number;
  readonly weight?: () => number;
  /** Whether an element counts; the field `mask` is recorded. */
  readonly mask?: () => boolean;
  readonly reduction?: Readonly<Record<string, unknown>>;
  readonly precision?: Precision;
  readonly context?: Frame["context"];
  readonly ranks?: readonly number[];
  readonly scale?: number;
  /** Changes outputs after they were drawn, before anything is computed. */
  readonly outputs?: (drawn: Float64Array) => Float64Array;
}

interface RegressionWishes extends ElementWishes {
  readonly loss?: ResidualName;
  readonly target?: () => number;
}

const residualNames: readonly ResidualName[] = ["squaredError", "absoluteError", "huber", "smoothL1", "logCosh"];

/** A regression. */
export function regression(random: Random, wishes: RegressionWishes = {}): ElementsStep {
  const { loss = random.pick(residualNames), scale = random.between(0.7, 2), target = () => random.real(2) } = wishes;
  const bound = loss === "huber" || loss === "smoothL1" ? random.pick([0.5, 1, 2]) : 1;
  const options = loss === "huber" ? { delta: bound } : loss === "smoothL1" ? { beta: bound } : {};
  const data = elementData(random, wishes, scale, target);
  const code: ElementsCode = {
    field: "predictions",
    loss: (tape, outputs, { targets }) => {
      const r = tape.minus(outputs, tape.leaf({ shape: outputs.shape, data: targets }));
      return residual(tape, loss, r, bound);
    },
  };
  return drawn(elementsPart, data, code, frameOf(random, wishes, loss, options, data, "r2"));
}

export interface BinaryWishes extends ElementWishes {
  /** Factor on the positives of each column. */
  readonly posWeight?: readonly number[];
  readonly smoothing?: number;
  /** Soft targets, as the share of annotators who said yes. */
  readonly soft?: boolean;
  readonly focal?: { readonly gamma: number; readonly alpha: number | null };
}

/** Independent yes-or-no labels, under binary cross entropy or the binary focal loss. */
export function multiLabel(random: Random, wishes: BinaryWishes = {}): ElementsStep {
  const { posWeight, smoothing = 0, soft = false, focal, scale = random.between(0.8, 2.5) } = wishes;
  const rate = random.between(0.2, 0.6);
  const target = () => (soft ? written(random, 0, 1) : Number(random.chance(rate)));
  const data = elementData(random, wishes, scale, target);
  const code: ElementsCode = {
    field: "logits",
    loss: focal
      ? (tape, outputs, { targets }) => binaryFocal(tape, outputs, targets, focal)
      : (tape, outputs, { targets }) => {
          const smooth = Array.from(targets, (y) => y * (1 - smoothing) + smoothing / 2);
          return binaryCrossEntropy(tape, outputs, smooth, {
            ...(posWeight && { posWeight: columnsOf(posWeight, outputs.data.length) }),
          });
        },
  };
  const options = focal
    ? { gamma: focal.gamma, alpha: focal.alpha }
    : { ...(posWeight && { posWeight: [...posWeight] }), ...(smoothing > 0 && { labelSmoothing: smoothing }) };
  const objective = focal ? "binaryFocal" : "binaryCrossEntropy";
  return drawn(elementsPart, data, code, frameOf(random, wishes, objective, options, data, "auroc"));
}

/** α (1 − p_t)^γ times binary cross entropy; positives have α, negatives 1 − α. */
export function binaryFocal(
  tape: Tape,
  outputs: Variable,
  targets: ArrayLike<number>,
  { gamma, alpha, detached = false }: { gamma: number; alpha: number | null; detached?: boolean },
): Variable {
  const factors = Array.from(targets, (y) => (alpha === null ? 1 : alpha * y + (1 - alpha) * (1 - y)));
  // For targets of 0 and 1 alone: p_t is e to the minus loss.
  return modulated(tape, binaryCrossEntropy(tape, outputs, targets), { gamma, alpha: factors, detached });
}

/** A number a column, written out for every element. */
export function columnsOf(columns: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, i) => columns[i % columns.length]);
}

function elementData(random: Random, wishes: ElementWishes, scale: number, target: () => number): ElementsData[] {
  const { rows = [random.integer(3, 9)], columns = random.integer(2, 6), weight, mask } = wishes;
  const precision = wishes.precision ?? wideOrSingle(random);
  return rows.map((count): ElementsData => {
    const size = count * Math.max(columns, 1);
    const drawnMask = mask && Array.from({ length: size }, () => Number(mask()));
    if (drawnMask && !drawnMask.includes(1)) drawnMask[0] = 1;
    const drawnOutputs = normals(random, size, scale);
    return {
      shape: columns === 0 ? [count] : [count, columns],
      outputs: wishes.outputs?.(drawnOutputs) ?? drawnOutputs,
      targets: Array.from({ length: size }, () => Math.fround(target())),
      ...(weight && { weights: Array.from({ length: size }, weight) }),
      ...(drawnMask && { mask: drawnMask }),
      precision,
    };
  });
}

function frameOf(
  random: Random,
  { reduction, context, ranks }: ElementWishes,
  objective: string,
  options: Readonly<Record<string, unknown>>,
  [{ precision }]: readonly ElementsData[],
  metric: string,
): Frame {
  return {
    intended: { objective, options, reduction: { per: "element", divideBy: "weight", ...reduction } },
    precision,
    context: { ...surroundings(random, metric), ...context },
    ...(ranks && { ranks }),
    ...(reduction?.per === "sample" && { coefficients: overSamples }),
  };
}
