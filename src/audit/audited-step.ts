import type { Contract, Reduction } from "../contract/index.js";
import type { LosswrightError } from "../errors/index.js";
import type { Reported, StepContext, StepRecord } from "../io/index.js";
import type { AnyBatch, Objective } from "../losses/index.js";
import type { Tally } from "../tally/index.js";
import type { Tensor } from "../tensor/index.js";
import type { Explanation } from "./explain/explain.js";
import type { Gradients } from "./explain/gradients.js";

/** A micro-batch, rank or shard of the step, or the step itself when it was recorded whole. */
export interface AuditedPart {
  readonly batch: AnyBatch;
  readonly reported: Reported;
  readonly context: StepContext;
  /** The rank that computed it, 0 when nobody said. */
  readonly rank: number;
}

/** What the contract gives on the recorded fields. */
export interface Declared {
  readonly contract: Contract;
  readonly value: number;
  readonly numerator: number;
  readonly denominator: number;
  /** The counted weight or number of groups, whatever divides. */
  readonly count: number;
  /** Each part's share of the gradient of the value. */
  readonly gradients: readonly Gradients[];
  /** What each part counts. */
  readonly tallies: readonly Counted[];
}

/** What a part counts: a tally, or what was kept of one. */
export type Counted = Tally | CountedPart;

/** The tally of a sampled step, as its recorder counted it. */
export interface CountedPart {
  readonly numerator: number;
  readonly denominator: { readonly value: number; readonly count: number; readonly isEmpty: boolean };
}

/**
 * A part as the search for explanations sees it. Pieces of the same rows are the joined rows under masks, a coupled
 * step is one part.
 */
export interface SearchedPart {
  readonly batch: AnyBatch;
  /** The part's context, with what the record says for all parts. */
  readonly context: StepContext;
  readonly rank: number;
  /** Reported gradients of the fields that the contract has a gradient for. */
  readonly reported: Readonly<Record<string, Tensor>>;
  readonly reportedGradients: Gradients | undefined;
  /** Of the whole, where the fields are a sample. */
  readonly denominator?: number;
  /** What would divide under another reduction, and perhaps another label shift, from the labels of the whole. */
  readonly denominatorUnder?: (reduction: Reduction, labelShift?: number) => number;
  /** The numerator of the units that a sample did not keep, under the contract. */
  readonly missing?: number;
  /** A sample's batch with every row of scores beside the label this many positions later. */
  readonly relabel?: (shift: number) => AnyBatch;
  /** How many positions of joined rows each piece holds. */
  readonly pieces?: readonly number[];
  /** The rows of a joined batch that each rank owns, where a coupled step was joined. */
  readonly rowsOfParts?: readonly number[];
}

/** A record with what its contract gives, and what was reported set against it. */
export interface AuditedStep {
  readonly record: StepRecord;
  readonly objective: Objective;
  /** The objective of the searched parts: the contract's, but for a sample, whose labels are shifted already. */
  readonly searchedObjective: Objective;
  readonly parts: readonly AuditedPart[];
  /** Undefined where the fields contradict the contract. */
  readonly searched: readonly SearchedPart[];
  /** The reported loss of the contract's own term; null where none was recorded. */
  readonly loss: number | null;
  /** Reported gradients of each part, of the fields that have one; undefined where a part recorded none. */
  readonly reported: readonly Gradients[] | undefined;
  readonly reportedSquare: number;
  /** Undefined where the fields contradict the contract, with the reason. */
  readonly declared: Declared | undefined;
  readonly contradiction: LosswrightError | undefined;
  /** How far apart two computations of this loss, and of its gradient, may lie. */
  readonly tolerance: Tolerance;
  /** A loss below this is compared as if it were this large: code in this precision does not resolve it. */
  readonly leastLoss: number;
  /** |declared − reported| / |reported|; in what float32 resolves where the loss is smaller than that. */
  readonly lossError: number;
  /** ‖declared − reported‖ / ‖reported‖ over all gradients, likewise; undefined where none were recorded. */
  readonly gradientError: number | undefined;
  /** Contracts and aggregations that reproduce what was reported, simplest first. */
  readonly explanations: readonly Explanation[];
}

/** Relative distances within which two numbers are taken for the same. */
export interface Tolerance {
  readonly loss: number;
  readonly gradient: number;
}

/** How far apart two float32 computations of one loss, and of one gradient, may lie. */
export const lossTolerance = 2e-5;
export const gradientTolerance = 2e-3;

/**
 * The same for the precision that a step says it was computed in. A loss in half precision is rounded to 11 bits
 * (bfloat16: 8) once and its terms before; a gradient entry likewise.
 */
export function toleranceOf({ computation }: StepContext): Tolerance {
  if (computation?.dtype === "float16") return { loss: 2e-3, gradient: 5e-3 };
  if (computation?.dtype === "bfloat16") return { loss: 1.5e-2, gradient: 2e-2 };
  return { loss: lossTolerance, gradient: gradientTolerance };
}

/**
 * What float32 code resolves in the loss of a unit and in an entry of its gradient: both are differences of numbers of
 * size one and more. For logits [40, 0, −3] it reports 0 where the truth is 4e−18, and nothing is wrong.
 */
export const resolution = 1.2e-7;

/** Whether the reported numbers are those of the contract. */
export function agrees({
  lossError,
  gradientError,
  tolerance,
}: Pick<AuditedStep, "lossError" | "gradientError" | "tolerance">): boolean {
  return lossError <= tolerance.loss && (gradientError === undefined || gradientError <= tolerance.gradient);
}

/** |found − wanted| / |wanted|, or over `least` where that is more; 0 where both are the same, NaN included. */
export function relative(found: number, wanted: number, least = Number.MIN_VALUE): number {
  if (Object.is(found, wanted) || found === wanted) return 0;
  return Math.abs(found - wanted) / Math.max(Math.abs(wanted), least);
}
