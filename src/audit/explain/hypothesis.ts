import type { ContractInput, Json } from "../../contract/index.js";

/**
 * A change to the fields, the loss or its gradient, as data: what a record's numbers were computed with instead of
 * what was recorded. `docs/explanations.md` lists them; {@link transformed} carries them out.
 */
export interface Transform {
  /** The name of the change: `"softmax"`, `"scaleLoss"`, … */
  readonly apply: string;
  readonly field?: string;
  readonly value?: Json;
}

/** One way in which a step may have been computed otherwise than its contract says. */
export interface Hypothesis {
  /** The check that this would be a finding of; `"none"` for what is no mistake. */
  readonly about: string;
  /** What was computed, in words: completes "The numbers are those of …". */
  readonly words: string;
  /** The contract the numbers would follow; the declared one without it. */
  readonly contract?: ContractInput;
  readonly transform?: readonly Transform[];
  /** How much it takes to believe it, 1 where nothing is said: simpler ones are listed first. */
  readonly cost?: number;
}
