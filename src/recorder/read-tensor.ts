import { LosswrightError } from "../errors/index.js";
import type { Tensor, TensorData } from "../tensor/index.js";
import { decodeBfloat16, decodeFloat16, dtypeOf, type NestedList, sizeOf, tensor, view } from "../tensor/index.js";

/** Numbers in a row, as JavaScript's frameworks hold them. */
export type NumberArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Float16Array;

/** Row-major numbers with their shape. `dtype` says what the array alone does not: `"bool"`, `"bfloat16"`. */
export interface ShapedNumbers {
  readonly data: NumberArray;
  readonly shape: readonly number[];
  readonly dtype?: string;
}

/** A tensor that a framework holds somewhere (TensorFlow.js, jax-js): told by what it has, not by its class. */
export interface DeviceTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  dataSync?(): unknown;
  data?(): unknown;
}

/** Whatever a tensor may be given as: a typed array without a shape has one axis. */
export type TensorLike = Tensor | ShapedNumbers | DeviceTensor | NumberArray | NestedList;

/** Floating-point types, from the least to the most that a number is resolved. */
export const precisions = ["bfloat16", "float16", "float32", "float64"] as const;

export type Precision = (typeof precisions)[number];

/** A tensor as it was read, with what is known of where it came from. */
export interface Reading {
  readonly tensor: Tensor;
  /** Whether nobody else holds its numbers; otherwise whoever keeps them copies them. */
  readonly isOwned: boolean;
  /** The floating-point type it was computed in; a plain list does not say. */
  readonly precision: Precision | undefined;
  /** The framework that held it, where its tensors can be told. */
  readonly framework: string | undefined;
}

/**
 * Reads a tensor of any kind. The tensor it was given stays as it is: nothing of a framework is disposed of or changed.
 *
 * @param where - what messages call it
 * @param ofIndices - whether it holds whole numbers by its meaning, so that a list of them is one of int32
 * @returns a promise where its framework gives its numbers only so
 * @throws `argument` and `dtype` for what holds no real numbers, `shape` where shape and numbers disagree
 */
export function readTensor(value: unknown, where: string, ofIndices: boolean): Reading | Promise<Reading> {
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" || Array.isArray(value)) {
    const listed = tensor(value as NestedList);
    return {
      tensor: ofIndices ? wholeNumbers(listed) : listed,
      isOwned: true,
      precision: undefined,
      framework: undefined,
    };
  }
  if (ArrayBuffer.isView(value) && "length" in value) {
    return readingOf(value, [value.length as number], undefined, where);
  }
  if (typeof value === "object" && value !== null && "shape" in value) return readShaped(value, where, ofIndices);
  throw new LosswrightError({
    code: "argument",
    where: "recorder",
    field: where,
    found: value === null ? "null" : typeof value,
    expected: "a tensor, a typed array, { data, shape }, or a nested list of numbers",
    fix: "give the numbers that the loss was computed from.",
  });
}

function readShaped(value: object, where: string, ofIndices: boolean): Reading | Promise<Reading> {
  const { shape, dtype, data } = value as Partial<ShapedNumbers>;
  if (ArrayBuffer.isView(data)) {
    const read = readingOf(data, shape, dtype, where);
    const isWeak = ofIndices && (value as Partial<Tensor>).weak === true;
    return isWeak ? { ...read, tensor: wholeNumbers({ ...read.tensor, weak: true }), precision: undefined } : read;
  }
  const framework = "dataId" in value ? "tensorflow.js" : undefined;
  // Reading an array of jax-js gives up a reference to it; the one that is given up here is one taken for the purpose.
  const counted = "ref" in value ? value.ref : undefined;
  const held = (typeof counted === "object" && counted !== null ? counted : value) as DeviceTensor;
  const read = (numbers: unknown): Reading => ({ ...readingOf(numbers, shape, dtype, where), framework });
  if (typeof held.dataSync === "function") return read(held.dataSync());
  if (typeof held.data === "function") return Promise.resolve(held.data()).then(read);
  throw new LosswrightError({
    code: "argument",
    where: "recorder",
    field: where,
    found: "an object with a shape and no numbers",
    expected: "numbers as data, data() or dataSync()",
    fix: "give { data, shape } with a typed array as data.",
  });
}

function readingOf(numbers: unknown, shape: unknown, dtype: unknown, where: string): Reading {
  const { data, precision, isOwned } = plainNumbers(numbers, dtype, where);
  // The shape of a framework's tensor is a list of its own kind at times; an error of `view` speaks of any other.
  const axes = Array.isArray(shape) ? Array.from(shape as number[], Number) : (shape as number[]);
  const isFlags = dtype === "bool" && (data instanceof Uint8Array || data instanceof Int32Array);
  const read = isFlags
    ? view(
        Uint8Array.from(data, (flag) => (flag === 0 ? 0 : 1)),
        axes,
        "unlabeled",
        "bool",
      )
    : view(data, axes, "unlabeled", dtypeOf(data)!);
  return { tensor: read, isOwned: isOwned || isFlags, precision, framework: undefined };
}

interface PlainNumbers {
  readonly data: TensorData;
  readonly precision: Precision | undefined;
  readonly isOwned: boolean;
}

/** Numbers in an array that tensors are made of; every conversion is exact. */
function plainNumbers(numbers: unknown, dtype: unknown, where: string): PlainNumbers {
  const kind = Object.prototype.toString.call(numbers).slice("[object ".length, -1);
  const converted = (data: TensorData, precision?: Precision): PlainNumbers => ({ data, precision, isOwned: true });
  if (numbers instanceof Uint16Array && dtype === "float16") return converted(decodeFloat16(numbers), "float16");
  if (numbers instanceof Uint16Array && dtype === "bfloat16") return converted(decodeBfloat16(numbers), "bfloat16");
  if (kind === "Float16Array") return converted(Float32Array.from(numbers as ArrayLike<number>), "float16");
  if (numbers instanceof Uint8ClampedArray) return converted(Uint8Array.from(numbers));
  if (numbers instanceof Int8Array || numbers instanceof Int16Array || numbers instanceof Uint16Array) {
    return converted(Int32Array.from(numbers));
  }
  if (numbers instanceof Uint32Array) return converted(BigInt64Array.from(numbers, BigInt));
  const held = dtypeOf(numbers);
  if (held === undefined || dtype === "complex64" || dtype === "string") {
    throw new LosswrightError({
      code: "dtype",
      where: "recorder",
      field: where,
      found: dtype === "complex64" || dtype === "string" ? dtype : `numbers in a ${kind}`,
      expected: "real numbers, whole numbers or booleans in a typed array",
      fix: "convert it to float32, float64 or int32 before it is recorded.",
    });
  }
  const data = numbers as TensorData;
  const own = held === "float32" || held === "float64" ? held : undefined;
  // A float32 array may hold what a framework computed in half precision, and says so.
  const precision = own && (precisions.find((name) => name === dtype) ?? own);
  return { data, precision, isOwned: false };
}

/** A list of whole numbers as integers: in a file, its float64 would be what a training code passed by mistake. */
function wholeNumbers(listed: Tensor): Tensor {
  if (!listed.weak || listed.dtype !== "float64") return listed;
  const numbers = listed.data as Float64Array;
  if (!numbers.every(Number.isSafeInteger)) return listed;
  const fits = numbers.every((value) => (value | 0) === value);
  return fits
    ? view(Int32Array.from(numbers), listed.shape, "unlabeled", "int32")
    : view(BigInt64Array.from(numbers, BigInt), listed.shape, "unlabeled", "int64");
}

/** The one number of a tensor. @throws `shape` for a tensor of none or several */
export function oneNumber({ shape, data }: Tensor, where: string): number {
  if (sizeOf(shape) === 1) return Number(data[0]);
  throw new LosswrightError({
    code: "shape",
    where: "recorder",
    field: where,
    found: `[${shape.join(", ")}]`,
    expected: "one number",
    fix: "reduce it first: record the loss that the training code reports.",
  });
}

/** The least precise of some types: nothing recorded resolves more. */
export function leastPrecise(found: Iterable<Precision | undefined>): Precision | undefined {
  const all = new Set(found);
  return precisions.find((name) => all.has(name));
}
