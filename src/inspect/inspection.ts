import type { Contract } from "../contract/index.js";
import type { AlignmentBatch } from "./alignment-batch.js";
import type { TokenBatch } from "./token-batch.js";

/** A batch as it can be shown: positions with labels of their own, or sequences that are aligned with frames. */
export type InspectedBatch = TokenBatch | AlignmentBatch;

/** What a person is shown of a step or of an array of labels: data alone, for every view. */
export interface Inspection {
  readonly name: string;
  /** What the step was, where the record says it. */
  readonly task: string | null;
  /** What decides which positions count, in words. */
  readonly rule: string;
  readonly contract: Contract | null;
  /** The step's batch, or one batch a part. */
  readonly batches: readonly InspectedBatch[];
}
