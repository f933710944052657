/**
 * Tables of calls that are refused: what is wrong, the call, and what the error says: its code, its field, and a
 * phrase of its message: of the fix, or of what was expected where nothing is to be fixed but the call.
 */
import { expect, it } from "vitest";
import { type ErrorCode, LosswrightError, tensor } from "../../src/index.js";

export type Refusal = readonly [
  what: string,
  act: () => unknown,
  code: ErrorCode,
  field: string | undefined,
  says: RegExp,
];

/** One test a row. */
export function refuses(table: readonly Refusal[]): void {
  it.each(table.map((row) => [...row] as const))("%s", (_what, act, code, field, says) => {
    const error = errorOf(act);
    expect(error).toBeInstanceOf(LosswrightError);
    const { code: foundCode, field: foundField, message } = error as LosswrightError;
    expect({ code: foundCode, field: foundField }).toEqual({ code, field });
    expect(message).toMatch(says);
  });
}

/** What a call throws, or undefined. */
export function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Types would stop most of these calls; JavaScript does not. */
// biome-ignore lint/suspicious/noExplicitAny: the inputs are wrong on purpose
export const wrong = (value: unknown): any => value;

const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/** A float32 tensor of zeros. */
export const zeros = (...shape: number[]) => tensor(new Float32Array(sizeOf(shape)), shape);

/** An int32 tensor: of these numbers, or of zeros. */
export const ints = (shape: number[], ...data: number[]) =>
  tensor(data.length ? Int32Array.from(data) : new Int32Array(sizeOf(shape)), shape);
