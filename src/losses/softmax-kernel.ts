import { softmaxModule } from "../kernels/binaries/softmax.js";
import type { BatchView, KernelPlan } from "./definition.js";

/** What a kernel over rows of logits says of itself; `kernel` is the name of the loss. */
export interface SoftmaxKernel {
  readonly kernel: string;
  readonly inputs: readonly string[];
  /** The field of a class a row; `labels` without it, null for none. */
  readonly label?: string | null;
  readonly parameters?: readonly number[];
  readonly tables?: readonly (Float32Array | undefined)[];
  readonly flags?: number;
  /** Rows of the width that a thread needs in scratch. */
  readonly scratchRows: number;
  readonly nanosecondsPerClass: number;
}

/** What a call asks for; `assembly/softmax.ts` has the same. */
export const SoftmaxFlag = { adjusts: 1, weighs: 2, hasTargets: 4, few: 8 } as const;

/** The plan of a kernel over the rows of `logits`, with a label where it has one. */
export function softmaxKernel({ sizes }: BatchView<object>, kernel: SoftmaxKernel): KernelPlan {
  const { kernel: name, inputs, parameters = [], tables = [], flags = 0, label = "labels" } = kernel;
  const classes = sizes.K!;
  // Terms and references of blocks come before the rows, each padded to whole vectors.
  const scratch = 8192 + classes / 64 + kernel.scratchRows * (classes + 16) * 4;
  // Rows of few classes are computed in blocks, whose chains overlap.
  const nanoseconds = (flags & SoftmaxFlag.few ? 4 : 20) + kernel.nanosecondsPerClass * classes;
  return {
    module: softmaxModule,
    kernel: name,
    inputs,
    parameters,
    tables,
    flags,
    outputs: ["logits"],
    scratch: Math.ceil(scratch),
    nanoseconds,
    worksInPlace: true,
    label,
  };
}
