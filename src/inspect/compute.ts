import { LosswrightError } from "../errors/index.js";
import type { AnyBatch, Objective } from "../losses/index.js";

/** What an objective gives on a batch: undivided sums, the loss of every unit, and what must be said. */
export interface Computed {
  readonly sum: { readonly numerator: number; readonly denominator: number } | null;
  readonly losses: Float64Array | null;
  readonly notes: readonly string[];
}

/**
 * Computes a batch. Where a value forbids it (a label out of range), a note stands in place of the numbers: a person who
 * looks at a mask looks for just that.
 */
export function compute(objective: Objective, batch: AnyBatch): Computed {
  try {
    const { tally, notes } = objective.evaluate(batch);
    return {
      sum: { numerator: tally.numerator, denominator: tally.denominator.value },
      losses: objective.perUnit(batch).data as Float64Array,
      notes: notes.map(({ message }) => message),
    };
  } catch (error) {
    if (!(error instanceof LosswrightError) || (error.code !== "value" && error.code !== "empty")) throw error;
    return { sum: null, losses: null, notes: [`no losses, since the objective refuses the batch: ${error.message}`] };
  }
}
