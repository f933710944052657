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
import type { BatchView, FieldSpec, LossDefinition } from "./definition.js";

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

type CommonName = keyof typeof commonFields;

/** Rows of one field along its class axis: row u starts at a base that follows from u and steps by a stride. */
export interface RowLayout {
  readonly length: number;
  readonly stride: number;
  /** Index of the first element of unit u's row. */
  base(unit: number): number;
}

/** A batch that fits its definition: shapes bound, dtypes and roles checked, values not yet read. */
export class BoundBatch<Options> implements BatchView<Options> {
  readonly where: string;
  readonly options: Options;
  readonly sizes: Readonly<Record<string, number>>;
  readonly unitShape: readonly number[];
  readonly unitCount: number;
  /** Tensors by field, scalars given as numbers included. */
  readonly tensors: ReadonlyMap<string, Tensor>;

  constructor(
    where: string,
    private readonly fields: Readonly<Record<string, FieldSpec>>,
    options: Options,
    sizes: Readonly<Record<string, number>>,
    unitShape: readonly number[],
    tensors: ReadonlyMap<string, Tensor>,
  ) {
    this.where = where;
    this.options = options;
    this.sizes = sizes;
    this.unitShape = unitShape;
    this.unitCount = sizeOf(unitShape);
    this.tensors = tensors;
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
    const data = this.data(field);
    return data instanceof BigInt64Array ? (index) => Number(data[index]) : (index) => data[index] as number;
  }

  index(field: string): (unit: number) => number {
    const read = this.integer(field);
    const length = this.sizes[this.fields[field]!.indexes!]!;
    return (unit) => {
      const found = read(unit);
      if (found >= 0 && found < length && Number.isInteger(found)) return found;
      throw this.outside(field, found, length, unit);
    };
  }

  flag(field: string): (index: number) => boolean {
    const data = this.data(field);
    return data instanceof BigInt64Array ? (index) => data[index] !== 0n : (index) => data[index] !== 0;
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

  scalar(field: string): number {
    const given = this.tensors.get(field);
    return given ? Number(given.data[0]) : (this.options as Record<string, number>)[field]!;
  }
}

/**
 * Binds a batch to a definition.
 *
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape` and `value` with the field and the fix
 */
export function bindBatch<Options extends object>(
  definition: LossDefinition<Options>,
  options: Options,
  given: AnyBatch,
): BoundBatch<Options> {
  const where = definition.name;
  if (typeof given !== "object" || given === null) {
    throw new LosswrightError({
      code: "argument",
      where,
      found: String(given),
      expected: `a batch of fields: ${Object.keys(definition.fields).join(", ")}`,
    });
  }
  rejectUnknown(where, "field", given, [...Object.keys(definition.fields), ...Object.keys(commonFields)]);
  checkPresence(definition, options, given);
  const classAxis = definition.alignment?.(options).classAxis ?? -1;
  const tensors = new Map<string, Tensor>();
  const sizes: Record<string, number> = {};
  let leading: { shape: readonly number[]; field: string } | undefined;
  for (const [name, spec] of Object.entries(definition.fields)) {
    if (given[name] === undefined) continue;
    const value = asTensor(where, name, spec, given[name]);
    tensors.set(name, value);
    const axis = spec.followsClassAxis ? classAxis : -1;
    const bound = bindShape(where, name, spec, value.shape, axis, sizes, leading, tensors);
    if (bound) leading ??= { shape: bound, field: name };
  }
  const unitShape = definition.unitShape.flatMap((axis) => (axis === "..." ? (leading?.shape ?? []) : [sizes[axis]!]));
  for (const name of Object.keys(commonFields) as CommonName[]) {
    if (given[name] === undefined) continue;
    tensors.set(name, bindCommon(where, name, given[name], unitShape));
  }
  return new BoundBatch(where, definition.fields, options, sizes, unitShape, tensors);
}

/** Where unit u's row of a field lies, for fields read by unit. */
export function rowLayout(spec: FieldSpec, shape: readonly number[], classAxis: number): RowLayout {
  const named = spec.shape.filter((axis) => axis !== "...").length;
  if (named === 1 && spec.followsClassAxis && spec.shape.includes("...")) {
    const axis = classAxis < 0 ? classAxis + shape.length : classAxis;
    const length = shape[axis]!;
    const stride = sizeOf(shape.slice(axis + 1));
    if (stride === 1) return { length, stride, base: (unit) => unit * length };
    return {
      length,
      stride,
      base: (unit) => {
        const inner = unit % stride;
        return (unit - inner) * length + inner;
      },
    };
  }
  const own = spec.shape.includes("...") ? sizeOf(shape.slice(shape.length - named)) : sizeOf(shape.slice(1));
  return { length: own, stride: 1, base: (unit) => unit * own };
}

function checkPresence<Options extends object>(
  definition: LossDefinition<Options>,
  options: Options,
  given: AnyBatch,
): void {
  const where = definition.name;
  const alternatives = new Set(definition.oneOf?.flat());
  for (const [name, spec] of Object.entries(definition.fields)) {
    const wanted = spec.scalarOption ? (options as Record<string, unknown>)[name] === "field" : !spec.optional;
    if (given[name] === undefined && wanted && !alternatives.has(name)) {
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
    throw new LosswrightError({
      code: present.length ? "argument" : "missing-field",
      where,
      field: group.join(" or "),
      found: present.length ? present.join(" and ") : `only ${Object.keys(given).join(", ") || "an empty batch"}`,
      expected: `exactly one of ${group.join(", ")}`,
      fix: group.map((name) => `${name} ${formatShape(definition.fields[name]!.shape)}`).join(" or "),
    });
  }
}

const wantedDtypes = {
  reals: "float32 or float64",
  indices: "integers: int32, int64 or uint8",
  flags: "0 and 1 of any dtype",
};

function asTensor(where: string, name: string, spec: FieldSpec, value: Tensor | number | undefined): Tensor {
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
  const shown = `${value.dtype} ${formatShape(value.shape)}`;
  if (value.role !== undefined && value.role !== "unlabeled" && !spec.roles.includes(value.role)) {
    throw new LosswrightError({
      code: "role",
      where,
      field: name,
      found: `a tensor that holds ${value.role}, ${shown}`,
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
      found: shown,
      expected: wantedDtypes[spec.holds],
      fix:
        spec.holds === "indices"
          ? "class labels are whole numbers: convert them to int32 or int64 (torch: labels.long())."
          : "convert them to float32 (torch: .float()); if decimals were cut off on the way to integers, they are lost already.",
    });
  }
  if (spec.holds === "flags") checkFlags(where, name, value);
  return value;
}

/** Binds named axes and returns the leading axes where the shape has `"..."`. */
function bindShape(
  where: string,
  name: string,
  spec: FieldSpec,
  shape: readonly number[],
  classAxis: number,
  sizes: Record<string, number>,
  leading: { shape: readonly number[]; field: string } | undefined,
  tensors: ReadonlyMap<string, Tensor>,
): readonly number[] | undefined {
  const named = spec.shape.filter((axis) => axis !== "...");
  const spread = spec.shape.length > named.length;
  const wrong = (expected: string, fix?: string) =>
    new LosswrightError({
      code: "shape",
      where,
      field: name,
      found: formatShape(shape),
      expected,
      ...(fix && { fix }),
    });
  if (spread ? shape.length < named.length : shape.length !== named.length) {
    throw wrong(`${named.length} ${spread ? "or more " : ""}axes: ${formatShape(spec.shape)}`);
  }
  let units: readonly number[] | undefined;
  let own: readonly number[];
  if (spread && spec.followsClassAxis && named.length === 1) {
    const axis = classAxis < 0 ? classAxis + shape.length : classAxis;
    if (axis < 0 || axis >= shape.length) {
      throw wrong(
        `an axis ${classAxis} to hold the classes`,
        "set classAxis to the axis of the classes; -1 is the last.",
      );
    }
    units = shape.filter((_, i) => i !== axis);
    own = [shape[axis]!];
  } else {
    const split = spread ? shape.length - named.length : 0;
    units = spread ? shape.slice(0, split) : undefined;
    own = shape.slice(split);
  }
  for (const [i, axis] of named.entries()) {
    const length = own[i]!;
    const known = sizes[axis];
    if (known === undefined) {
      if (length === 0 && axis === "K") throw wrong("at least one class");
      sizes[axis] = length;
    } else if (known !== length) {
      throw wrong(
        `${axis} = ${known}, as in ${[...tensors.keys()].filter((other) => other !== name).join(", ")}: ${formatShape(spec.shape)}`,
      );
    }
  }
  if (units && leading && !sameShape(units, leading.shape)) throw mismatch(where, name, shape, leading, tensors);
  return units;
}

/** The error for leading axes that differ, with the fix that the shapes betray. */
function mismatch(
  where: string,
  name: string,
  shape: readonly number[],
  leading: { shape: readonly number[]; field: string },
  tensors: ReadonlyMap<string, Tensor>,
): LosswrightError {
  const other = tensors.get(leading.field)!.shape;
  const withoutAxisOne = other.filter((_, axis) => axis !== 1);
  const squeezed = (axes: readonly number[]) => axes.filter((length) => length !== 1);
  let fix: string;
  if (other.length > 2 && sameShape(withoutAxisOne, shape)) {
    fix = "the classes lie on axis 1: set classAxis: 1.";
  } else if (sizeOf(shape) === sizeOf(leading.shape) && sameShape(squeezed(shape), squeezed(leading.shape))) {
    fix = `nothing is broadcast silently, or every entry would meet every other: reshape ${name} to ${formatShape(leading.shape)}.`;
  } else if (sizeOf(shape) === sizeOf(leading.shape)) {
    fix = `both hold ${sizeOf(shape)} units: reshape one to the other's axes, in the same order.`;
  } else {
    fix = `give ${name} the shape ${formatShape(leading.shape)}.`;
  }
  return new LosswrightError({
    code: "shape",
    where,
    field: name,
    found: `${formatShape(shape)} beside ${leading.field} ${formatShape(other)}`,
    expected: `units of shape ${formatShape(leading.shape)}`,
    fix,
  });
}

function bindCommon(
  where: string,
  name: CommonName,
  value: Tensor | number | undefined,
  unitShape: readonly number[],
): Tensor {
  const spec: FieldSpec = {
    ...commonFields[name],
    holds: name === "mask" ? "flags" : name === "weights" ? "reals" : "indices",
    shape: ["..."],
    read: "label",
    gradient: "none",
  };
  const bound = asTensor(where, name, spec, value);
  const rows = unitShape[0] ?? 1;
  const perRow = name === "mask" || name === "weights" ? [rows, 1] : [rows];
  const allowed = unitShape.length >= 2 ? [unitShape, perRow] : [unitShape];
  if (allowed.some((shape) => sameShape(shape, bound.shape))) return bound;
  throw new LosswrightError({
    code: "shape",
    where,
    field: name,
    found: formatShape(bound.shape),
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
