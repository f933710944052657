import fc from "fast-check";
import { tensor } from "../../tensor/index.js";

/** A sample of one class: its score, whether it is positive, its weight. */
export interface Scored {
  readonly score: number;
  readonly positive: boolean;
  readonly weight: number;
}

/** Samples with many ties; weights are 1, whole or any. */
export const samples = fc
  .constantFrom(fc.constant(1), fc.integer({ min: 1, max: 5 }), fc.double({ min: 1e-3, max: 1e3, noNaN: true }))
  .chain((weight) =>
    fc.array(
      fc.record({
        score: fc.oneof(
          fc.integer({ min: -3, max: 3 }),
          fc.double({ noNaN: true }),
          fc.double({ min: 0, max: 1, noNaN: true }),
        ),
        positive: fc.boolean(),
        weight,
      }),
      { minLength: 1, maxLength: 24 },
    ),
  );

/** The fields of samples. */
export const fieldsOf = (list: readonly Scored[]) => ({
  scores: tensor(Float64Array.from(list, ({ score }) => score)),
  labels: tensor(Uint8Array.from(list, ({ positive }) => Number(positive))),
  weights: tensor(Float64Array.from(list, ({ weight }) => weight)),
});

/** Σ w⁺w⁻([s⁺ > s⁻] + [s⁺ = s⁻]/2) / Σ w⁺w⁻, pair by pair. */
export function pairwiseArea(list: readonly Scored[]): number {
  let [above, all] = [0, 0];
  for (const a of list.filter(({ positive }) => positive)) {
    for (const b of list.filter(({ positive }) => !positive)) {
      const weight = a.weight * b.weight;
      all += weight;
      if (a.score > b.score) above += weight;
      if (a.score === b.score) above += weight / 2;
    }
  }
  return above / all;
}

/** The mean over positives of the precision at their own score. */
export function naivePrecision(list: readonly Scored[]): number {
  const total = (some: readonly Scored[]) => some.reduce((sum, { weight }) => sum + weight, 0);
  const positives = list.filter(({ positive }) => positive);
  if (positives.length === 0) return 0;
  const found = positives.map(({ score, weight }) => {
    const reached = list.filter((other) => other.score >= score);
    return (weight * total(reached.filter(({ positive }) => positive))) / total(reached);
  });
  return found.reduce((sum, value) => sum + value, 0) / total(positives);
}
