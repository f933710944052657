/**
 * Equality to the bit, written so that a failure can be read.
 *
 * Numbers become text that tells apart what `===` does not: NaN is NaN whatever its payload, −0 is not 0.
 */
import type { Tensor } from "../../src/index.js";

/** A number as text: one text for one bit pattern, NaN payloads aside. */
export function bits(value: number | bigint): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** A tensor as text, with its dtype and shape. */
export function tensorBits({ dtype, shape, data }: Tensor): string {
  return `${dtype} [${shape}] ${Array.from(data as ArrayLike<number | bigint>, bits).join(" ")}`;
}

/** What a computation returned, every number as text, for `toEqual` between two runs. */
export function resultBits(result: {
  readonly value: number;
  readonly numerator: number;
  readonly denominator: number;
  readonly gradients?: Readonly<Record<string, Tensor>>;
}): Record<string, string> {
  const { value, numerator, denominator, gradients = {} } = result;
  return {
    value: bits(value),
    numerator: bits(numerator),
    denominator: bits(denominator),
    ...Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [`d/d${name}`, tensorBits(gradient)])),
  };
}
