import { pointwiseModule } from "../kernels/binaries/pointwise.js";
import type { KernelPlan } from "./definition.js";

/** What every kernel of single elements has in common; `kernel` is the name of the loss. */
export interface PointwiseKernel {
  readonly kernel: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly parameters?: readonly number[];
  readonly nanoseconds: number;
  /** A factor an entry of the last axis; one for all without it. */
  readonly perEntry?: readonly number[];
}

/** Bytes of terms, slopes and tails; `assembly/pointwise.ts`. */
const SCRATCH = 4096;

/** The plan of a kernel over single elements. */
export function pointwiseKernel({ perEntry = [1], ...kernel }: PointwiseKernel): KernelPlan {
  const tables = [Float32Array.from(perEntry)];
  return { ...kernel, module: pointwiseModule, tables, width: perEntry.length, scratch: SCRATCH };
}

/**
 * Options as parameters of a float32 kernel, or why they are none: beyond these bounds their squares and reciprocals
 * would leave the range of float32, and the reference computes.
 */
export function float32Parameters(options: Readonly<Record<string, number>>): readonly number[] | string {
  for (const [name, value] of Object.entries(options)) {
    if (!(Math.abs(value) >= 1e-15 && Math.abs(value) <= 1e15)) return `${name} is ${value}, too far out for float32`;
  }
  return Object.values(options);
}
