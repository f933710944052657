import { LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  formatShape,
  isTensor,
  placeOf,
  type Role,
  sameShape,
  sizeOf,
  type Tensor,
  type TensorData,
  view,
} from "../tensor/index.js";
import { axesOf, type BatchView, type FieldSpec, type LossDefinition } from "./definition.js";
import { nameByForeignName } from "./foreign-names.js";

/** What a batch is to the engine: named tensors, or plain numbers where a field is a scalar. */
export type AnyBatch = Readonly<Record<string, Tensor | number | undefined>>;

/** Fields that every objective takes beside its own. */
export const commonFields = {
  weights: {
    meaning: "weight of each unit, finite and at least 0; 0 takes the unit out",
    roles: ["weights"],
  },
  mask: { meaning: "1 where a unit counts, 0 where it is not even read", roles: ["mask"] },
  segmentIds: { meaning: "equal ids in a row are one sequence", roles: [] },
  groupKeys: { meaning: "equal keys anywhere in the step are one group", roles: [] },
} as const satisfies Record<string, { meaning: string; roles: readonly Role[] }>;

export type CommonName = keyof typeof commonFields;
const commonNames = /*#__PURE__*/ Object.keys(commonFields) as readonly CommonName[];

/** Where the rows of one field lie: row u starts at a base that follows from u; runs of entries lie a stride apart. */
export interface RowLayout {
  readonly length: number;
  /** Entries that lie side by side. */
  readonly run: number;
  /** From the start of one run to the start of the next. */
  readonly stride: number;
  /** Index of the first element of unit u's row. */
  base(unit: number): number;
  /** Whether several units read one row. */
  readonly isShared: boolean;
}

/** Reads integers of any dtype. */
export function integersOf({ data }: Tensor): (index: number) => number {
  return data instanceof BigInt64Array ? (index) => Number(data[index]) : (index) => data[index] as number;
}

/** Reads 0 and 1 of any dtype. */
export function flagsOf({ data }: Tensor): (index: number) => boolean {
  return data instanceof BigInt64Array ? (index) => data[index] !== 0n : (index) => data[index] !== 0;
}

/** A batch that fits its definition: shapes bound, dtypes and roles checked, values not yet read. */
export class BoundBatch<Options> implements BatchView<Options> {
  readonly unitCount: number;

  constructor(
    readonly where: string,
    private readonly fields: Readonly<Record<string, FieldSpec>>,
    readonly options: Options,
    readonly sizes: Readonly<Record<string, number>>,
    readonly unitShape: readonly number[],
    /** The loss's own fields; scalars given as numbers are tensors here. */
    readonly tensors: ReadonlyMap<string, Tensor>,
    /** Weights, mask, segment ids and group keys of the units. */
    readonly common: ReadonlyMap<CommonName, Tensor>,
    /** Whether a field with a gradient is missing, so that units can be counted and no loss computed. */
    readonly isPartial = false,
  ) {
    this.unitCount = sizeOf(unitShape);
  }

  /** A batch of other tensors whose names, dtypes and shapes are the same. */
  withTensors(tensors: ReadonlyMap<string, Tensor>, common: ReadonlyMap<CommonName, Tensor>): BoundBatch<Options> {
    return new BoundBatch(this.where, this.fields, this.options, this.sizes, this.unitShape, tensors, common);
  }

  has(field: string): boolean {
    return this.tensors.has(field);
  }

  data(field: string): TensorData {
    return this.tensors.get(field)!.data;
  }

  reals(field: string): Float64Array | Float32Array {
    return this.data(field) as Float64Array | Float32Array;
  }

  integer(field: string): (index: number) => number {
    return integersOf(this.tensors.get(field)!);
  }

  index(field: string, length = this.sizes[this.fields[field]!.indexes!]!): (unit: number) => number {
    const read = this.integer(field);
    return (unit) => {
      const found = read(unit);
      if (found >= 0 && found < length && Number.isInteger(found)) return found;
      throw this.outside(field, found, length, unit);
    };
  }

  /** The axis that the entries of a field count along. */
  indexedAxis(field: string): string {
    return this.fields[field]!.indexes!;
  }

  flag(field: string): (index: number) => boolean {
    return flagsOf(this.tensors.get(field)!);
  }

  scalar(field: string): number {
    const given = this.tensors.get(field);
    return given ? Number(given.data[0]) : (this.options as Record<string, number>)[field]!;
  }

  private outside(field: string, found: number, length: number, unit: number): LosswrightError {
    const index = placeOf(unit, this.unitShape);
    const ignored = (this.options as { ignoreIndex?: number }).ignoreIndex;
    return new LosswrightError({
      code: "value",
      where: this.where,
      field,
      found: `${found} at ${formatShape(index)}`,
      expected: `an index in 0..${length - 1}${ignored === undefined ? "" : `, or ignoreIndex ${ignored}`}`,
      fix:
        found < 0 && ignored !== undefined
          ? `if ${found} marks padding, set ignoreIndex: ${found}, or mask those units.`
          : `the axis counted along has ${length} entries: check its size, whether counting starts at 1, or mask those units.`,
      index,
    });
  }
}

/** What a batch is bound to: the part of a definition that speaks of fields. */
export type FieldsOf<Options extends object> = Pick<
  LossDefinition<Options>,
  "name" | "fields" | "oneOf" | "unitShape" | "alignment"
>;

/**
 * Binds a batch to a definition.
 *
 * @param mayBePartial - whether fields with a gradient may be missing: labels, masks, weights and lengths decide on the
 * units
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape` and `value` with the field and the fix
 */
export function bindBatch<Options extends object>(
  definition: FieldsOf<Options>,
  options: Options,
  given: AnyBatch,
  mayBePartial = false,
): BoundBatch<Options> {
  const where = definition.name;
  if (typeof given !== "object" || given === null || isTensor(given)) {
    const fields = definition.unitShape.length ? Object.keys(definition.fields).slice(0, 2).join(", ") : "";
    throw new LosswrightError({
      code: "argument",
      where,
      found: isTensor(given) ? "a tensor in place of a batch" : String(given),
      fix: `write { ${fields} }.`,
      expected: `a batch of fields: ${Object.keys(definition.fields).join(", ")}`,
    });
  }
  const { names, ordered } = namesOf(definition.fields);
  rejectUnknown(where, "field", given, names, (name) => nameByForeignName(name, names));
  const isPartial = !checkPresence(definition, options, given, mayBePartial);
  const binder = new ShapeBinder(where, definition.alignment?.(options).classAxis ?? -1);
  const tensors = new Map<string, Tensor>();
  const bind = (name: string, spec: FieldSpec) => {
    const { shape } = tensors.get(name)!;
    const axes = axesOf(spec, options, shape.length);
    binder.bind(name, axes === spec.shape ? spec : { ...spec, shape: axes }, shape);
  };
  for (const [name, spec] of ordered) {
    if (given[name] === undefined || spec.orUnits) continue;
    tensors.set(name, asTensor(where, name, spec, given[name]));
    // An entry of a field that may be smaller holds for several units, so it cannot tell how many there are.
    if (!isPartial || !spec.broadcasts) bind(name, spec);
  }
  for (const [name, spec] of ordered) {
    if (isPartial && spec.broadcasts && tensors.has(name) && binder.isBound("...")) bind(name, spec);
  }
  const unitShape = isPartial
    ? unitShapeOfPart(definition, binder, given)
    : definition.unitShape.flatMap((axis) => binder.lengthsOf(axis));
  const common = new Map<CommonName, Tensor>();
  for (const name of commonNames) {
    if (given[name] === undefined || tensors.has(name)) continue;
    const spec = definition.fields[name];
    const value = asTensor(where, name, specOf(definition.fields, name), given[name]);
    if (spec && !sameShape(value.shape, unitShape)) {
      tensors.set(name, value);
      binder.bind(name, spec, value.shape);
      continue;
    }
    checkCommonShape(where, name, value.shape, unitShape);
    common.set(name, value);
  }
  const sizes = isPartial ? withUnknown(definition.fields, binder.sizes) : binder.sizes;
  return new BoundBatch(where, definition.fields, options, sizes, unitShape, tensors, common, isPartial);
}

/** Lengths of axes; ∞ where no field tells, so that no index is beyond it. */
function withUnknown(
  fields: Readonly<Record<string, FieldSpec>>,
  sizes: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const all: Record<string, number> = { ...sizes };
  for (const axis of Object.values(fields).flatMap(({ shape }) => shape)) all[axis] ??= Number.POSITIVE_INFINITY;
  return all;
}

/** The shape of the units from fields without a gradient, or else from weights or mask. @throws `missing-field` */
function unitShapeOfPart<Options extends object>(
  { name: where, unitShape, fields }: FieldsOf<Options>,
  binder: ShapeBinder,
  given: AnyBatch,
): readonly number[] {
  if (unitShape.every((axis) => binder.isBound(axis))) return unitShape.flatMap((axis) => binder.lengthsOf(axis));
  for (const common of [given.weights, given.mask]) {
    // One of [B, 1] holds for rows of any length.
    if (isTensor(common) && !(common.shape.length === 2 && common.shape[1] === 1)) return common.shape;
  }
  const telling = Object.keys(fields).find((name) => unitShape.every((axis) => fields[name]!.shape.includes(axis)));
  throw new LosswrightError({
    code: "missing-field",
    where,
    field: telling ?? "weights",
    found: `only ${Object.keys(given).join(", ") || "an empty batch"}`,
    expected: "a field that tells how many units there are",
    fix: `give weights or mask of the units' shape${telling ? `, or ${telling}, of which only the shape is read` : ""}.`,
  });
}

/**
 * Where unit u's row of a field lies, for fields read by unit.
 *
 * @param unitAxis - where the axis of the units lies in a field that names it; the axes around it are the row
 */
export function rowLayout(
  spec: FieldSpec,
  shape: readonly number[],
  unitShape: readonly number[],
  classAxis: number,
  unitAxis: number,
): RowLayout {
  const named = spec.shape.filter((axis) => axis !== "..." && axis !== "*").length;
  const full = spec.shape.includes("...") ? unitShape.length + named : undefined;
  const units = sizeOf(unitShape);
  if (spec.broadcasts && (shape.length !== full || sizeOf(shape) !== units)) {
    const repeats = sizeOf(shape) === 0 ? 1 : units / sizeOf(shape);
    return { length: 1, run: 1, stride: 1, base: (unit) => Math.floor(unit / repeats), isShared: true };
  }
  if (spec.followsClassAxis && full !== undefined) {
    const axis = classAxis < 0 ? classAxis + shape.length : classAxis;
    const length = shape[axis]!;
    const stride = sizeOf(shape.slice(axis + 1));
    const base = (unit: number) => {
      const inner = unit % stride;
      return (unit - inner) * length + inner;
    };
    if (stride > 1) return { length, run: 1, stride, base, isShared: false };
    return { length, run: length, stride: length, base: (unit) => unit * length, isShared: false };
  }
  if (full === undefined && unitAxis > 0) {
    const run = sizeOf(shape.slice(unitAxis + unitShape.length));
    const length = run * sizeOf(shape.slice(0, unitAxis));
    return { length, run, stride: run * units, base: (unit) => unit * run, isShared: false };
  }
  const length = full === undefined ? sizeOf(shape.slice(unitShape.length)) : sizeOf(shape.slice(shape.length - named));
  return { length, run: length, stride: length, base: (unit) => unit * length, isShared: false };
}

/** What is the same in every batch of a definition. */
interface FieldNames {
  /** Every field a batch may have. */
  readonly names: readonly string[];
  /** Fields whose order of axes an option says come last: the others tell whether it says right. */
  readonly ordered: readonly (readonly [string, FieldSpec])[];
}

const namesByFields = new WeakMap<object, FieldNames>();

function namesOf(fields: Readonly<Record<string, FieldSpec>>): FieldNames {
  const known = namesByFields.get(fields);
  if (known) return known;
  const specs = Object.entries(fields);
  const found = {
    names: [...new Set([...Object.keys(fields), ...commonNames])],
    ordered: [...specs.filter(([, { layouts }]) => !layouts), ...specs.filter(([, { layouts }]) => layouts)],
  };
  namesByFields.set(fields, found);
  return found;
}

/** Whether all fields are there; where some may miss, false for a batch that lacks one of those. */
function checkPresence<Options extends object>(
  definition: FieldsOf<Options>,
  options: Options,
  given: AnyBatch,
  mayBePartial: boolean,
): boolean {
  const where = definition.name;
  let isWhole = true;
  const isAlternative = (name: string) => definition.oneOf?.some((group) => group.includes(name));
  for (const [name, spec] of namesOf(definition.fields).ordered) {
    const wanted = spec.scalarOption ? (options as Record<string, unknown>)[name] === "field" : !spec.optional;
    if (given[name] === undefined && wanted && !isAlternative(name)) {
      isWhole = false;
      if (mayBePartial && spec.gradient !== "none") continue;
      throw new LosswrightError({
        code: "missing-field",
        where,
        field: name,
        found: `only ${Object.keys(given).join(", ") || "an empty batch"}`,
        expected: `the field ${name} ${formatShape(spec.shape)}: ${spec.meaning}`,
      });
    }
    if (given[name] !== undefined && spec.scalarOption && !wanted) {
      throw new LosswrightError({
        code: "option",
        where,
        field: name,
        found: `a field of the batch beside the option ${name}: ${String((options as Record<string, unknown>)[name])}`,
        expected: "one of the two, so that the contract says which is used",
        fix: `for a learned ${name} write ${where}({ ${name}: "field" }).`,
      });
    }
  }
  for (const group of definition.oneOf ?? []) {
    const present = group.filter((name) => given[name] !== undefined);
    if (present.length === 1) continue;
    isWhole = false;
    const haveGradients = group.every((name) => definition.fields[name]!.gradient !== "none");
    if (mayBePartial && haveGradients && present.length === 0) continue;
    throw new LosswrightError({
      code: present.length ? "argument" : "missing-field",
      where,
      field: group.join(" or "),
      found: present.length ? present.join(" and ") : `only ${Object.keys(given).join(", ") || "an empty batch"}`,
      expected: `exactly one of ${group.join(", ")}`,
      fix: group.map((name) => `${name} ${formatShape(definition.fields[name]!.shape)}`).join(" or "),
    });
  }
  return isWhole;
}

const wantedDtypes = {
  reals: "float32 or float64",
  indices: "integers: int32, int64 or uint8",
  flags: "0 and 1 of any dtype",
};

/** A field as a tensor. @throws `argument`, `role`, `dtype`, `value` where it does not hold what it should */
export function asTensor(where: string, name: string, spec: FieldSpec, value: Tensor | number | undefined): Tensor {
  if (typeof value === "number" && spec.shape.length === 0)
    return view(Float64Array.of(value), [], "unlabeled", "float64");
  if (!isTensor(value)) {
    throw new LosswrightError({
      code: "argument",
      where,
      field: name,
      found: Array.isArray(value) ? "a list" : ArrayBuffer.isView(value) ? "a typed array" : typeof value,
      expected: "a tensor",
      fix: `wrap it: ${name}: tensor(data, shape).`,
    });
  }
  const shown = () => `${value.dtype} ${formatShape(value.shape)}`;
  if (value.role !== undefined && value.role !== "unlabeled" && !spec.roles.includes(value.role)) {
    throw new LosswrightError({
      code: "role",
      where,
      field: name,
      found: `a tensor that holds ${value.role}, ${shown()}`,
      expected: spec.roles.join(" or "),
      fix:
        spec.roles.includes("logits") && value.role !== "classIndices"
          ? "pass the raw scores: the loss takes its own logarithm of its own softmax or sigmoid."
          : `pass ${spec.meaning}.`,
    });
  }
  const isInteger = value.dtype === "int32" || value.dtype === "int64" || value.dtype === "uint8";
  const isReal = value.dtype === "float32" || value.dtype === "float64";
  const fits =
    spec.holds === "flags" ||
    (spec.holds === "reals" ? isReal : isInteger || (value.dtype === "float64" && value.weak));
  if (!fits) {
    throw new LosswrightError({
      code: "dtype",
      where,
      field: name,
      found: shown(),
      expected: wantedDtypes[spec.holds],
      fix:
        spec.holds === "reals"
          ? "convert them to floating point (Float32Array; torch: .float()); decimals cut off on the way to integers are lost."
          : spec.indexes
            ? "class labels are whole numbers: convert them (Int32Array; torch: labels.long())."
            : "convert them to whole numbers (Int32Array).",
    });
  }
  if (spec.holds === "flags") checkFlags(where, name, value);
  return value;
}

/** The named axes of a field's shape, and the word for a run of others. */
interface Axes {
  readonly named: readonly string[];
  readonly word: string | undefined;
}

const axesByShape = new WeakMap<readonly string[], Axes>();

function axesIn(shape: readonly string[]): Axes {
  let found = axesByShape.get(shape);
  if (!found) {
    const isWord = (axis: string) => axis === "..." || axis === "*";
    found = { named: shape.filter((axis) => !isWord(axis)), word: shape.find(isWord) };
    axesByShape.set(shape, found);
  }
  return found;
}

/** Binds the axes of one batch after another field: names to lengths, `"..."` and `"*"` to runs of lengths. */
class ShapeBinder {
  readonly sizes: Record<string, number> = {};
  private readonly runs = new Map<string, { readonly field: string; readonly shape: readonly number[] }>();
  private readonly shapes = new Map<string, readonly number[]>();

  constructor(
    private readonly where: string,
    private readonly classAxis: number,
  ) {}

  /** Whether a field with this axis was bound. */
  isBound(axis: string): boolean {
    return this.runs.has(axis) || axis in this.sizes;
  }

  /** The lengths an axis word stands for. */
  lengthsOf(axis: string): readonly number[] {
    return this.runs.get(axis)?.shape ?? (axis in this.sizes ? [this.sizes[axis]!] : []);
  }

  /** @throws `shape` where a field's axes do not fit its words or the fields before */
  bind(name: string, spec: FieldSpec, shape: readonly number[]): void {
    const { named, word } = axesIn(spec.shape);
    const known = word === undefined ? undefined : this.runs.get(word);
    if (known && spec.broadcasts?.some((form) => isBroadcast(form, shape, known.shape))) return;
    if (word === undefined ? shape.length !== named.length : shape.length < named.length) {
      const other = spec.orShape ? ` or ${formatShape(spec.orShape)}` : "";
      throw this.wrong(
        name,
        shape,
        `${named.length} ${word ? "or more " : ""}axes: ${formatShape(spec.shape)}${other}`,
      );
    }
    const layoutFix = this.otherLayout(name, spec, shape);
    const { own, run } = this.split(name, spec, shape, named.length, word);
    for (const [i, axis] of named.entries()) this.bindAxis(name, spec, shape, axis, own[i]!, layoutFix);
    this.shapes.set(name, shape);
    if (word === undefined) return;
    if (!known) this.runs.set(word, { field: name, shape: run });
    else if (!sameShape(run, known.shape)) throw this.mismatch(name, shape, known);
  }

  private split(name: string, spec: FieldSpec, shape: readonly number[], named: number, word: string | undefined) {
    if (word === undefined) return { own: shape, run: [] };
    if (word === "*") return { own: shape.slice(0, named), run: shape.slice(named) };
    if (!spec.followsClassAxis) {
      if (named === 0) return { own: [], run: shape };
      return { own: shape.slice(shape.length - named), run: shape.slice(0, shape.length - named) };
    }
    const axis = this.classAxis < 0 ? this.classAxis + shape.length : this.classAxis;
    if (axis < 0 || axis >= shape.length) {
      const fix = "set classAxis to the axis of the classes; -1 is the last.";
      throw this.wrong(name, shape, `an axis ${this.classAxis} to hold the classes`, fix);
    }
    return { own: [shape[axis]!], run: shape.filter((_, i) => i !== axis) };
  }

  private bindAxis(
    name: string,
    spec: FieldSpec,
    shape: readonly number[],
    axis: string,
    length: number,
    fix: string | undefined,
  ): void {
    const known = this.sizes[axis];
    if (known === undefined) {
      if (length === 0 && axis === "K") throw this.wrong(name, shape, "at least one class");
      this.sizes[axis] = length;
    } else if (known !== length) {
      const others = [...this.shapes.keys()].join(", ");
      throw this.wrong(name, shape, `${axis} = ${known}, as in ${others}: ${formatShape(spec.shape)}`, fix);
    }
  }

  /** What to do where the axes fit in the order of another word of the option. */
  private otherLayout(
    name: string,
    { layouts, shape: wanted }: FieldSpec,
    shape: readonly number[],
  ): string | undefined {
    for (const [word, axes] of Object.entries(layouts?.shapes ?? {})) {
      if (axes === wanted || axes.some((axis, i) => (this.sizes[axis] ?? shape[i]) !== shape[i])) continue;
      return `its axes are those of ${layouts!.option}: "${word}": say so, or transpose ${name} to ${formatShape(wanted)}.`;
    }
    return undefined;
  }

  private wrong(field: string, shape: readonly number[], expected: string, fix?: string): LosswrightError {
    const found = formatShape(shape);
    return new LosswrightError({ code: "shape", where: this.where, field, found, expected, ...(fix && { fix }) });
  }

  /** The error for runs of axes that differ, with the fix that the shapes betray. */
  private mismatch(
    name: string,
    shape: readonly number[],
    known: { readonly field: string; readonly shape: readonly number[] },
  ): LosswrightError {
    const other = this.shapes.get(known.field)!;
    const squeezed = (axes: readonly number[]) => axes.filter((length) => length !== 1);
    const sameSize = sizeOf(shape) === sizeOf(known.shape);
    const withoutAxisOne = other.filter((_, axis) => axis !== 1);
    const oneHot = name === "labels" && sameShape(shape, other);
    const fix = oneHot
      ? "labels are one number a unit; rows of one number a class (one-hot or soft) are targets."
      : other.length > 2 && sameShape(withoutAxisOne, shape)
        ? "the classes lie on axis 1: set classAxis: 1."
        : sameSize && sameShape(squeezed(shape), squeezed(known.shape))
          ? `nothing is broadcast silently, or every entry would meet every other: reshape ${name} to ${formatShape(known.shape)}.`
          : sameSize
            ? `both hold ${sizeOf(shape)} units: reshape one to the other's axes, in the same order.`
            : `give ${name} the shape ${formatShape(known.shape)}.`;
    return new LosswrightError({
      code: "shape",
      where: this.where,
      field: name,
      found: `${formatShape(shape)} beside ${known.field} ${formatShape(other)}`,
      expected: `the axes ${formatShape(known.shape)}`,
      fix,
    });
  }
}

function isBroadcast(form: "scalar" | "lastOne" | "row", shape: readonly number[], units: readonly number[]): boolean {
  if (form === "scalar") return shape.length === 0;
  if (form === "row") return units.length > 1 && sameShape(shape, units.slice(0, 1));
  return units.length > 0 && sameShape(shape, [...units.slice(0, -1), 1]);
}

/** What is asked of a field: of the loss's own, or of one that every objective takes. */
export function specOf(fields: Readonly<Record<string, FieldSpec>>, name: string): FieldSpec {
  return fields[name] ?? commonSpec(name as CommonName);
}

function commonSpec(name: CommonName): FieldSpec {
  const holds = name === "mask" ? "flags" : name === "weights" ? "reals" : "indices";
  return { ...commonFields[name], holds, shape: ["..."], read: "whole", gradient: "none" };
}

function checkCommonShape(
  where: string,
  name: CommonName,
  shape: readonly number[],
  unitShape: readonly number[],
): void {
  const rows = unitShape[0] ?? 1;
  const perRow = name === "mask" || name === "weights" ? [rows, 1] : [rows];
  const allowed = unitShape.length >= 2 ? [unitShape, perRow] : [unitShape];
  if (allowed.some((fitting) => sameShape(fitting, shape))) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field: name,
    found: formatShape(shape),
    expected: `${allowed.map(formatShape).join(" or ")}, one entry a unit${allowed.length > 1 ? " or a row" : ""}`,
  });
}

function checkFlags(where: string, name: string, value: Tensor): void {
  const { data } = value;
  if (value.dtype === "bool") return;
  for (let i = 0; i < data.length; i++) {
    const entry = Number(data[i]);
    if (entry === 0 || entry === 1) continue;
    throw new LosswrightError({
      code: "value",
      where,
      field: name,
      found: `${entry} at [${placeOf(i, value.shape).join(", ")}]`,
      expected: "0 or 1",
      fix:
        name === "mask" ? "a mask removes units; what weighs them is weights." : "write 1 where it holds, 0 elsewhere.",
      index: placeOf(i, value.shape),
    });
  }
}
