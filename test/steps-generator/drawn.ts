/** A step drawn from chance: its data part by part, its code, and its task under this code or another. */
import type { StepContext } from "../../src/io/index.js";
import type { Precision } from "./rounding.js";
import {
  type Coefficients,
  type Intended,
  over,
  overCounts,
  overGroups,
  overWeights,
  type Part,
  type Task,
} from "./task.js";

/** What makes another task of the same fields. */
export interface Change<Data, Code> {
  readonly code?: Partial<Code>;
  readonly data?: (data: Data, part: number) => Data;
  readonly coefficients?: Coefficients;
}

/** Data, code, and the step that they are. */
export interface Drawn<Data, Code> {
  readonly data: readonly Data[];
  readonly code: Code;
  readonly task: Task;
  /** The step of other code or other data; recorded are the fields of this one. */
  with(change: Change<Data, Code>): Task;
}

export interface Frame {
  readonly intended: Intended;
  readonly precision?: Precision;
  readonly context?: StepContext;
  readonly ranks?: readonly number[];
  readonly shards?: Task["shards"];
  /** What the contract's reduction gives each unit, where {@link coefficientsOf} cannot know it. */
  readonly coefficients?: Coefficients;
}

/** Puts data and code into a frame. */
export function drawn<Data, Code>(
  build: (data: Data, code: Code, part: number) => Part,
  data: readonly Data[],
  code: Code,
  { intended, precision = "float32", context = {}, ranks, shards, coefficients: own }: Frame,
): Drawn<Data, Code> {
  const frame = { intended, precision, context, ...(ranks && { ranks }), ...(shards && { shards }) };
  const taskOf = ({ code: other, data: changed, coefficients }: Change<Data, Code>): Task => ({
    ...frame,
    parts: data.map((each, i) => build(changed ? changed(each, i) : each, { ...code, ...other }, i)),
    coefficients: coefficients ?? own ?? coefficientsOf(intended.reduction ?? {}),
  });
  return { data, code, task: taskOf({}), with: taskOf };
}

/** What a contract's reduction says that each unit counts. */
function coefficientsOf({ per = "token", divideBy = "weight" }: Readonly<Record<string, unknown>>): Coefficients {
  if (typeof divideBy === "object") return over((divideBy as { constant: number }).constant);
  if (per === "sequence") return overGroups;
  return divideBy === "count" ? overCounts : overWeights;
}
