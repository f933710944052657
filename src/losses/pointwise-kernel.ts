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
const SCRATCH = 8192;

/** The plan of a kernel over single elements. */
export function pointwiseKernel(described: PointwiseKernel): KernelPlan {
  const { kernel, inputs, outputs, parameters = [], nanoseconds, perEntry } = described;
  const tables = [perEntry ? Float32Array.from(perEntry) : ones];
  const width = perEntry?.length ?? 1;
  return { kernel, inputs, outputs, parameters, nanoseconds, module: pointwiseModule, tables, width, scratch: SCRATCH };
}

const ones = /*#__PURE__*/ Float32Array.of(1);

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
