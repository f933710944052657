import fc from "fast-check";
import { type Tensor, tensor } from "../../tensor/index.js";

/** One row of logits, of at least two classes. */
export const logitRow = fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: 2, maxLength: 6 });

/** A row of logits with a row of weights as long, not all 0. */
export const rowWithTargets = logitRow.chain((logits) =>
  fc.record({
    logits: fc.constant(logits),
    targets: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
      minLength: logits.length,
      maxLength: logits.length,
    }),
  }),
);

/** A unit of logits against a label. */
export const labeled = (logits: readonly number[], label: number) => ({
  logits: tensor(Float64Array.from(logits), [1, logits.length]),
  labels: tensor(Int32Array.of(label)),
});

/** A unit of logits against a weight for each class. */
export const targeted = (logits: readonly number[], targets: readonly number[]) => ({
  logits: tensor(Float64Array.from(logits), [1, logits.length]),
  targets: tensor(Float64Array.from(targets), [1, targets.length]),
});

/** Softmax by definition. */
export function softmaxOf(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const terms = logits.map((z) => Math.exp(z - top));
  const sum = terms.reduce((a, b) => a + b);
  return terms.map((term) => term / sum);
}

/** The numbers of a tensor, −0 as 0. */
export const numbers = ({ data }: Tensor): number[] => Array.from(data as ArrayLike<number>, (entry) => entry + 0);
