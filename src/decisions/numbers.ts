import { type ErrorCode, LosswrightError } from "../errors/index.js";
import { formatShape, isTensor, type NestedList, placeOf, type Role, type Tensor, tensor } from "../tensor/index.js";

/** What these functions take where a few numbers are asked: a tensor of any dtype, or a nested list. */
export type Numbers<R extends Role = never> = Tensor<R | "unlabeled"> | readonly NestedList[];

/** What numbers must be, with the words for an error. */
export interface Range {
  has(value: number): boolean;
  readonly words: string;
  readonly fix?: string;
}

export const unitInterval: Range = {
  has: (value) => value >= 0 && value <= 1,
  words: "a number in [0, 1]",
  fix: "pass labels of 0 and 1, or probabilities; of logits take the sigmoid or softmax first.",
};

/** Numbers read into float64, with their shape. */
export interface Read {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/**
 * A tensor, or a nested list made into one, of a role that fits.
 *
 * @param roles - what a labeled tensor may hold
 * @param fix - what to do about a tensor that holds something else
 * @throws `argument` for what is neither tensor nor list, `role` for a tensor of something else
 */
export function readTensor(where: string, field: string, given: unknown, roles: readonly Role[], fix?: string): Tensor {
  const found = Array.isArray(given) ? tensor(given as NestedList) : given;
  if (!isTensor(found)) {
    const words = ArrayBuffer.isView(given) ? "a typed array" : String(given);
    throw wrong(
      where,
      "argument",
      field,
      words,
      "a tensor or a nested list",
      `wrap it: ${field}: tensor(data, shape).`,
    );
  }
  if (found.role !== undefined && found.role !== "unlabeled" && !roles.includes(found.role)) {
    const expected = roles.join(" or ") || "unlabeled numbers";
    throw wrong(where, "role", field, `a tensor that holds ${found.role}`, expected, fix);
  }
  return found;
}

/**
 * Reads numbers and checks each of them.
 *
 * @param roles - what a labeled tensor may hold
 * @throws `argument` for what is neither tensor nor list, `role` for a tensor of something else, `value` for a number
 * out of range, with its place
 */
export function readNumbers(where: string, field: string, given: unknown, roles: readonly Role[], range: Range): Read {
  const found = readTensor(where, field, given, roles);
  const data = Float64Array.from(found.data as ArrayLike<number>, Number);
  const bad = data.findIndex((value) => !range.has(value));
  if (bad < 0) return { data, shape: found.shape };
  const index = placeOf(bad, found.shape);
  throw wrong(where, "value", field, `${data[bad]} at ${formatShape(index)}`, range.words, range.fix, index);
}

/** Counts of classes: `[K]`, each above 0. */
export function readCounts(where: string, counts: unknown): Float64Array {
  const { data, shape } = readNumbers(where, "counts", counts, [], {
    has: (value) => value > 0 && value < Number.POSITIVE_INFINITY,
    words: "a finite count above 0",
    fix: "a class without an example has no frequency to weigh by: merge it into another, or leave it out.",
  });
  if (shape.length === 1 && data.length > 0) return data;
  throw wrong(where, "shape", "counts", formatShape(shape), "[K], one count a class");
}

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
