import type { AuditedStep } from "./audited-step.js";
import type { Hypothesis } from "./explain/hypothesis.js";

export type Severity = "error" | "warning" | "note";

/** Numbers that a finding rests on, by name; lists are one entry a part. */
export type Evidence = Readonly<Record<string, number | string | readonly number[]>>;

/** What an audit has to say of a step. */
export interface Finding {
  /** The id of the check that found it. */
  readonly check: string;
  readonly severity: Severity;
  /** What is wrong, with the numbers. One sentence. */
  readonly message: string;
  /** What reproduces it, and what it does to the training. */
  readonly why?: string;
  readonly harm?: string;
  readonly evidence: Evidence;
  /** What to do, with code where code is the fix. */
  readonly fix: string;
}

/** One thing an audit looks for. */
export interface Check {
  readonly id: string;
  /** What code with this mistake would have computed, for the search for explanations to try. */
  hypotheses?(step: Omit<AuditedStep, "explanations">): readonly Hypothesis[];
  inspect(step: AuditedStep): readonly Finding[];
}
