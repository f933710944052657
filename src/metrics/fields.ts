import { LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  formatShape,
  isTensor,
  placeOf,
  type Role,
  sameShape,
  sizeOf,
  type Tensor,
  type Unlabeled,
} from "../tensor/index.js";
import { fieldByForeignName } from "./foreign-names.js";

/**
 * What a field of a metric holds:
 * - `reals`    numbers without NaN; infinite ones only where `infinite` says so
 * - `indices`  class or item indices: integers of any dtype, or whole numbers written as a list
 * - `flags`    0 and 1 of any dtype
 * - `texts`    a list of strings
 */
export type Holds = "reals" | "indices" | "flags" | "texts";

/** One field of a metric. */
export interface MetricField {
  readonly meaning: string;
  /** Axes: `"..."` stands for the samples' own, any number of them; others are named and must agree between fields. */
  readonly axes: readonly string[];
  readonly holds: Holds;
  /** What a labeled tensor may hold; unlabeled ones always may. */
  readonly roles: readonly Role[];
  /** Bounds of numbers, in words for the message and as a test. */
  readonly range?: NumberRange;
  /** Whether ±∞ is a number here: a score of −∞ ranks last. */
  readonly infinite?: boolean;
}

/** Which numbers a field takes. */
export interface NumberRange {
  readonly words: string;
  readonly fix?: string;
  has(value: number): boolean;
}

export const probabilityRange: NumberRange = {
  words: "a probability in [0, 1]",
  fix: "of logits take softmax or sigmoid first.",
  has: (value) => value >= 0 && value <= 1,
};

/** Weights and mask, which every metric takes beside its own fields. */
export interface CommonFields {
  /** Weight of each sample, finite and at least 0; 0 takes the sample out. */
  readonly weights?: Tensor<"weights" | Unlabeled>;
  /** 1 where a sample counts, 0 where it is not even read. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
}

const commonNames = ["weights", "mask"] as const;

const flagsFix =
  "of several classes give scores [..., K] beside class indices; take padding out by mask or ignoreIndex.";

/** What an update receives: tensors, or lists of strings. */
export type GivenFields = Readonly<Record<string, Tensor | readonly string[] | undefined>>;

/** Fields that fit a metric, as it reads them: shapes bound, dtypes and roles checked, values checked as they are read. */
export class BoundFields {
  readonly count: number;

  constructor(
    private readonly where: string,
    private readonly fields: Readonly<Record<string, MetricField>>,
    private readonly given: GivenFields,
    /** Axes of the samples. */
    readonly shape: readonly number[],
    private readonly sizes: ReadonlyMap<string, number>,
  ) {
    this.count = sizeOf(shape);
  }

  has(field: string): boolean {
    return this.given[field] !== undefined;
  }

  /** Whether some field has a named axis. */
  hasAxis(axis: string): boolean {
    return this.sizes.has(axis);
  }

  /** The length of a named axis. */
  size(axis: string): number {
    return this.sizes.get(axis)!;
  }

  texts(field: string): readonly string[] {
    return this.given[field] as readonly string[];
  }

  /**
   * Reads one number of a field.
   *
   * @throws (from the reader) `value` for NaN, an infinite number where none belongs, or one out of the field's range
   */
  reals(field: string): (index: number) => number {
    const { data } = this.tensor(field);
    const spec = this.fields[field]!;
    const { infinite = false, range } = spec;
    return (index) => {
      const value = Number(data[index]);
      if (Number.isFinite(value) || (infinite && !Number.isNaN(value))) {
        if (range === undefined || range.has(value)) return value;
      }
      throw this.wrong(
        field,
        index,
        String(value),
        range?.words ?? (infinite ? "a number" : "a finite number"),
        range?.fix ?? "mask the sample, or look for what made it so.",
      );
    };
  }

  /**
   * Reads one index of a field.
   *
   * @param length - indices lie in 0..length − 1; without it any whole number from 0 is one
   * @throws (from the reader) `value` for others
   */
  indices(field: string, length?: number): (index: number) => number {
    const { data } = this.tensor(field);
    const end = length ?? Number.MAX_SAFE_INTEGER;
    return (index) => {
      const value = Number(data[index]);
      if (value >= 0 && value < end && Number.isInteger(value)) return value;
      const expected = length === undefined ? "a whole number from 0" : `an index in 0..${length - 1}`;
      throw this.wrong(field, index, String(value), expected, "mask the sample, or name its label in ignoreIndex.");
    };
  }

  /** Reads one 0 or 1 of a field. @throws (from the reader) `value` for others */
  flags(field: string): (index: number) => number {
    const { data } = this.tensor(field);
    return (index) => {
      const value = Number(data[index]);
      if (value === 0 || value === 1) return value;
      throw this.wrong(field, index, String(value), "0 or 1", flagsFix);
    };
  }

  /** An integer as it stands, unchecked: to compare with `ignoreIndex`. */
  raw(field: string): (index: number) => number {
    const { data } = this.tensor(field);
    return (index) => Number(data[index]);
  }

  /** The error for one number of a field. */
  wrong(field: string, index: number, found: string, expected: string, fix?: string): LosswrightError {
    const place = placeOf(index, this.tensor(field).shape);
    return new LosswrightError({
      code: "value",
      where: this.where,
      field,
      found: `${found} at ${formatShape(place)}`,
      expected,
      ...(fix && { fix }),
      index: place,
    });
  }

  /** The weight of each sample: 0 where the mask or a weight of 0 takes it out. */
  weights(): (sample: number) => number {
    const weights = this.broadcast("weights");
    const mask = this.broadcast("mask");
    if (!weights && !mask) return () => 1;
    return (sample) => {
      if (mask) {
        const flag = mask.read(sample);
        if (flag === 0) return 0;
        if (flag !== 1) throw this.wrong("mask", mask.at(sample), String(flag), "0 or 1");
      }
      if (!weights) return 1;
      const weight = weights.read(sample);
      if (weight >= 0 && weight < Number.POSITIVE_INFINITY) return weight;
      throw this.wrong("weights", weights.at(sample), String(weight), "a finite weight of at least 0");
    };
  }

  private broadcast(name: (typeof commonNames)[number]) {
    const tensor = this.given[name] as Tensor | undefined;
    if (!tensor || name in this.fields) return undefined;
    const { data } = tensor;
    const repeats = data.length === 0 ? 1 : this.count / data.length;
    const at = repeats === 1 ? (sample: number) => sample : (sample: number) => Math.floor(sample / repeats);
    return { at, read: (sample: number) => Number(data[at(sample)]) };
  }

  private tensor(field: string): Tensor {
    return this.given[field] as Tensor;
  }
}

/**
 * Binds fields to what a metric declares.
 *
 * @param forms - sets of fields, of which exactly one must be given in full; a field of no form is optional
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape` with the field and the fix
 */
export function bindFields(
  where: string,
  fields: Readonly<Record<string, MetricField>>,
  forms: readonly (readonly string[])[],
  given: GivenFields,
): BoundFields {
  const shown = forms.map((form) => `{ ${form.join(", ")} }`).join(" or ");
  if (typeof given !== "object" || given === null || isTensor(given) || Array.isArray(given)) {
    const found = isTensor(given) ? "a tensor in place of fields" : Array.isArray(given) ? "a list" : String(given);
    throw new LosswrightError({ code: "argument", where, found, expected: `fields: ${shown}`, fix: `write ${shown}.` });
  }
  const known = [...new Set(forms.flat())];
  const optional = Object.keys(fields).filter((name) => !known.includes(name));
  const names = [...new Set([...known, ...optional, ...commonNames])];
  rejectUnknown(where, "field", given, names, (name) => fieldByForeignName(name, names));
  const present = known.filter((name) => given[name] !== undefined);
  const form = forms.find((names) => names.length === present.length && names.every((name) => present.includes(name)));
  if (!form) {
    const near = forms.find((names) => present.every((name) => names.includes(name)));
    const missing = near?.filter((name) => !present.includes(name)) ?? [];
    throw new LosswrightError({
      code: near ? "missing-field" : "argument",
      where,
      ...(missing[0] !== undefined && { field: missing[0] }),
      found: present.length ? `${near ? "only " : ""}${present.join(", ")}` : "no field",
      expected: near ? shown : `one form alone: ${shown}`,
      fix:
        missing[0] !== undefined
          ? `add ${missing[0]}: ${fields[missing[0]]!.meaning}.`
          : "leave out what belongs to the other form.",
    });
  }
  const sizes = new Map<string, number>();
  let samples: { readonly shape: readonly number[]; readonly of: string } | undefined;
  for (const name of [...form, ...optional.filter((name) => given[name] !== undefined)]) {
    const spec = fields[name]!;
    const shape = shapeOf(where, name, spec, given[name]!);
    const named = spec.axes.filter((axis) => axis !== "...");
    const leading = shape.length - named.length;
    const free = spec.axes.includes("...");
    if (leading < (free ? 1 : 0) || (!free && leading > 0)) {
      const fix = shape.length === 1 && named.length === 1 && free ? oneAxisFix(name) : undefined;
      throw misshapen(where, name, formatShape(shape), `${formatShape(spec.axes)}: ${spec.meaning}`, fix);
    }
    if (free) {
      const own = shape.slice(0, leading);
      if (samples && !sameShape(samples.shape, own)) {
        const wanted = formatShape([...samples.shape, ...named]);
        throw misshapen(
          where,
          name,
          formatShape(shape),
          `${wanted}, as ${samples.of} has`,
          shapeFix(own, samples.shape),
        );
      }
      samples ??= { shape: own, of: name };
    }
    named.forEach((axis, k) => {
      const length = shape[leading + k]!;
      const seen = sizes.get(axis);
      if (seen !== undefined && seen !== length) {
        throw misshapen(where, name, formatShape(shape), `${seen} along ${axis}, as the other fields have`);
      }
      sizes.set(axis, length);
    });
  }
  const shape = samples?.shape ?? [];
  for (const name of commonNames) {
    const value = given[name];
    if (value === undefined || name in fields) continue;
    if (!isTensor(value)) throw noTensor(where, name, value);
    checkRole(where, name, value, [name]);
    const isRow = value.shape.length > 0 && value.shape[0] === shape[0] && value.shape.slice(1).every((n) => n === 1);
    if (!sameShape(value.shape, shape) && !(isRow && value.shape.length <= shape.length)) {
      throw misshapen(
        where,
        name,
        formatShape(value.shape),
        shape.length > 1
          ? `${formatShape(shape)}, one a sample, or [${shape[0]}]`
          : `${formatShape(shape)}, one a sample`,
      );
    }
  }
  return new BoundFields(where, fields, given, shape, sizes);
}

/** The shape of a field whose kind, dtype and role fit. */
function shapeOf(where: string, name: string, spec: MetricField, value: Tensor | readonly string[]): readonly number[] {
  if (spec.holds === "texts") {
    if (Array.isArray(value)) {
      const bad = value.findIndex((text) => typeof text !== "string");
      if (bad < 0) return [value.length];
      throw new LosswrightError({
        code: "argument",
        where,
        field: name,
        found: `a ${typeof value[bad]} at [${bad}]`,
        expected: "a list of strings",
        index: [bad],
      });
    }
    const found = isTensor(value) ? "a tensor" : typeof value;
    throw new LosswrightError({ code: "argument", where, field: name, found, expected: "a list of strings" });
  }
  if (!isTensor(value)) throw noTensor(where, name, value);
  checkRole(where, name, value, spec.roles);
  const isReal = value.dtype === "float32" || value.dtype === "float64";
  if (spec.holds === "indices" && isReal && !value.weak) {
    throw new LosswrightError({
      code: "dtype",
      where,
      field: name,
      found: `${value.dtype} ${formatShape(value.shape)}`,
      expected: "integers: int32, int64 or uint8",
      fix: `${name}: tensor(Int32Array.from(data), shape)${name === "predictions" ? "; of scores give the field scores" : ""}.`,
    });
  }
  return value.shape;
}

function checkRole(where: string, name: string, { role, dtype, shape }: Tensor, roles: readonly Role[]): void {
  if (role === undefined || role === "unlabeled" || roles.includes(role)) return;
  throw new LosswrightError({
    code: "role",
    where,
    field: name,
    found: `a tensor that holds ${role}, ${dtype} ${formatShape(shape)}`,
    expected: roles.join(" or "),
    ...(role === "logits" &&
      roles.includes("probabilities") && { fix: "take softmax or sigmoid of the logits first." }),
    ...(roles.includes("logits") && { fix: "pass the raw scores: the metric takes its own softmax." }),
  });
}

/** What to do about one axis where two are wanted. */
function oneAxisFix(field: string): string {
  if (field === "scores" || field === "probabilities" || field === "logits") {
    return "of one class threshold the scores yourself and give predictions; of one query or one row add an axis: [1, N].";
  }
  return "add an axis for the one row: tensor(data, [1, N]).";
}

/** What to do about two shapes, where it can be told. */
function shapeFix(own: readonly number[], wanted: readonly number[]): string | undefined {
  const [longer, shorter] = own.length > wanted.length ? [own, wanted] : [wanted, own];
  if (longer.length !== shorter.length + 1) return undefined;
  if (longer.at(-1) === 1) return "drop the last axis of 1: tensor(data, [N]).";
  return "of scores [N, K] the labels are class indices [N]; of probabilities of class 1 take probabilities[:, 1], or threshold them for predictions.";
}

function misshapen(where: string, field: string, found: string, expected: string, fix?: string): LosswrightError {
  return new LosswrightError({ code: "shape", where, field, found, expected, ...(fix && { fix }) });
}

function noTensor(where: string, field: string, value: unknown): LosswrightError {
  const found = Array.isArray(value) ? "a list" : ArrayBuffer.isView(value) ? "a typed array" : typeof value;
  const fix = `wrap it: ${field}: tensor(data, shape).`;
  return new LosswrightError({ code: "argument", where, field, found, expected: "a tensor", fix });
}
