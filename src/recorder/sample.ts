import { LosswrightError } from "../errors/index.js";
import type { SampledContext } from "../io/index.js";
import { type Objective, unitsOf } from "../losses/index.js";
import { dataOf, sameShape, sizeOf, type Tensor, view } from "../tensor/index.js";

/** Why the units of a step cannot be sampled; a sentence about the step. */
export class Unsampled extends Error {}

/** Units kept of a large step. */
export interface Sample {
  readonly context: SampledContext;
  /** The kept units of a field, `[n, …]`, or of a tensor of its form; a copy. Other fields are what they were. */
  pick(name: string, whole: Tensor): Tensor;
}

/** Units kept at least, however large one is. */
const fewest = 16;

/**
 * Chooses units to keep, and tallies all of them. Nothing is drawn: the same step gives the same units.
 *
 * @param copies - how many tensors of the form of each field are recorded
 * @param budget - bytes that the sample may take
 * @param tallyWithin - most numbers read for the numerator
 * @throws `Unsampled` where units mean nothing alone or their fields do not fit
 */
export function sampleOf(
  objective: Objective,
  fields: Readonly<Record<string, Tensor>>,
  copies: ReadonlyMap<string, number>,
  budget: number,
  tallyWithin: number,
): Sample {
  const layouts = layoutsOf(objective, fields);
  const units = asking(() => unitsOf(objective, fields));
  const bytes = (name: string) => fields[name]!.data.byteLength * copies.get(name)!;
  const names = Object.keys(fields);
  const each =
    names.filter((name) => layouts.has(name)).reduce((sum, name) => sum + bytes(name), 0) / (units.count || 1);
  const fixed = names.filter((name) => !layouts.has(name)).reduce((sum, name) => sum + bytes(name), 0);
  // Four bytes more for the place of the unit.
  const wanted = Math.max(fewest, Math.floor((budget - fixed) / (each + 4)));
  if (wanted >= units.count) throw new Unsampled(`it has ${units.count} units, of which ${fewest} are kept at least`);

  const scoring = new Uint8Array(units.count);
  let live = 0;
  for (let unit = 0; unit < units.count; unit++) {
    if (!units.counts(unit)) continue;
    live++;
    const source = units.source(unit);
    if (source >= 0) scoring[source] = 1;
  }
  const places = Int32Array.from(chosen(scoring, wanted));
  const denominator = asking(() => objective.denominator(fields).value);
  const rowLength = Math.max(...[...layouts.values()].map(({ length }) => length));
  const numerator = live * rowLength <= tallyWithin ? readNumerator(objective, fields) : undefined;
  return {
    context: {
      units: view(places, [places.length], "unlabeled", "int32"),
      shape: [...units.shape],
      fields: [...layouts.keys()],
      tally: { ...(numerator !== undefined && { numerator }), denominator },
    },
    pick: (name, whole) => {
      const layout = layouts.get(name);
      return layout ? picked(whole, places, layout) : whole;
    },
  };
}

/** Where the rows of a field with one row a unit lie: entry k of a row is so many runs behind the first. */
interface RowsOfUnits {
  readonly length: number;
  readonly run: number;
  readonly isVector: boolean;
}

/**
 * The fields that are kept by units: of the form of the scores. All others stay whole, since labels, masks and weights
 * are what the denominator follows from.
 */
function layoutsOf(objective: Objective, fields: Readonly<Record<string, Tensor>>): Map<string, RowsOfUnits> {
  const { definition, options, reduction } = objective;
  if (objective.couples || !sameNames(definition.unitShape, ["..."])) {
    throw new Unsampled(`units of ${objective.name} are not sampled`);
  }
  if (reduction.per !== "token" && reduction.per !== "element")
    throw new Unsampled(`the reduction per ${reduction.per} is over groups of units`);
  const alignment = definition.alignment?.(options);
  const vectors = Object.values(definition.fields).some(({ shape }) => shape.length > 1);
  const perPlace = Object.entries(options).find(([, value]) => Array.isArray(value));
  if (!vectors && perPlace) throw new Unsampled(`${perPlace[0]} has an entry for each place on the last axis`);
  const scores = Object.entries(definition.fields).find(([name, spec]) => spec.gradient === "row" && fields[name]);
  if (!scores) throw new Unsampled("its scores are not there");
  const { shape } = fields[scores[0]]!;
  if (shape.length < (vectors ? 2 : 1)) throw new Unsampled("there is one unit");
  const axis = alignment && alignment.classAxis >= 0 ? alignment.classAxis : shape.length - 1;
  // Rows [n, K] have their classes on axis -1 and on axis 1, so that the contract still says right.
  if (vectors && alignment && alignment.classAxis !== -1 && alignment.classAxis !== 1) {
    throw new Unsampled("the classes lie on another axis than -1 or 1");
  }
  const layout: RowsOfUnits = vectors
    ? { length: shape[axis]!, run: sizeOf(shape.slice(axis + 1)), isVector: true }
    : { length: 1, run: 1, isVector: false };

  const layouts = new Map<string, RowsOfUnits>();
  for (const [name, spec] of Object.entries(definition.fields)) {
    const field = fields[name];
    if (!field || field.shape.length === 0) continue;
    const isOfUnits = spec.read !== "whole" && spec.gradient !== "shared";
    if (!isOfUnits) throw new Unsampled(`${name} belongs to all units`);
    if (spec.shape.length !== (vectors ? 2 : 1)) continue;
    if (!sameShape(field.shape, shape)) {
      if (spec.gradient !== "row" && spec.broadcasts) continue;
      throw new Unsampled(`${name} has another shape than ${scores[0]}`);
    }
    // The targets of a row that lies elsewhere would not be among those of the kept units.
    if ((alignment?.labelShift ?? 0) !== 0 && spec.read === "label") {
      throw new Unsampled(`${name} lie at other places than the ${scores[0]} that they are for`);
    }
    layouts.set(name, layout);
  }
  return layouts;
}

function sameNames(axes: readonly string[], others: readonly string[]): boolean {
  return axes.length === others.length && axes.every((axis, i) => axis === others[i]);
}

function picked(whole: Tensor, places: Int32Array, { length, run, isVector }: RowsOfUnits): Tensor {
  const data = dataOf(whole.dtype, places.length * length);
  const from = whole.data;
  for (const [i, place] of places.entries()) {
    const first = Math.floor(place / run) * length * run + (place % run);
    for (let k = 0; k < length; k++) data[i * length + k] = from[first + k * run]!;
  }
  return view(data, isVector ? [places.length, length] : [places.length], "unlabeled", whole.dtype);
}

/** A step that does not fit its contract cannot be counted; it is recorded whole, and the audit says what is wrong. */
function asking<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LosswrightError) throw new Unsampled(`its units cannot be counted (${error.message})`);
    throw error;
  }
}

/** The weighted sum of the losses of all units; none where the fields hold what the objective refuses. */
function readNumerator(objective: Objective, fields: Readonly<Record<string, Tensor>>): number | undefined {
  try {
    return objective.tally(fields).numerator;
  } catch (error) {
    if (error instanceof LosswrightError) return undefined;
    throw error;
  }
}

/** Places to keep, ascending: three quarters of them score units that count, the rest lie among all others. */
function chosen(scoring: Uint8Array, wanted: number): number[] {
  const [counted, others]: [number[], number[]] = [[], []];
  for (const [place, scores] of scoring.entries()) (scores ? counted : others).push(place);
  const few = Math.min(others.length, Math.max(Math.floor(wanted / 4), wanted - counted.length));
  const kept = [
    ...spreadOver(counted.length, wanted - few).map((i) => counted[i]!),
    ...spreadOver(others.length, few).map((i) => others[i]!),
  ];
  return kept.sort((a, b) => a - b);
}

/** So many places below `count`, one a stratum; the golden ratio keeps them off any period of the rows. */
function spreadOver(count: number, wanted: number): number[] {
  if (wanted >= count) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: wanted }, (_, i) => {
    const [start, end] = [Math.floor((i * count) / wanted), Math.floor(((i + 1) * count) / wanted)];
    return start + Math.floor(((i * 0.6180339887498949) % 1) * (end - start));
  });
}
