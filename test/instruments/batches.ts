/**
 * Valid random batches of any objective, drawn from its definition alone: axes get lengths, fields get values of what
 * they hold and of their domain, alternatives and optional fields come and go, options come from what their specs
 * accept. What a definition cannot say is in `hints.ts`.
 *
 *   fc.assert(fc.property(drawn("crossEntropy"), ({ objective, batch }) => { objective.evaluate(batch); … }));
 *
 * A failing case prints its seed, options and batch; `drawCase(name, { seed, size })` gives it back.
 */
import fc from "fast-check";
import { perOfUnit } from "../../src/contract/index.js";
import {
  type AnyBatch,
  LosswrightError,
  type Objective,
  objectiveFrom,
  type Reduction,
  tensor,
} from "../../src/index.js";
import {
  axesOf,
  type Domain,
  definitionOf,
  domainOf,
  type FieldSpec,
  type LossDefinition,
} from "../../src/losses/index.js";
import { dataOf, placeOf, sizeOf, type Tensor, view } from "../../src/tensor/index.js";
import { hints } from "./hints.js";
import { Random } from "./random.js";

/** An objective with a batch that fits it. */
export interface Case {
  readonly objective: Objective;
  readonly batch: AnyBatch;
  readonly unitShape: readonly number[];
  /** The options in full. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly random: Random;
}

/** What a law asks of the cases it looks at. */
export interface Wishes {
  readonly reduction?: Partial<Reduction>;
  /** Options that are not drawn. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Rows of axis 0 are on their own: no array that is one packed row. */
  readonly wholeRows?: boolean;
  /** At least this many axes of units, where the definition leaves it open. */
  readonly axes?: number;
  /** Dtype of every float field; drawn for each field when not said. */
  readonly dtype?: "float32" | "float64";
}

/** The arbitrary of an objective's cases. */
export function drawn(name: string, wishes: Wishes = {}): fc.Arbitrary<Case> {
  return fc
    .record({ seed: fc.noShrink(fc.integer()), size: fc.integer({ min: 1, max: 4 }) })
    .map((draw) =>
      Object.assign(drawCase(name, draw, wishes), { [fc.toStringMethod]: () => shown(name, draw, wishes) }),
    );
}

export function drawCase(name: string, { seed, size }: { seed: number; size: number }, wishes: Wishes = {}): Case {
  const random = new Random(seed);
  const definition = definitionOf(name);
  const hint = hints[name] ?? {};
  const leading = Array.from({ length: random.integer(wishes.axes ?? 1, 3) }, () => random.integer(1, size + 1));
  const sizes: Record<string, number> = {};
  for (const { shape } of Object.values(definition.fields)) {
    for (const axis of shape) if (axis !== "...") sizes[axis] ??= random.integer(1, size + 1);
  }
  hint.sizes?.(sizes, random);
  const unitShape = definition.unitShape.flatMap((axis) => (axis === "..." ? leading : [sizes[axis]!]));
  const reduction = wishes.reduction ?? drawReduction(definition, random);
  const wanted = { ...drawOptions(definition, sizes, leading, wishes, random), ...wishes.options };
  hint.options?.(wanted, sizes, random);
  const objective = withAcceptedOptions(name, wanted, reduction);
  const options = readableOptions(objective);
  const batch = drawBatch(definition, { objective, options, sizes, leading, unitShape, wishes }, random);
  hint.batch?.(batch, options, random);
  return { objective, batch, unitShape, options, random };
}

/** The options of an objective's contract, ±∞ as numbers again. */
function readableOptions(objective: Objective): Record<string, unknown> {
  const words: Record<string, number> = { inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };
  return Object.fromEntries(
    Object.entries(objective.contract.options).map(([name, value]) => [name, words[value as string] ?? value]),
  );
}

function drawReduction({ unit }: LossDefinition<object>, random: Random): Partial<Reduction> {
  return {
    per: random.pick<Reduction["per"]>(perOfUnit[unit]),
    divideBy: random.pick<Reduction["divideBy"]>(["weight", "weight", "count", { constant: 7.5 }]),
  };
}

/**
 * Half of the options are left at their defaults; the others get a value that their spec accepts: words that it names,
 * numbers of a pool, lists with an entry for each class or for each place of the last axis.
 */
function drawOptions(
  definition: LossDefinition<object>,
  sizes: Readonly<Record<string, number>>,
  leading: readonly number[],
  wishes: Wishes,
  random: Random,
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  // On one axis of units an entry a place of the last axis would be one a row, which no split of rows can keep.
  const listLength = sizes.K ?? (leading.length > 1 ? leading.at(-1) : undefined);
  const specs = definition.options as Record<string, { accepts: string; read(value: unknown): unknown }>;
  for (const [name, spec] of Object.entries(specs)) {
    if (random.chance(0.5)) continue;
    const words = [...spec.accepts.matchAll(/"([^"]+)"/g)].map(([, word]) => word);
    const list = listLength && Array.from({ length: listLength }, () => random.pick([0.25, 0.5, 1, 2, 3]));
    const lists = list ? [list, list, list.map((entry) => (random.chance(0.4) ? 0 : entry))] : [];
    const pool = [0, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, true, false, null, ...lists, ...words];
    const accepted = pool.filter((value) => spec.read(value) !== undefined);
    if (accepted.length) options[name] = random.pick(accepted);
  }
  // The three options that every loss over labels shares speak of the axes of this batch.
  if ("ignoreIndex" in specs) options.ignoreIndex = random.pick([-100, -1, 0]);
  if ("classAxis" in specs) options.classAxis = leading.length > 1 && random.chance(0.3) ? 1 : -1;
  if ("labelShift" in specs) {
    const length = leading.at(-1) ?? 0;
    const fits = leading.length === 2 || (leading.length === 1 && !wishes.wholeRows);
    options.labelShift = fits && length > 1 && random.chance(0.4) ? random.integer(1, Math.min(2, length - 1)) : 0;
  }
  return options;
}

/** The objective of these options; one that its loss refuses beside the others goes back to its default. */
function withAcceptedOptions(name: string, options: Record<string, unknown>, reduction: Partial<Reduction>): Objective {
  for (;;) {
    try {
      return objectiveFrom({ objective: name, options, reduction });
    } catch (error) {
      if (!(error instanceof LosswrightError) || error.code !== "option" || !(error.field! in options)) throw error;
      delete options[error.field!];
    }
  }
}

interface Frame {
  readonly objective: Objective;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly leading: readonly number[];
  readonly unitShape: readonly number[];
  readonly wishes: Wishes;
}

function drawBatch(definition: LossDefinition<object>, frame: Frame, random: Random): Record<string, Tensor | number> {
  const { options, unitShape, wishes } = frame;
  const batch: Record<string, Tensor | number> = {};
  const chosen = new Set((definition.oneOf ?? []).map((group) => random.pick(group)));
  const alternatives = new Set(definition.oneOf?.flat());
  for (const [name, spec] of Object.entries(definition.fields)) {
    if (spec.scalarOption && options[name] !== "field") continue;
    if (alternatives.has(name) ? !chosen.has(name) : spec.optional && !spec.scalarOption && random.chance(0.5))
      continue;
    batch[name] = drawField(spec, name, shapeOf(spec, frame), frame, random);
  }
  const perRow = unitShape.length > 1;
  const rows = [unitShape[0] ?? 1, 1];
  const maskOfRows = perRow && !definition.fields.mask;
  if (random.chance(0.5)) batch.mask = drawMask(maskOfRows && random.chance(0.3) ? rows : unitShape, random);
  if (random.chance(0.5)) batch.weights = drawWeights(perRow && random.chance(0.3) ? rows : unitShape, wishes, random);
  const flatShift = unitShape.length === 1 && Number(options.labelShift ?? 0) > 0;
  if (flatShift || (random.chance(0.4) && !(wishes.wholeRows && unitShape.length < 2))) {
    const shape = perRow && random.chance(0.2) ? unitShape.slice(0, 1) : unitShape;
    batch.segmentIds = integers(shape, () => random.integer(0, 2), random);
  }
  return batch;
}

/** The shape of a field: units spread where it says `"..."`, classes where `classAxis` says. */
function shapeOf(spec: FieldSpec, { sizes, leading, options }: Frame): number[] {
  const shape = axesOf(spec, options).flatMap((axis) => (axis === "..." ? leading : [sizes[axis]!]));
  if (!spec.followsClassAxis || options.classAxis === undefined || options.classAxis === -1) return shape;
  shape.splice(Number(options.classAxis), 0, shape.pop()!);
  return shape;
}

function drawField(
  spec: FieldSpec,
  name: string,
  shape: readonly number[],
  frame: Frame,
  random: Random,
): Tensor | number {
  const { options, sizes, wishes } = frame;
  if (spec.holds === "flags") return drawMask(shape, random);
  if (spec.holds === "indices") {
    const ignored = name === "labels" && options.ignoreIndex !== undefined;
    const most = spec.indexes === undefined ? 3 : sizes[spec.indexes]! - 1;
    const entry = () => (ignored && random.chance(0.2) ? Number(options.ignoreIndex) : random.integer(0, most));
    return integers(shape, entry, random);
  }
  if (spec.scalarOption) return random.between(0.2, 1.5);
  const domain = domainOf(spec, options);
  return reals(shape, () => drawReal(domain, random), wishes.dtype ?? random.pick(["float64", "float32"]));
}

function drawReal(domain: Domain | undefined, random: Random): number {
  switch (domain) {
    case "unitInterval":
      return random.chance(0.4) ? random.integer(0, 1) : random.between(0, 1);
    case "nonNegative":
      return random.chance(0.2) ? 0 : random.between(0, 1);
    case "positive":
      return random.between(0.1, 3);
    case "sign":
      return random.chance(0.5) ? 1 : -1;
    case "nonPositive":
      return -random.between(0.1, 3);
    case "aboveMinusOne":
      return random.between(-0.9, 3);
    default:
      return random.real(2);
  }
}

function drawMask(shape: readonly number[], random: Random): Tensor {
  const flags = Array.from({ length: sizeOf(shape) }, () => Number(random.chance(0.7)));
  const dtype = random.pick(["bool", "uint8", "int32", "int64", "float32"] as const);
  return ofDtype(dtype, flags, shape);
}

function drawWeights(shape: readonly number[], wishes: Wishes, random: Random): Tensor {
  const weight = () => random.pick([0, 0.5, 1, random.between(0, 3)]);
  return reals(shape, weight, wishes.dtype ?? random.pick(["float64", "float32"]));
}

function integers(shape: readonly number[], entry: () => number, random: Random): Tensor {
  return ofDtype(random.pick(["int32", "int64"] as const), Array.from({ length: sizeOf(shape) }, entry), shape);
}

function reals(shape: readonly number[], entry: () => number, dtype: "float32" | "float64"): Tensor {
  return ofDtype(dtype, Array.from({ length: sizeOf(shape) }, entry), shape);
}

/** A tensor of numbers in any dtype. */
export function ofDtype(dtype: Tensor["dtype"], numbers: ArrayLike<number>, shape: readonly number[]): Tensor {
  if (dtype === "int64") return tensor(BigInt64Array.from(Array.from(numbers), BigInt), shape);
  const data = dataOf(dtype, numbers.length);
  for (let i = 0; i < numbers.length; i++) (data as Float64Array)[i] = numbers[i]!;
  return view(data, shape, "unlabeled", dtype);
}

/** A case as its failure report shows it. */
function shown(name: string, draw: { seed: number; size: number }, wishes: Wishes): string {
  const { objective, batch } = drawCase(name, draw, wishes);
  const { options, reduction } = objective.contract;
  const fields = Object.entries(batch).map(([field, value]) =>
    typeof value === "object" ? `${field}: ${value.dtype} [${value.shape}] {${value.data}}` : `${field}: ${value}`,
  );
  return `${name} seed ${draw.seed} size ${draw.size} ${JSON.stringify({ options, reduction })}\n  ${fields.join("\n  ")}`;
}

// ------------------------------------------------------------------------------------------------ what units of a batch are

const commonFields = ["weights", "mask", "segmentIds", "groupKeys"];

/**
 * Where a field keeps an axis of the units, or −1 when it does not run along it: scalars, shared weights, keys, and
 * fields with one entry a row beside the axis within the row.
 */
export function fieldAxis({ objective, batch, unitShape, options }: Case, field: string, unitAxis: number): number {
  const { shape } = batch[field] as Tensor;
  const { definition } = objective;
  const spec = definition.fields[field];
  if (commonFields.includes(field)) {
    const along = shape.length > unitShape.length || String(shape) === String(unitShape);
    return unitAxis === 0 || along ? unitAxis : -1;
  }
  if (!spec!.shape.includes("...")) return axesOf(spec!, options).indexOf(definition.unitShape[unitAxis]!);
  const classAxis = spec!.followsClassAxis ? Number(options.classAxis ?? -1) : -1;
  return classAxis >= 0 && classAxis <= unitAxis ? unitAxis + 1 : unitAxis;
}

/** The batch with these places of a unit axis, in this order; fields that do not run along it stay whole. */
export function takeAlong(found: Case, unitAxis: number, places: readonly number[]): AnyBatch {
  return Object.fromEntries(
    Object.entries(found.batch).map(([field, value]) => {
      if (typeof value !== "object") return [field, value];
      const axis = fieldAxis(found, field, unitAxis);
      return [field, axis < 0 ? value : takePlaces(value, axis, places)];
    }),
  );
}

/** The entries of a tensor at some places of an axis. */
export function takePlaces(from: Tensor, axis: number, places: readonly number[]): Tensor {
  const { shape, dtype, data } = from;
  const shapeTaken = shape.with(axis, places.length);
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const taken = dataOf(dtype, sizeOf(shapeTaken));
  let next = 0;
  for (let o = 0; o < outer; o++) {
    for (const place of places) {
      const start = (o * shape[axis]! + place) * inner;
      for (let i = 0; i < inner; i++) taken[next++] = data[start + i]!;
    }
  }
  return view(taken, shapeTaken, "unlabeled", dtype);
}

/** An entry of a common field for a unit: of the units' shape, of `[B, 1]` or of `[B]`. */
export function entryOf(found: Case, field: "mask" | "weights" | "segmentIds", unit: number): number {
  const { batch, unitShape } = found;
  const given = batch[field] as Tensor | undefined;
  if (!given) return 1;
  // A mask over the members of a unit leaves it as long as one member is left.
  if (given.shape.length > unitShape.length) {
    return Number(placesOfUnit(found, field, unit).some((at) => Number(given.data[at]) !== 0));
  }
  const rowLength = sizeOf(unitShape.slice(1));
  return Number(given.data[given.data.length === sizeOf(unitShape) ? unit : Math.floor(unit / rowLength)]);
}

/** Flat places of a field's entries that belong to a unit, by the field's axes along the units. */
export function placesOfUnit(found: Case, field: string, unit: number): number[] {
  const { shape, data } = found.batch[field] as Tensor;
  const place = placeOf(unit, found.unitShape);
  const axes = place.map((_, unitAxis) => fieldAxis(found, field, unitAxis));
  return Array.from({ length: data.length }, (_, at) => at).filter((at) => {
    const entry = placeOf(at, shape);
    return axes.every((axis, unitAxis) => axis < 0 || entry[axis] === place[unitAxis]);
  });
}
