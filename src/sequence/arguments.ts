import { type ErrorCode, LosswrightError } from "../errors/index.js";
import { type Dtype, dataOf, formatShape, isTensor, placeOf, type Role, type Tensor } from "../tensor/index.js";

/** Shapes as the functions of this room write them: names for any length, numbers for the length they must have. */
export type WantedShape = readonly (string | number)[];

export function wrong(
  where: string,
  code: ErrorCode,
  field: string,
  found: string,
  expected: string,
  fix?: string,
  index?: readonly number[],
): LosswrightError {
  return new LosswrightError({ code, where, field, found, expected, ...(fix && { fix }), ...(index && { index }) });
}

/**
 * A tensor of token ids, labels, segment or word ids: integers of any dtype, or whole numbers written as a list.
 *
 * @throws `argument`, `role`, `dtype`, `shape`
 */
export function checkIntegers(where: string, field: string, given: unknown, ...shapes: readonly WantedShape[]): Tensor {
  const found = checkTensor(where, field, given, "classIndices", shapes);
  const { dtype, weak } = found;
  if (dtype === "int32" || dtype === "int64" || dtype === "uint8" || (dtype === "float64" && weak)) return found;
  throw wrong(where, "dtype", field, dtype, "integers: int32, int64 or uint8", "convert them to int32 or int64.");
}

/**
 * Segment ids, or an attention mask: rows of one document each.
 *
 * @throws `argument`, `role`, `dtype`, `shape`; `value` for a mask of other numbers than 0 and 1
 */
export function checkSegments(where: string, given: unknown, ...shapes: readonly WantedShape[]): Tensor {
  if (!isTensor(given) || (given.dtype !== "bool" && given.role !== "mask")) {
    return checkIntegers(where, "segmentIds", given, ...shapes);
  }
  checkFlags(where, "segmentIds", given, ...shapes);
  return given;
}

/**
 * Reads a tensor of 0 and 1, of any dtype.
 *
 * @throws `argument`, `role`, `shape`; `value` for another number
 */
export function checkFlags(
  where: string,
  field: string,
  given: unknown,
  ...shapes: readonly WantedShape[]
): (index: number) => boolean {
  const { data, shape } = checkTensor(where, field, given, "mask", shapes);
  for (let i = 0; i < data.length; i++) {
    const flag = Number(data[i]);
    if (flag === 0 || flag === 1) continue;
    const index = placeOf(i, shape);
    throw wrong(where, "value", field, `${flag} at ${formatShape(index)}`, "0 or 1", undefined, index);
  }
  return (index) => Number(data[index]) === 1;
}

function checkTensor(where: string, field: string, given: unknown, role: Role, shapes: readonly WantedShape[]): Tensor {
  if (!isTensor(given)) {
    const found = Array.isArray(given) ? "a list" : ArrayBuffer.isView(given) ? "a typed array" : typeof given;
    throw wrong(where, "argument", field, found, "a tensor", `wrap it: tensor(${field}).`);
  }
  if (given.role !== undefined && given.role !== "unlabeled" && given.role !== role) {
    throw wrong(where, "role", field, `a tensor that holds ${given.role}`, role);
  }
  const { shape } = given;
  const fits = (wanted: WantedShape) =>
    wanted.length === shape.length &&
    wanted.every((length, axis) => typeof length === "string" || length === shape[axis]);
  if (shapes.some(fits)) return given;
  throw wrong(where, "shape", field, formatShape(shape), shapes.map(formatShape).join(" or "));
}

/** Integers of a tensor as numbers. */
export function numbersOf({ data }: Tensor): (index: number) => number {
  return data instanceof BigInt64Array ? (index) => Number(data[index]) : (index) => data[index] as number;
}

/** A number as an element of a dtype's storage. */
export function elementOf(dtype: Dtype, value: number): number | bigint {
  return dtype === "int64" ? BigInt(value) : value;
}

/** Ids in the two dtypes that results are written in. */
export type Ids = Int32Array | BigInt64Array;

/**
 * A copy of ids: int64 as it is, anything else as int32.
 *
 * @throws `value` for a whole number of a list that int32 cannot hold
 */
export function idsOf(where: string, field: string, { data, dtype, shape }: Tensor): Ids {
  if (data instanceof BigInt64Array) return data.slice();
  const ids = dataOf("int32", data.length);
  ids.set(data);
  if (dtype !== "float64") return ids;
  const bad = data.findIndex((value, i) => value !== ids[i]);
  if (bad < 0) return ids;
  const index = placeOf(bad, shape);
  const found = `${data[bad]} at ${formatShape(index)}`;
  throw wrong(where, "value", field, found, "ids that int32 holds", "pass a BigInt64Array.", index);
}

/** @throws `option` for what is no whole number in the range */
export function checkWhole(
  where: string,
  field: string,
  value: unknown,
  least = -0x80000000,
  most = 0x7fffffff,
): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw wrong(where, "option", field, String(value), `a whole number from ${least} to ${most}`);
}

/** @throws `option` for what is no number in [0, 1] */
export function checkShare(where: string, field: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw wrong(where, "option", field, String(value), "a number in [0, 1]");
}

/** @throws `option` for what is none of the words */
export function checkWord<W extends string>(where: string, field: string, value: unknown, words: readonly W[]): W {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw wrong(
    where,
    "option",
    field,
    JSON.stringify(value) ?? typeof value,
    words.map((word) => `"${word}"`).join(" or "),
  );
}

/**
 * A tensor of scores: float32 or float64.
 *
 * @param roles - what it may be known to hold
 * @throws `argument`, `role`, `dtype`, `shape`
 */
export function checkReals(
  where: string,
  field: string,
  given: unknown,
  roles: readonly Role[],
  ...shapes: readonly WantedShape[]
): { readonly data: Float64Array | Float32Array; readonly shape: readonly number[] } {
  const role = roles.find((accepted) => accepted === (given as Partial<Tensor> | undefined)?.role) ?? roles[0]!;
  const { dtype, data, shape } = checkTensor(where, field, given, role, shapes);
  if (dtype === "float32" || dtype === "float64") return { data: data as Float64Array | Float32Array, shape };
  throw wrong(where, "dtype", field, dtype, "float32 or float64");
}
