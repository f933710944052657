/** Losses as training code writes them, on a tape: rows of class scores, elements, embeddings, scores of answers. */
import type { Tape, Variable } from "./tape.js";

// ------------------------------------------------------------------------------------------------ rows of class scores

export interface CrossEntropyCode {
  readonly temperature?: number;
  readonly smoothing?: number;
  /** The classes that share the smoothed mass. */
  readonly spread?: "all" | "others";
}

/** −log of the softmax at the label, [N] from logits [N, K]. */
export function crossEntropy(
  tape: Tape,
  logits: Variable,
  labels: readonly number[],
  { temperature = 1, smoothing = 0, spread = "all" }: CrossEntropyCode = {},
): Variable {
  const logProbs = tape.logSoftmax(temperature === 1 ? logits : tape.scale(logits, 1 / temperature));
  return smoothed(tape, logProbs, labels, smoothing, spread);
}

/** The negative log-likelihood of labels that share a part of their mass with all classes, or with all others. */
export function smoothed(
  tape: Tape,
  logProbs: Variable,
  labels: readonly number[],
  smoothing: number,
  spread: "all" | "others" = "all",
): Variable {
  const hard = tape.scale(tape.pick(logProbs, labels), -1);
  if (smoothing === 0) return hard;
  const all = tape.scale(tape.sumRows(logProbs), -1);
  const classes = logProbs.shape.at(-1)!;
  const each = spread === "all" ? smoothing / classes : smoothing / (classes - 1);
  const own = spread === "all" ? 1 - smoothing : 1 - smoothing - each;
  return tape.plus(tape.scale(hard, own), tape.scale(all, each));
}

/** −Σ q log p, [N]. */
export function softCrossEntropy(tape: Tape, logits: Variable, targets: ArrayLike<number>): Variable {
  return tape.scale(tape.sumRows(times(tape, tape.logSoftmax(logits), targets)), -1);
}

export interface FocalCode {
  readonly gamma: number;
  /** The factor of each unit. */
  readonly alpha?: readonly number[];
  readonly detached?: boolean;
  /** p is read from a loss that carries the factor already. */
  readonly weightInside?: boolean;
}

/** −α (1 − p)^γ log p of the label, [N] from logits [N, K]. */
export function focal(tape: Tape, logits: Variable, labels: readonly number[], code: FocalCode): Variable {
  return modulated(tape, crossEntropy(tape, logits, labels), code);
}

/** A negative log-likelihood times α (1 − e^−loss)^γ. */
export function modulated(
  tape: Tape,
  loss: Variable,
  { gamma, alpha, detached = false, weightInside = false }: FocalCode,
): Variable {
  const weighed = alpha ? times(tape, loss, alpha) : loss;
  const p = tape.exp(tape.scale(weightInside ? weighed : loss, -1));
  const factor = tape.power(tape.shift(tape.scale(p, -1), 1), gamma);
  return tape.times(detached ? tape.detach(factor) : factor, weighed);
}

/** KL(softmax(target) ‖ softmax(logits)) of each row, [N]; the target is a constant. */
export function divergence(
  tape: Tape,
  logits: Variable,
  targetLogits: Variable,
  { temperature = 1, targetTemperature = temperature }: { temperature?: number; targetTemperature?: number } = {},
): Variable {
  const own = tape.logSoftmax(tape.scale(logits, 1 / temperature));
  const target = tape.detach(tape.logSoftmax(tape.scale(targetLogits, 1 / targetTemperature)));
  const gap = tape.minus(target, own);
  return tape.sumRows(tape.times(tape.detach(tape.exp(target)), gap));
}

// ------------------------------------------------------------------------------------------------ elements

export interface BinaryCode {
  /** Factor on the positive term of each element. */
  readonly posWeight?: ArrayLike<number>;
  /** Factor on the negative term of each element. */
  readonly negWeight?: ArrayLike<number>;
}

/** −y log σ(z) − (1 − y) log(1 − σ(z)) of each element. */
export function binaryCrossEntropy(
  tape: Tape,
  logits: Variable,
  targets: ArrayLike<number>,
  { posWeight, negWeight }: BinaryCode = {},
): Variable {
  const on = Array.from(targets, (y, i) => y * (posWeight?.[i] ?? 1));
  const off = Array.from(targets, (y, i) => (1 - y) * (negWeight?.[i] ?? 1));
  const positive = times(tape, tape.softplus(tape.scale(logits, -1)), on);
  return tape.plus(positive, times(tape, tape.softplus(logits), off));
}

export type ResidualName = "squaredError" | "absoluteError" | "huber" | "smoothL1" | "logCosh";

/** A loss of the residual of each element; `bound` is delta of Huber and beta of the smooth L1. */
export function residual(tape: Tape, name: ResidualName, r: Variable, bound = 1): Variable {
  const inside = (x: number) => Math.abs(x) <= bound;
  switch (name) {
    case "squaredError":
      return tape.power(r, 2);
    case "absoluteError":
      return tape.map(r, Math.abs, (x) => Math.sign(x));
    case "huber":
      return tape.map(
        r,
        (x) => (inside(x) ? (x * x) / 2 : bound * (Math.abs(x) - bound / 2)),
        (x) => (inside(x) ? x : bound * Math.sign(x)),
      );
    case "smoothL1":
      return tape.map(
        r,
        (x) => (inside(x) ? (x * x) / 2 / bound : Math.abs(x) - bound / 2),
        (x) => (inside(x) ? x / bound : Math.sign(x)),
      );
    case "logCosh":
      return tape.map(
        r,
        (x) => Math.abs(x) + Math.log1p(Math.exp(-2 * Math.abs(x))) - Math.LN2,
        (x) => Math.tanh(x),
      );
  }
}

// ------------------------------------------------------------------------------------------------ pieces

/** An array times constants. */
export function times(tape: Tape, x: Variable, factors: ArrayLike<number>): Variable {
  return tape.times(x, tape.leaf({ shape: x.shape, data: factors }));
}
