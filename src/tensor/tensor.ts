import { LosswrightError } from "../errors/index.js";
import { formatShape, sizeOf } from "./shape.js";

/** Element types. `float16` and `bfloat16` files are decoded exactly to `float32`. */
export type Dtype = "float64" | "float32" | "int64" | "int32" | "uint8" | "bool";

export interface DataOfDtype {
  float64: Float64Array;
  float32: Float32Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

export type TensorData = DataOfDtype[Dtype];

/**
 * What a tensor is known to hold. A tensor that came out of `softmax` holds `"probabilities"`: it does not
 * type-check where logits belong, and throws there when the types were lost on the way.
 */
export type Role =
  | "logits"
  | "probabilities"
  | "logProbabilities"
  | "classIndices"
  | "mask"
  | "predictions"
  | "targets"
  | "weights"
  | "embeddings"
  | "scores";

const roles: readonly string[] = [
  "unlabeled",
  "logits",
  "probabilities",
  "logProbabilities",
  "classIndices",
  "mask",
  "predictions",
  "targets",
  "weights",
  "embeddings",
  "scores",
];

/** The role of a tensor nobody has labeled: accepted by every field. */
export type Unlabeled = "unlabeled";

/** Row-major numbers with a shape; `[]` is a scalar. Immutable but for the numbers themselves. */
export interface Tensor<R extends Role | Unlabeled = Role | Unlabeled, D extends Dtype = Dtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOfDtype[D];
  readonly role: R;
  /** Whole numbers written as a list (`tensor([0, 2])`): float64 that an integer field also takes. */
  readonly weak: boolean;
}

/** Lists of numbers, booleans or bigints, nested to the tensor's number of axes. */
export type NestedList = number | boolean | bigint | readonly NestedList[];

const constructors = {
  float64: Float64Array,
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** Zeroed storage for `length` elements of `dtype`. */
export function dataOf<D extends Dtype>(dtype: D, length: number): DataOfDtype[D] {
  return new constructors[dtype](length) as DataOfDtype[D];
}

/** The dtype a typed array holds, or `undefined` for one that no tensor is made of. */
export function dtypeOf(data: unknown): Exclude<Dtype, "bool"> | undefined {
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Float32Array) return "float32";
  if (data instanceof BigInt64Array) return "int64";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Uint8Array) return "uint8";
  return undefined;
}

/**
 * A tensor over a typed array (not copied) or a nested list (copied to float64, booleans to bool, bigints to int64).
 *
 * @param data - Float32Array, Float64Array, Int32Array, BigInt64Array, Uint8Array, or a nested list
 * @param shape - row-major; without it, `[data.length]` or the list's own shape
 * @param role - what the numbers are known to be; `"classIndices"` makes an int32 tensor of a list
 * @throws `argument` for other data or ragged lists, `shape` where shape and length disagree, `value` for class
 * indices that are no whole numbers
 *
 * @example
 * tensor(new Float32Array(6), [2, 3]);
 * tensor([[1, 2], [3, 4]], undefined, "logits");
 */
export function tensor(data: TensorData | NestedList, shape?: readonly number[]): Tensor<Unlabeled>;
export function tensor<R extends Role>(
  data: TensorData | NestedList,
  shape: readonly number[] | undefined,
  role: R,
): Tensor<R>;
export function tensor(data: TensorData | NestedList, shape?: readonly number[], role: Role | Unlabeled = "unlabeled") {
  const dtype = dtypeOf(data);
  if (dtype) {
    const values = data as TensorData;
    return view(values, shape ?? [values.length], role, dtype, false);
  }
  return fromList(data as NestedList, shape, role);
}

/** A tensor of a dtype that the typed array alone does not tell (`bool`), or of a derived role. */
export function view<R extends Role | Unlabeled, D extends Dtype>(
  data: DataOfDtype[D],
  shape: readonly number[],
  role: R,
  dtype: D,
  weak = false,
): Tensor<R, D> {
  if (!roles.includes(role)) {
    throw new LosswrightError({
      code: "argument",
      where: "tensor",
      field: "role",
      found: JSON.stringify(role) ?? String(role),
      expected: `one of ${roles.join(", ")}`,
    });
  }
  if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    throw new LosswrightError({
      code: "shape",
      where: "tensor",
      field: "shape",
      found: JSON.stringify(shape) ?? String(shape),
      expected: "a list of whole numbers, none negative",
    });
  }
  if (sizeOf(shape) !== data.length) {
    throw new LosswrightError({
      code: "shape",
      where: "tensor",
      field: "shape",
      found: `${formatShape(shape)} (${sizeOf(shape)} elements) for ${data.length} numbers`,
      expected: `a shape of ${data.length} elements`,
    });
  }
  return { dtype, shape: Object.freeze([...shape]), data, role, weak };
}

/** Whether a value is a tensor, by structure: two copies of the library in one page understand each other. */
export function isTensor(value: unknown): value is Tensor {
  if (typeof value !== "object" || value === null) return false;
  const { data, shape, dtype } = value as Partial<Tensor>;
  const held = dtypeOf(data);
  return Array.isArray(shape) && held !== undefined && (dtype === held || (dtype === "bool" && held === "uint8"));
}

function fromList(list: NestedList, shape: readonly number[] | undefined, role: Role | Unlabeled): Tensor {
  const ownShape: number[] = [];
  for (let level: NestedList | undefined = list; Array.isArray(level); level = level[0]) ownShape.push(level.length);
  const values: (number | boolean | bigint)[] = [];
  flatten(list, ownShape, 0, values);
  const target = shape ?? ownShape;
  const kind = typeof (values[0] ?? 0);
  const odd = values.findIndex((value) => typeof value !== kind);
  if (odd >= 0 || !["number", "boolean", "bigint"].includes(kind)) {
    const value = values[Math.max(odd, 0)];
    throw new LosswrightError({
      code: "argument",
      where: "tensor",
      field: "data",
      found: ArrayBuffer.isView(list)
        ? `a ${list.constructor.name}`
        : `a list with ${ArrayBuffer.isView(value) ? (value as object).constructor.name : `${typeof value} ${String(value)}`} at place ${Math.max(odd, 0)}`,
      expected: "numbers, booleans or bigints, of one kind",
      fix: "pass a Float32Array, Float64Array, Int32Array, BigInt64Array or Uint8Array, or lists of numbers.",
    });
  }
  if (kind === "boolean") return view(Uint8Array.from(values as boolean[], Number), target, role, "bool");
  if (kind === "bigint") return view(BigInt64Array.from(values as bigint[]), target, role, "int64");
  const numbers = values as number[];
  if (role === "classIndices") {
    const bad = numbers.findIndex((value) => (value | 0) !== value);
    if (bad >= 0) {
      throw new LosswrightError({
        code: "value",
        where: "tensor",
        field: "data",
        found: `${numbers[bad]} at place ${bad}`,
        expected: "whole numbers, since the role is classIndices",
      });
    }
    return view(Int32Array.from(numbers), target, role, "int32");
  }
  return view(Float64Array.from(numbers), target, role, "float64", numbers.every(Number.isInteger));
}

function flatten(list: NestedList, shape: readonly number[], axis: number, values: (number | boolean | bigint)[]) {
  if (!Array.isArray(list)) {
    if (axis !== shape.length) throw ragged(shape, axis, "a number");
    values.push(list as number | boolean | bigint);
    return;
  }
  if (axis >= shape.length || list.length !== shape[axis]) throw ragged(shape, axis, `a list of ${list.length}`);
  for (const entry of list) flatten(entry, shape, axis + 1, values);
}

function ragged(shape: readonly number[], axis: number, found: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "tensor",
    field: "data",
    found: `${found} on axis ${axis}`,
    expected: `lists nested to the shape ${formatShape(shape)} that their first entries have`,
    fix: "pad ragged rows and say so with a mask.",
  });
}
