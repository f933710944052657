import { LosswrightError } from "../../errors/index.js";
import type { StepContext } from "../../io/index.js";
import type { AnyBatch, Objective } from "../../losses/index.js";
import type { Tensor } from "../../tensor/index.js";

export type Fields = Readonly<Record<string, Tensor>>;

/** A part of a record, as transforms see it. */
export interface Setting {
  readonly objective: Objective;
  readonly batch: AnyBatch;
  readonly context: StepContext;
  /** Reported gradients of the fields. */
  readonly reported: Fields;
  /** A sample's batch with every row of scores beside the label this many positions later. */
  readonly relabel?: (shift: number) => AnyBatch;
  /** How many positions of joined rows each piece holds. */
  readonly pieces?: readonly number[];
  /** How many rows of a joined coupled batch each part holds. */
  readonly rowsOfParts?: readonly number[];
}

/** The error of a record that lacks what a transform needs. */
export function lacking({ objective }: Setting, what: string): LosswrightError {
  return new LosswrightError({
    code: "unsupported",
    where: objective.name,
    found: `a record without ${what}`,
    expected: `${what}, which this explanation needs`,
  });
}
