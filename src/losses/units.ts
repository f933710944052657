import type { Per, Reduction } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { labelShift } from "../sequence/index.js";
import { formatShape, placeOf, sizeOf, type Tensor, type TensorData } from "../tensor/index.js";
import { type BoundBatch, type CommonName, flagsOf } from "./batch.js";
import type { UnitRules } from "./definition.js";

/** Units that are averaged or summed together before the batch is: a sequence, a sample. */
export interface Groups {
  readonly count: number;
  /** Units ordered by group; `null` when they already are, each group as long as the others. */
  readonly order: Int32Array | null;
  /** First place of each group in the order, and one past the last. */
  start(group: number): number;
  /** The step-wide key of a group, when the batch gives `groupKeys`. */
  readonly keys: readonly string[] | null;
}

/**
 * The units of a batch as constants alone decide them: which count, with which weights, scored where, in which group.
 *
 * `weigh` fills `numeratorWeight` and `denominatorWeight` for one unit at a time, so that nothing is allocated a unit.
 */
export class Units {
  readonly count: number;
  readonly groups: Groups | null;
  /** The unit whose rows score a unit's label. */
  readonly source: (unit: number) => number;
  numeratorWeight = 0;
  denominatorWeight = 0;
  /** What divides the unit's loss before it is weighed: the length of a whole sequence under `per: "sequence"`. */
  lossDivisor = 1;

  private readonly per: Per;
  private readonly batch: BoundBatch<object>;
  private readonly rules: UnitRules;
  private readonly masked: ((unit: number) => boolean) | undefined = undefined;
  private readonly weight: ((unit: number) => number) | undefined = undefined;
  private readonly byCount: boolean;
  private readonly shift: number;
  private allGroups: Int32Array | undefined;
  private allWeights: Float64Array | null | undefined;

  constructor(batch: BoundBatch<object>, rules: UnitRules, reduction: Reduction, shift: number) {
    const { where, unitShape, unitCount } = batch;
    this.batch = batch;
    this.rules = rules;
    this.count = unitCount;
    this.shift = shift;
    this.byCount = reduction.divideBy === "count";
    this.per = reduction.per;
    const mask = batch.common.get("mask");
    if (mask) {
      const [flag, place] = [flagsOf(mask), placeIn(batch, mask)];
      this.masked = (unit) => !flag(place(unit));
    }
    const weights = batch.common.get("weights");
    if (weights) {
      const [data, place] = [weights.data as Float64Array | Float32Array, placeIn(batch, weights)];
      this.weight = (unit) => data[place(unit)]!;
    }
    const keyed = batch.common.has("groupKeys");
    if (keyed && shift !== 0) {
      throw new LosswrightError({
        code: "argument",
        where,
        field: "groupKeys",
        found: `groupKeys beside labelShift: ${shift}`,
        expected: "labels already shifted where sequences are cut into pieces",
        fix: "shift before cutting (splitNextToken), then use labelShift: 0: the first label of a piece is scored in another.",
      });
    }
    const segments = batch.common.has("segmentIds") && !keyed ? identityOf(batch, "segmentIds") : undefined;
    this.source = labelShift(where, shift, unitShape, segments).source;
    // A unit that is a whole sequence is never averaged with others before the batch is.
    this.groups = rules.length ? null : groupsOf(batch, reduction.per, segments);
  }

  /**
   * Whether a unit counts at all; fills its weights.
   *
   * @throws `value` for a weight of an unmasked unit that is negative, NaN or infinite
   */
  weigh(unit: number): boolean {
    if (!this.counts(unit)) return false;
    const weight = this.weight ? this.checkedWeight(unit) : 1;
    const { rules } = this;
    if (weight === 0) {
      this.numeratorWeight = 0;
      this.denominatorWeight = !this.byCount ? 0 : this.per === "token" ? (rules.length?.(unit) ?? 1) : 1;
      return true;
    }
    const length = rules.length?.(unit);
    if (length !== undefined) return this.weighSequence(weight, length);
    this.numeratorWeight = rules.numeratorWeight ? weight * rules.numeratorWeight(unit) : weight;
    if (this.byCount) this.denominatorWeight = 1;
    else this.denominatorWeight = rules.denominatorWeight ? weight * rules.denominatorWeight(unit) : weight;
    return true;
  }

  /** A whole sequence: its length divides its loss, or joins the denominator, or neither. */
  private weighSequence(weight: number, length: number): true {
    this.numeratorWeight = weight;
    this.lossDivisor = this.per === "sequence" ? Math.max(length, 1) : 1;
    this.denominatorWeight = (this.byCount ? 1 : weight) * (this.per === "token" ? length : 1);
    return true;
  }

  /** Whether mask, ignored labels and shift leave a unit, whatever it weighs. */
  counts(unit: number): boolean {
    if (this.masked?.(unit)) return false;
    if (this.source(unit) < 0) return false;
    return this.rules.present?.(unit) ?? true;
  }

  /**
   * The numerator weight of every unit, 0 for one that does not count or weighs nothing; null where all are 1. What
   * `weigh` says unit by unit, in loops over the arrays themselves.
   *
   * @throws as `weigh`
   */
  get numeratorWeights(): Float64Array | null {
    if (this.allWeights === undefined) this.allWeights = this.findWeights();
    return this.allWeights;
  }

  /** Whether units are whole sequences, whose lengths divide. */
  get hasLengths(): boolean {
    return this.rules.length !== undefined;
  }

  /** The group of a unit; 0 where there are none. */
  groupOf(unit: number): number {
    if (!this.groups) return 0;
    this.allGroups ??= groupsByUnit(this.groups, this.count);
    return this.allGroups[unit]!;
  }

  /** Whether numerator and denominator weigh every unit alike, so that {@link numeratorWeights} says both. */
  get weighsAlike(): boolean {
    const { rules } = this;
    const hasRules = rules.numeratorWeight || rules.denominatorWeight || rules.length;
    return !hasRules && (!this.byCount || !this.weight);
  }

  private findWeights(): Float64Array | null {
    const { rules, batch, count, shift } = this;
    const { mask, weights } = { mask: batch.common.get("mask"), weights: batch.common.get("weights") };
    const isPlain = !mask && !weights && shift === 0 && !rules.present && !rules.numeratorWeight;
    if (isPlain) return null;
    const hasLabelsAlone = rules.ignored && !mask && !weights && shift === 0 && !rules.numeratorWeight;
    if (hasLabelsAlone && !holds(batch.data(rules.ignored!.field), rules.ignored!.value)) return null;
    const all = new Float64Array(count).fill(1);
    if (mask) removeMasked(all, mask);
    if (shift !== 0) for (let unit = 0; unit < count; unit++) if (this.source(unit) < 0) all[unit] = 0;
    if (rules.ignored) removeEqual(all, batch.data(rules.ignored.field), rules.ignored.value);
    else if (rules.present) {
      for (let unit = 0; unit < count; unit++) if (all[unit] !== 0 && !rules.present(unit)) all[unit] = 0;
    }
    if (weights) for (let unit = 0; unit < count; unit++) if (all[unit] !== 0) all[unit] = this.checkedWeight(unit);
    if (rules.numeratorWeight) {
      for (let unit = 0; unit < count; unit++) if (all[unit] !== 0) all[unit]! *= rules.numeratorWeight(unit);
    }
    for (let unit = 0; unit < count; unit++) if (all[unit] !== 1) return all;
    return null;
  }

  private checkedWeight(unit: number): number {
    const weight = this.weight!(unit);
    if (weight >= 0 && weight < Number.POSITIVE_INFINITY) return weight;
    const { where, unitShape } = this.batch;
    const index = placeOf(unit, unitShape);
    throw new LosswrightError({
      code: "value",
      where,
      field: "weights",
      found: `${weight} at ${formatShape(index)}`,
      expected: "a finite weight, at least 0",
      fix: "a unit that must not count gets weight 0 or a mask.",
      index,
    });
  }
}

function groupsByUnit({ count, order, start }: Groups, units: number): Int32Array {
  const all = new Int32Array(units);
  for (let group = 0; group < count; group++) {
    const end = start(group + 1);
    for (let place = start(group); place < end; place++) all[order ? order[place]! : place] = group;
  }
  return all;
}

/** Sets units to 0 whose mask is 0; a mask of one entry a row holds for all its units. */
function removeMasked(all: Float64Array, { data }: Tensor): void {
  const repeats = all.length / Math.max(data.length, 1);
  const flags = data instanceof BigInt64Array ? Uint8Array.from(data, Number) : data;
  if (repeats === 1) {
    for (let unit = 0; unit < all.length; unit++) if (flags[unit] === 0) all[unit] = 0;
    return;
  }
  for (let row = 0; row < flags.length; row++) if (flags[row] === 0) all.fill(0, row * repeats, (row + 1) * repeats);
}

/** Whether an array of integers holds one. */
function holds(data: TensorData, integer: number): boolean {
  if (data instanceof BigInt64Array) return data.includes(BigInt(integer));
  // In less time than `includes` takes over a typed array.
  for (let i = 0; i < data.length; i++) if (data[i] === integer) return true;
  return false;
}

/** Sets units to 0 whose label is the ignored one. */
function removeEqual(all: Float64Array, labels: TensorData, ignored: number): void {
  if (!(labels instanceof BigInt64Array)) {
    for (let unit = 0; unit < all.length; unit++) if (labels[unit] === ignored) all[unit] = 0;
    return;
  }
  const wanted = BigInt(ignored);
  for (let unit = 0; unit < all.length; unit++) if (labels[unit] === wanted) all[unit] = 0;
}

/** Where a unit's entry of a field of shape units, `[B, 1]` or `[B]` lies. */
function placeIn(batch: BoundBatch<object>, { shape }: Tensor): (unit: number) => number {
  const size = sizeOf(shape);
  if (size === batch.unitCount) return (unit) => unit;
  const row = rowLength(batch);
  return (unit) => Math.floor(unit / row);
}

function identityOf(batch: BoundBatch<object>, field: CommonName): (unit: number) => number | bigint {
  const ids = batch.common.get(field)!;
  const [data, place] = [ids.data, placeIn(batch, ids)];
  return (unit) => data[place(unit)]!;
}

/** Units in a row of axis 0. */
function rowLength(batch: BoundBatch<object>): number {
  return sizeOf(batch.unitShape.slice(1));
}

function groupsOf(
  batch: BoundBatch<object>,
  per: Per,
  segments: ((unit: number) => number | bigint) | undefined,
): Groups | null {
  if (per === "token" || per === "element") return null;
  if (batch.common.has("groupKeys"))
    return sorted(batch.unitCount, identityOf(batch, "groupKeys"), batch.unitCount, true);
  // On one axis a sample is a unit: every unit alike.
  if (per === "sample") return batch.unitShape.length < 2 ? null : evenGroups(batch, rowLength(batch));
  if (!segments) return evenGroups(batch, rowLength(batch));
  const row = batch.unitShape.length === 1 ? batch.unitCount : rowLength(batch);
  return sorted(batch.unitCount, segments, row, false);
}

function evenGroups(batch: BoundBatch<object>, length: number): Groups {
  const count = length === 0 ? 0 : batch.unitCount / length;
  return { count, order: null, start: (group) => group * length, keys: null };
}

/**
 * Counting sort of the units by the group they belong to, groups in order of first appearance.
 *
 * @param row - ids hold inside a row of this many units; the next row's are others
 */
function sorted(unitCount: number, identity: (unit: number) => number | bigint, row: number, keyed: boolean): Groups {
  const groupOf = new Int32Array(unitCount);
  const known = new Map<number | bigint, number>();
  let count = 0;
  for (let unit = 0; unit < unitCount; unit++) {
    if (unit % row === 0) known.clear();
    const id = identity(unit);
    const group = known.get(id) ?? count++;
    known.set(id, group);
    groupOf[unit] = group;
  }
  const starts = new Int32Array(count + 1);
  for (const group of groupOf) starts[group + 1]!++;
  for (let group = 0; group < count; group++) starts[group + 1]! += starts[group]!;
  const next = starts.slice();
  const order = new Int32Array(unitCount);
  for (let unit = 0; unit < unitCount; unit++) order[next[groupOf[unit]!]!++] = unit;
  return { count, order, start: (group) => starts[group]!, keys: keyed ? [...known.keys()].map(String) : null };
}
