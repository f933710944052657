import type { Reduction } from "../contract/index.js";
import { type AnyBatch, type BoundBatch, bindBatch } from "./batch.js";
import type { LossDefinition } from "./definition.js";
import type { LastForm } from "./last-form.js";
import type { Objective } from "./objective.js";
import { Units } from "./units.js";

/** A batch bound to a definition, and what its constants decide of its units. */
export interface OpenUnits {
  readonly batch: BoundBatch<object>;
  readonly units: Units;
}

/**
 * Binds a batch and opens its units; logits are read only for their shape.
 *
 * @param last - of an objective that binds batches again and again: the form of the one before
 * @param mayBePartial - whether fields with a gradient may be missing, since only the units are asked for
 * @throws as `bindBatch` and `Units`
 */
export function openUnits(
  definition: LossDefinition<object>,
  options: object,
  reduction: Reduction,
  given: AnyBatch,
  last?: LastForm,
  mayBePartial = false,
): OpenUnits {
  let batch = last?.bind(given);
  if (!batch) {
    batch = bindBatch(definition, options, given, mayBePartial);
    if (!batch.isPartial) last?.keep(given, batch, definition.fields);
  }
  const rules = definition.units?.(batch) ?? {};
  const shift = definition.alignment?.(options).labelShift ?? 0;
  return { batch, units: new Units(batch, rules, reduction, shift) };
}

/** The units of a batch, for whoever shows which of them an objective counts; decided by the code that counts them. */
export interface UnitsOfBatch {
  readonly shape: readonly number[];
  readonly count: number;
  /** Whether mask, ignored labels and shift leave a unit, whatever it weighs. */
  counts(unit: number): boolean;
  /** The unit whose rows score this unit's label, or −1 when none does. */
  source(unit: number): number;
  /**
   * The factor of a counted unit's loss in the numerator, 0 for any other.
   *
   * @throws `value` for a weight that is negative, NaN or infinite
   */
  weight(unit: number): number;
}

/** The units of a batch under an objective. @throws what `objective.denominator(batch)` throws for the batch's form */
export function unitsOf(objective: Objective, given: AnyBatch): UnitsOfBatch {
  const { batch, units } = openUnits(objective.definition, objective.options, objective.reduction, given);
  return {
    shape: batch.unitShape,
    count: units.count,
    counts: (unit) => units.counts(unit),
    source: units.source,
    weight: (unit) => (units.weigh(unit) ? units.numeratorWeight : 0),
  };
}
