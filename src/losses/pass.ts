import { LosswrightError } from "../errors/index.js";
import type { Note } from "../tally/index.js";
import { formatShape, placeOf, type Tensor, type TensorData } from "../tensor/index.js";
import { type BoundBatch, type RowLayout, rowLayout } from "./batch.js";
import { axesOf, type Domain, domainOf, type FieldSpec, type RowDefinition, type RowMath } from "./definition.js";
import type { Units } from "./units.js";

/** A field read by unit: its scratch row, and how rows and gradients move between it and the tensors. */
interface UnitField {
  readonly name: string;
  readonly spec: FieldSpec;
  readonly domain: Domain | undefined;
  readonly row: Float64Array;
  /** Fills the row with the unit's entries. */
  load(unit: number): void;
  /** Writes the unit's own gradient row, times the factor in the pass's cell; absent where none is asked. */
  readonly store: ((unit: number) => void) | undefined;
  /** Where a row of its own gradient lies, by the row's number; absent where units share entries. */
  readonly place: { readonly layout: RowLayout; readonly out: Float64Array | Float32Array } | undefined;
}

/**
 * One walk over the units of a batch: loads a unit's rows, asks the loss for its value and gradient, writes the
 * gradient where it belongs, and keeps what must be said. Scratch is made once; nothing is allocated a unit.
 */
export class Pass {
  /**
   * Where a unit's loss, and then its factor, is handed over: a number returned or passed between functions that the
   * engine does not inline would be boxed, one allocation a unit.
   */
  readonly cell = new Float64Array(1);
  private readonly batch: BoundBatch<object>;
  private readonly fields: UnitField[] = [];
  /** Of a mask over members of a unit: 0 at the entries that are not to be read. */
  private readonly members: Float64Array | undefined;
  private readonly sums: Record<string, Float64Array> = {};
  private readonly gradients: Readonly<Record<string, Tensor>> | undefined;
  private readonly math: RowMath;
  private readonly units: Units;
  /** Of gradients over their own fields: 1 at rows that hold a gradient by now. */
  private readonly written: Uint8Array | undefined;
  private readonly said = new Map<string, { note: Note; count: number }>();

  /**
   * @param isLive - which units the loss may count as present in its batch
   * @param gradients - zeroed tensors to fill; without them only values are computed
   */
  constructor(
    definition: RowDefinition,
    batch: BoundBatch<object>,
    units: Units,
    isLive: (unit: number) => boolean,
    gradients?: Readonly<Record<string, Tensor>>,
  ) {
    this.batch = batch;
    this.gradients = gradients;
    const classAxis = definition.alignment?.(batch.options).classAxis ?? -1;
    const rows: Record<string, Float64Array> = {};
    const own: Record<string, Float64Array> = {};
    for (const [name, spec] of Object.entries(definition.fields)) {
      const given = batch.tensors.get(name);
      const out = gradients?.[name]?.data as Float64Array | Float32Array | undefined;
      if (out && spec.gradient === "shared") this.sums[name] = new Float64Array(out.length);
      if (!given || spec.read === "whole" || spec.holds === "indices") continue;
      const unitAxis = axesOf(spec, batch.options, given.shape.length).indexOf(definition.unitShape[0]!);
      const layout = rowLayout(spec, given.shape, batch.unitShape, classAxis, unitAxis);
      const place = placement(layout, spec.read === "source" ? units.source : undefined);
      const row = new Float64Array(layout.length);
      rows[name] = row;
      const load = loader(given.data, row, place, layout);
      let store: UnitField["store"];
      if (out && spec.gradient === "row") {
        own[name] = new Float64Array(layout.length);
        if (layout.isShared) this.sums[name] = new Float64Array(out.length);
        store = layout.isShared
          ? adder(own[name], this.sums[name]!, place, this.cell)
          : writer(own[name], out, place, layout, this.cell);
      }
      const rowsOf = store && !layout.isShared ? { layout, out: out! } : undefined;
      this.fields.push({ name, spec, domain: domainOf(spec, batch.options), row, load, store, place: rowsOf });
    }
    this.members = rows.mask;
    this.units = units;
    const isInPlace = Object.entries(gradients ?? {}).some(
      ([name, { data }]) => data === batch.tensors.get(name)?.data,
    );
    if (isInPlace) this.written = new Uint8Array(units.count);
    const note = (code: string, unit: number, message: string, field?: string) => this.note(code, unit, message, field);
    this.math = definition.open(batch, { rows, own, sums: this.sums, isLive, note });
  }

  /** Puts the loss of a unit into the cell. @throws `value` where a field leaves its domain */
  compute(unit: number): void {
    const { fields } = this;
    for (let i = 0; i < fields.length; i++) fields[i]!.load(unit);
    for (let i = 0; i < fields.length; i++) if (fields[i]!.domain) this.checkDomain(fields[i]!, unit);
    const loss = this.math.loss(unit);
    if (!Number.isFinite(loss)) this.explain(unit, loss);
    this.cell[0] = loss;
  }

  /** Writes the factor in the cell times d loss of the unit just computed. */
  spread(unit: number): void {
    const { fields, math } = this;
    math.gradient?.(unit);
    for (let i = 0; i < fields.length; i++) fields[i]!.store?.(unit);
    math.addShared?.(unit, this.cell[0]!);
    if (this.written) this.written[this.rowOf(unit)] = 1;
  }

  /** Leaves a unit's own gradient rows at 0. */
  clearRow(unit: number): void {
    this.clear(this.rowOf(unit));
  }

  /** Adds the sums of shared fields to what their tensors hold already. */
  addShared(): void {
    this.math.finish?.();
    for (const [name, sum] of Object.entries(this.sums)) {
      const data = this.gradients![name]!.data as Float64Array | Float32Array;
      for (let i = 0; i < sum.length; i++) if (sum[i] !== 0) data[i]! += sum[i]!;
    }
  }

  private rowOf(unit: number): number {
    return this.fields.some(({ spec, place }) => place && spec.read === "source") ? this.units.source(unit) : unit;
  }

  private clear(row: number): void {
    for (const { place, row: entries } of this.fields) {
      if (!place) continue;
      const { layout, out } = place;
      for (let k = 0, to = layout.base(row); k < entries.length; k += layout.run, to += layout.stride) {
        out.fill(0, to, to + layout.run);
      }
    }
  }

  /** Rounds the gradients of shared fields into their tensors, after the last unit. */
  finish(): void {
    this.math.finish?.();
    for (const [name, sum] of Object.entries(this.sums)) this.gradients![name]!.data.set(sum as never);
    // What stands in a row that nothing was written over is no gradient.
    this.written?.forEach((isWritten, row) => {
      if (!isWritten) this.clear(row);
    });
  }

  get notes(): readonly Note[] {
    return [...this.said.values()].map(({ note, count }) => ({ ...note, count }));
  }

  /** Says something once a code and field, counting the units it holds for. */
  private note(code: string, unit: number, message: string, field?: string): void {
    const key = `${code} ${field}`;
    const known = this.said.get(key);
    if (known) {
      known.count++;
      return;
    }
    const place = placeOf(unit, this.batch.unitShape);
    const note = { code, message: `${message} (first at unit ${formatShape(place)})`, unit: place };
    this.said.set(key, { note: field === undefined ? note : { ...note, field }, count: 1 });
  }

  /** Says why a loss is not finite: an input that is not, or a probability of 0 where there must be none. */
  private explain(unit: number, loss: number): void {
    for (const { name, row } of this.fields) {
      const { math } = this;
      const isRead = (k: number) => this.isMember(row, k) && (math.reads?.(name, k) ?? true);
      const bad = row.findIndex((entry, k) => !(entry < Number.POSITIVE_INFINITY) && isRead(k));
      if (bad < 0) continue;
      this.note("non-finite-input", unit, `${name} holds ${row[bad]} at entry ${bad} of a unit that counts`, name);
      return;
    }
    this.note("non-finite-loss", unit, `a unit that counts has the loss ${loss}`);
  }

  /** Whether an entry of a row is read at all. */
  private isMember(row: Float64Array, k: number): boolean {
    return this.members?.length !== row.length || this.members[k] !== 0;
  }

  private checkDomain({ name: field, spec, domain, row }: UnitField, unit: number): void {
    const { has, words } = domains[domain!];
    for (let k = 0; k < row.length; k++) {
      const value = row[k]!;
      if (has(value) || (spec.gradient !== "none" && Number.isNaN(value)) || !this.isMember(row, k)) continue;
      const index = placeOf(unit, this.batch.unitShape);
      throw new LosswrightError({
        code: "value",
        where: this.batch.where,
        field,
        found: `${value} at unit ${formatShape(index)}${row.length > 1 ? `, entry ${k}` : ""}`,
        expected: words,
        fix: `${field} is ${spec.meaning}; mask the units that have none.`,
        index,
      });
    }
  }
}

const domains: Record<Domain, { has(value: number): boolean; words: string }> = {
  finite: { has: Number.isFinite, words: "a finite number" },
  sign: { has: (value) => value === 1 || value === -1, words: "1 or -1" },
  unitInterval: { has: (value) => value >= 0 && value <= 1, words: "a number in [0, 1]" },
  nonNegative: { has: (value) => value >= 0 && value < Number.POSITIVE_INFINITY, words: "a finite number, at least 0" },
  positive: { has: (value) => value > 0 && value < Number.POSITIVE_INFINITY, words: "a finite number above 0" },
  nonPositive: { has: (value) => value <= 0, words: "a number, at most 0" },
  aboveMinusOne: { has: (value) => value > -1 && value < Number.POSITIVE_INFINITY, words: "a finite number above -1" },
};

/** Where a unit's row begins; undefined where row and unit have one number, which is most of the time. */
type Placement = ((unit: number) => number) | undefined;

function placement(
  { length, stride, isShared, base }: RowLayout,
  source: ((unit: number) => number) | undefined,
): Placement {
  if (source) return (unit) => base(source(unit));
  return length === 1 && stride === 1 && !isShared ? undefined : base;
}

function loader(
  data: TensorData,
  row: Float64Array,
  place: Placement,
  { run, stride }: RowLayout,
): (unit: number) => void {
  if (data instanceof BigInt64Array) {
    return (unit) => {
      for (let k = 0, from = place ? place(unit) : unit; k < row.length; from += stride) {
        for (let i = 0; i < run; i++) row[k++] = Number(data[from + i]);
      }
    };
  }
  if (!place) {
    return (unit) => {
      row[0] = data[unit]!;
    };
  }
  return (unit) => {
    for (let k = 0, from = place(unit); k < row.length; from += stride) {
      for (let i = 0; i < run; i++) row[k++] = data[from + i]!;
    }
  };
}

function writer(
  own: Float64Array,
  out: Float64Array | Float32Array,
  place: Placement,
  { run, stride }: RowLayout,
  cell: Float64Array,
) {
  if (!place) {
    return (unit: number) => {
      out[unit] = own[0]! * cell[0]!;
    };
  }
  return (unit: number) => {
    const factor = cell[0]!;
    for (let k = 0, to = place(unit); k < own.length; to += stride) {
      for (let i = 0; i < run; i++) out[to + i] = own[k++]! * factor;
    }
  };
}

/** For an entry that several units share: their gradients add up in float64 before they are rounded. */
function adder(own: Float64Array, sum: Float64Array, place: Placement, cell: Float64Array) {
  return (unit: number) => {
    sum[place ? place(unit) : unit]! += own[0]! * cell[0]!;
  };
}
