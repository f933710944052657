import { type ContractInput, constantOf, type Reduction } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import type { SampledContext, StepRecord } from "../io/index.js";
import type { AnyBatch, Objective } from "../losses/index.js";
import { dataOf, isTensor, sameShape, sizeOf, type Tensor, view } from "../tensor/index.js";
import type { AuditedPart, Counted, Declared, SearchedPart } from "./audited-step.js";
import { Gradients } from "./explain/gradients.js";
import { referenceObjective } from "./reference.js";

/** A sampled step: what its kept units give, over the denominator of the whole. */
export interface OpenedSample {
  readonly declared: Declared;
  readonly searched: readonly SearchedPart[];
  /** The contract on the kept units: each has its label beside it, so nothing is shifted. */
  readonly objective: Objective;
  /** Whether every part kept the numerator of the whole, so that the loss can be compared. */
  readonly hasNumerator: boolean;
}

/**
 * Evaluates the units that a sampled record kept. Their gradients are exact; the value is that of the recorder's
 * tallies, or the mean of the sample where it kept no numerators.
 *
 * @throws `unsupported` where a unit's share of the value depends on units that were not kept
 */
export function openSample(
  objective: Objective,
  parts: readonly AuditedPart[],
  contextOf: (part: AuditedPart) => StepRecord["context"],
): OpenedSample {
  const { per } = objective.reduction;
  const axes = Math.max(...parts.map((part) => contextOf(part).sampled?.shape.length ?? 1));
  if (objective.couples || per === "sequence" || (per === "sample" && axes > 1)) {
    throw new LosswrightError({
      code: "unsupported",
      where: objective.name,
      field: "context.sampled",
      found: `a sample of a step under per: "${per}"`,
      expected: "an objective that weighs every unit alike",
      fix: "record the step whole, or its first rows as a step of their own.",
    });
  }
  const shift = objective.definition.alignment?.(objective.options).labelShift ?? 0;
  const compact = shift === 0 ? objective : unshifted(objective);
  const samples = parts.map((part) => {
    const context = contextOf(part);
    return { part, context, sampled: context.sampled ?? wholeAsSample(objective, part) };
  });
  // A constant divides the whole step once, not each part.
  const counted = samples.reduce((sum, { sampled }) => sum + sampled.tally.denominator, 0);
  const denominator = constantOf(objective.reduction) ?? counted;
  const hasNumerator = samples.every(({ sampled }) => sampled.tally.numerator !== undefined);
  const batches = samples.map(({ part, sampled }) => compactBatch(objective, part.batch, sampled, shift));
  const evaluated = batches.map((batch) => compact.valueAndGradients(batch, { denominator: denominator || 1 }));
  const tallies = samples.map(({ sampled }, i): Counted => {
    const { tally } = evaluated[i]!;
    const kept = tally.denominator.value;
    const scaled = kept === 0 ? 0 : (tally.numerator / kept) * sampled.tally.denominator;
    const value = sampled.tally.denominator;
    return {
      numerator: sampled.tally.numerator ?? scaled,
      denominator: { value, count: value, isEmpty: value === 0 },
    };
  });
  const numerator = tallies.reduce((sum, tally) => sum + tally.numerator, 0);
  return {
    declared: {
      contract: objective.contract,
      value: denominator === 0 ? 0 : numerator / denominator,
      numerator,
      denominator,
      count: denominator,
      gradients: evaluated.map(({ gradients }) => new Gradients(gradients)),
      tallies,
    },
    searched: samples.map(({ part, context, sampled }, i) => ({
      batch: batches[i]!,
      context,
      rank: part.rank,
      reported: part.reported.gradients,
      reportedGradients: undefined,
      denominator: sampled.tally.denominator,
      denominatorUnder: (reduction: Reduction, labelShift = shift) => {
        const { contract } = objective;
        const options = "labelShift" in contract.options ? { ...contract.options, labelShift } : contract.options;
        const changed = referenceObjective({ ...contract, options, reduction } as ContractInput);
        return changed.denominator(wholeBatch(part.batch, sampled)).value;
      },
      ...(sampled.tally.numerator !== undefined && {
        missing: sampled.tally.numerator - evaluated[i]!.tally.numerator,
      }),
      relabel: (by: number) => compactBatch(objective, part.batch, sampled, by),
    })),
    objective: compact,
    hasNumerator,
  };
}

function unshifted({ contract }: Objective): Objective {
  return referenceObjective({ ...contract, options: { ...contract.options, labelShift: 0 } } as ContractInput);
}

/** A part that was kept whole, beside others that were not. */
function wholeAsSample(objective: Objective, { batch }: AuditedPart): SampledContext {
  const { numerator, denominator } = objective.tally(batch);
  const shape = unitShape(objective, batch);
  const units = view(
    Int32Array.from({ length: sizeOf(shape) }, (_, i) => i),
    [sizeOf(shape)],
    "unlabeled",
    "int32",
  );
  return { units, shape: [...shape], fields: [], tally: { numerator, denominator: denominator.value } };
}

function unitShape(objective: Objective, batch: AnyBatch): readonly number[] {
  return objective.perUnit(batch).shape;
}

/**
 * The whole batch, whose kept fields have their whole shape and no numbers: what divides follows from labels, masks
 * and weights, and from the scores only by their shape.
 */
export function wholeBatch(batch: AnyBatch, { shape, fields }: SampledContext): AnyBatch {
  const entries = Object.entries(batch).map(([name, value]) => {
    if (!isTensor(value) || !fields.includes(name)) return [name, value] as const;
    const whole: Tensor = { ...value, shape: [...shape, ...value.shape.slice(1)], data: dataOf(value.dtype, 0) };
    return [name, whole] as const;
  });
  return Object.fromEntries(entries);
}

/** The kept units as a batch of `[n, …]`: each row of scores with the label that it is scored against. */
function compactBatch(objective: Objective, batch: AnyBatch, sampled: SampledContext, shift: number): AnyBatch {
  const { units, shape, fields } = sampled;
  const count = units.data.length;
  const length = shape.at(-1) ?? 1;
  const places = Array.from(units.data, Number);
  // Past the end of its row a score has no label; nor has one whose label lies in another document.
  const segments = batch.segmentIds as Tensor | undefined;
  const labeled = places.map((place) => {
    const inside = (place % length) + shift < length;
    return inside && (!segments || segments.data[place] === segments.data[place + shift]) ? place + shift : -1;
  });
  const whole = new Set(Object.keys(batch).filter((name) => !fields.includes(name)));
  const compact: Record<string, Tensor | number> = {};
  for (const [name, value] of Object.entries(batch)) {
    if (!isTensor(value) || value.shape.length === 0 || fields.includes(name)) {
      if (value !== undefined) compact[name] = value;
      continue;
    }
    if (name === "segmentIds" || name === "groupKeys") continue;
    const at = objective.definition.fields[name]?.read === "source" ? places : labeled;
    compact[name] = gathered(value, at, shape);
  }
  if (shift !== 0 && whole.size > 0) {
    const given = compact.mask as Tensor | undefined;
    const flags = Uint8Array.from({ length: count }, (_, i) => (labeled[i]! < 0 ? 0 : Number(given?.data[i] ?? 1)));
    compact.mask = view(flags, [count], "mask", "bool");
  }
  return compact;
}

/** The entries of a whole field at some units: of `[…units, …]`, or of one entry a row. */
function gathered(field: Tensor, units: readonly number[], shape: readonly number[]): Tensor {
  const leading = shape.every((length, axis) => field.shape[axis] === length);
  const rest = leading ? field.shape.slice(shape.length) : [];
  const inner = sizeOf(rest);
  const perRow = leading ? 1 : sizeOf(shape) / Math.max(1, field.data.length);
  const data = dataOf(field.dtype, units.length * inner);
  for (const [i, unit] of units.entries()) {
    if (unit < 0) continue;
    const from = Math.floor(unit / perRow) * inner;
    data.set(field.data.subarray(from, from + inner) as never, i * inner);
  }
  return view(
    data,
    sameShape(rest, []) ? [units.length] : [units.length, ...rest],
    field.role,
    field.dtype,
    field.weak,
  );
}
