import type { Contract, ContractInput, Reduction } from "../../contract/index.js";
import { perOfUnit } from "../../contract/index.js";
import type { AnyBatch, Objective } from "../../losses/index.js";
import { isTensor, sizeOf } from "../../tensor/index.js";
import { referenceObjective } from "../reference.js";

/** A reduction that could stand behind reported numbers, and in words what divides in it. */
export interface ReductionCandidate {
  readonly reduction: Reduction;
  readonly words: string;
}

/**
 * Reductions to try in place of the declared one, simplest first: what is averaged, over what, and the sizes of the
 * batch that code divides by when it does not count.
 *
 * @param given - the declared denominator, for the clamp at 1; `counted` where it is a candidate itself
 */
export function reductionCandidates(
  objective: Objective,
  batches: readonly AnyBatch[],
  { declared, counted }: { readonly declared: number; readonly counted?: number },
): readonly ReductionCandidate[] {
  const { reduction, definition } = objective;
  const { onEmpty } = reduction;
  const candidates: ReductionCandidate[] = [];
  const add = (words: string, change: Partial<Reduction>) =>
    candidates.push({ words, reduction: { ...reduction, onEmpty, ...change } });
  const units = definition.unit === "position" ? "tokens" : `${definition.unit}s`;
  const flat = batches.every(
    (batch) => unitShapeOf(objective, batch).length < 2 && !batch.segmentIds && !batch.groupKeys,
  );
  for (const per of perOfUnit[definition.unit]) {
    // Where every unit is a sequence of its own, a mean over sequences is one without weights.
    if (per === "sequence" && flat && definition.unit !== "sequence" && reduction.per !== "sequence") continue;
    const mean =
      per === "sequence"
        ? "the mean inside each sequence, then over sequences"
        : per === "sample"
          ? "the number of samples"
          : `all ${units} alike`;
    add(`${mean}, by weight`, { per, divideBy: "weight" });
    add(`${mean}, by count`, { per, divideBy: "count" });
  }
  const [each] = perOfUnit[definition.unit];
  const constants = new Map<number, string>();
  const constant = (value: number, words: string) => {
    if (value > 0 && !constants.has(value)) constants.set(value, words);
  };
  constant(1, declared < 1 ? "a count clamped at 1" : "nothing at all: a plain sum");
  const shapes = batches.map((batch) => unitShapeOf(objective, batch));
  const sumOver = (size: (shape: readonly number[]) => number) => shapes.reduce((sum, shape) => sum + size(shape), 0);
  constant(sumOver(sizeOf), `all ${units}, those left out included`);
  constant(
    sumOver((shape) => shape[0] ?? 1),
    "the number of rows",
  );
  constant(
    sumOver((shape) => (shape.length > 1 ? shape[0]! * (shape[1]! - 1) : 0)),
    "all positions but the first of each row, those left out included",
  );
  const classes = classesOf(objective, batches[0]!);
  if (classes) {
    constant(sumOver(sizeOf) * classes, "all entries, classes included");
    constant(declared * classes, `the ${units} that count times the classes`);
  }
  if (definition.alignment?.(objective.options).labelShift) {
    const { contract } = objective;
    const unshifted = referenceObjective({
      ...contract,
      options: { ...contract.options, labelShift: 0 },
    } as ContractInput);
    const all = batches.reduce((sum, batch) => sum + unshifted.denominator(batch).value, 0);
    constant(all, "the labels as they stand before the shift, the first of each row included");
  }
  if (counted !== undefined) constant(counted, "what the contract counts");
  for (const [value, words] of constants)
    add(`divided by ${value}, ${words}`, { per: each, divideBy: { constant: value } });
  return candidates;
}

/** The contract of an objective under another reduction. */
export function underReduction(contract: Contract, reduction: Reduction): Contract {
  return { ...contract, reduction };
}

/** The shape of a batch's units, from the first field that has it. */
function unitShapeOf({ definition }: Objective, batch: AnyBatch): readonly number[] {
  for (const [name, spec] of Object.entries(definition.fields)) {
    const value = batch[name];
    if (!isTensor(value) || spec.shape[0] !== definition.unitShape[0]) continue;
    return value.shape.slice(0, value.shape.length - (spec.shape.length - definition.unitShape.length));
  }
  return [];
}

function classesOf(objective: Objective, batch: AnyBatch): number | undefined {
  for (const [name, spec] of Object.entries(objective.definition.fields)) {
    const value = batch[name];
    if (spec.gradient === "row" && spec.shape.includes("K") && isTensor(value)) return value.shape.at(-1);
  }
  return undefined;
}
