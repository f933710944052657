import type { Session } from "./session.js";

/** What a kernel that computes a whole batch is given: units in order, what they weigh, and where results go. */
export interface BatchCall {
  readonly session: Session;
  /** 0 for a unit that is not read; without them every unit weighs 1. */
  readonly weights: Float64Array | undefined;
  /** What the gradient of each unit is multiplied by; undefined where no gradients are asked. */
  readonly factors: Float64Array | undefined;
  /** The gradients of the plan's outputs, to be written whole. */
  readonly outputs: readonly (Float32Array | undefined)[];
  /** Takes the unweighted loss of each unit that weighs something. */
  readonly losses: Float64Array;
  /** The index that the plan's `label` field gives each unit, checked where a unit weighs something. */
  readonly labels: Int32Array | undefined;
  /** Leaves a unit to the reference, which adds to gradients that units share and overwrites a unit's own. */
  odd(unit: number): void;
  /** Leaves the whole batch to the reference, whatever was written so far. */
  leaveAll(): void;
  /** Opens the reference for what it has to say of the batch itself. */
  open(): void;
}
