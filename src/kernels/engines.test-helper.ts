/** One objective on both engines: kernels against the reference. */
import { expect } from "vitest";
import { tensorBits } from "../../test/instruments/bits.js";
import type { Objective, Tensor } from "../index.js";

export type Batch = Readonly<Record<string, Tensor | number>>;

/** How far kernels may be from the reference. */
export interface Distance {
  /** Of the value, relative to it. */
  readonly value: number;
  /** Of gradients and losses of units, relative to the largest of their tensor. */
  readonly entries: number;
}

/** Values within 1e-6, gradients within 1e-5: what float32 kernels promise. */
export const promised: Distance = { value: 1e-6, entries: 1e-5 };

/** Runs a batch on both engines and compares value, gradients, losses of units and notes; returns the kernels' result. */
export function expectSame(objective: Objective, batch: Batch, { value, entries }: Distance = promised) {
  const [reference, kernels] = [objective.withEngine("reference"), objective.withEngine("wasm")];
  const [wanted, found] = [reference.valueAndGradients(batch as never), kernels.valueAndGradients(batch as never)];
  expect(found.ranBy).toBe("wasm");
  expectClose("value", [found.value], [wanted.value], value);
  expect(found.denominator).toBe(wanted.denominator);
  expect(Object.keys(found.gradients)).toEqual(Object.keys(wanted.gradients));
  for (const [name, gradient] of Object.entries(wanted.gradients)) {
    const other = found.gradients[name] as Tensor;
    expect([other.dtype, other.shape]).toEqual([gradient.dtype, gradient.shape]);
    expectClose(`d/d${name}`, other.data, gradient.data, entries);
  }
  const ofUnits = kernels.perUnit(batch as never);
  expectClose("perUnit", ofUnits.data, reference.perUnit(batch as never).data, entries);
  expect(found.notes).toEqual(wanted.notes);
  const { gradients: _, ...value0 } = found;
  expect(kernels.evaluate(batch as never).value).toBe(value0.value);
  return found;
}

/** Whether two rows of numbers are the same but for a part of the largest; what is not finite is the same. */
function expectClose(
  what: string,
  found: ArrayLike<number | bigint>,
  wanted: ArrayLike<number | bigint>,
  part: number,
) {
  const [a, b] = [Array.from(found, Number), Array.from(wanted, Number)];
  const largest = b.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
  const wrong = b.findIndex((x, i) => !(Object.is(x, a[i]) || Math.abs(x - a[i]!) <= part * largest));
  expect(wrong < 0 ? "" : `${what}[${wrong}] is ${a[wrong]}, not ${b[wrong]}; the largest is ${largest}`).toBe("");
}

/** A result as text, every bit of it. */
export function allBits({ value, gradients }: { value: number; gradients: Readonly<Record<string, Tensor>> }): string {
  return [String(value), ...Object.values(gradients).map(tensorBits)].join("\n");
}
