import fc from "fast-check";
import { type Tensor, tensor } from "../tensor/index.js";

/** Numbers of a result, for comparison to the bit. */
export const numbers = (held: Tensor) => Array.from(held.data as ArrayLike<number>, Number);

/** Entries, or rows of `width` entries, of a list in another order. */
export const reordered = (list: readonly number[], order: readonly number[], width = 1) =>
  order.flatMap((i) => list.slice(i * width, (i + 1) * width));

export interface DrawnSamples {
  readonly classes: number;
  readonly logits: number[];
  readonly labels: number[];
  readonly weights: number[];
  /** A permutation of the samples. */
  readonly order: readonly number[];
}

/** Logits, labels of at least two classes, weights, and another order of them. */
export function drawnSamples(classes: number, most = 40): fc.Arbitrary<DrawnSamples> {
  const width = Math.max(1, classes);
  const highest = Math.max(2, classes) - 1;
  return fc.integer({ min: 6, max: most }).chain((count) => {
    const list = <T>(entry: fc.Arbitrary<T>, length: number) =>
      fc.array(entry, { minLength: length, maxLength: length });
    return fc.record({
      classes: fc.constant(classes),
      // Coarse ones tie; fine ones do not.
      logits: list(
        fc.oneof(fc.integer({ min: -4, max: 4 }), fc.double({ min: -6, max: 6, noNaN: true })),
        count * width,
      ),
      labels: list(fc.integer({ min: 0, max: highest }), count).map((labels) => [0, 1, ...labels.slice(2)]),
      weights: list(fc.double({ min: 0.01, max: 3, noNaN: true }), count),
      order: fc.shuffledSubarray(
        Array.from({ length: count }, (_, i) => i),
        { minLength: count, maxLength: count },
      ),
    });
  });
}

/** Drawn samples as fields, in their order or another. */
export function fieldsOf({ classes, logits, labels, weights }: DrawnSamples, order?: readonly number[]) {
  const width = Math.max(1, classes);
  const places = order ?? labels.map((_, i) => i);
  const shape = classes > 1 ? [labels.length, classes] : [labels.length];
  return {
    logits: tensor(Float64Array.from(reordered(logits, places, width)), shape),
    labels: tensor(Int32Array.from(reordered(labels, places))),
    weights: tensor(Float64Array.from(reordered(weights, places))),
  };
}

/** The same for fits of scores. */
export function scoredFieldsOf(samples: DrawnSamples, order?: readonly number[]) {
  const { logits: scores, labels, weights } = fieldsOf(samples, order);
  return { scores, labels, weights };
}
