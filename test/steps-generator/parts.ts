/** Steps in parts: what recorded steps of micro-batches and ranks have in common. */
import type { StepContext } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { flags, integers, type Task } from "./task.js";

/** The same step with nothing to learn in one part: prompts that fill their rows, no answer. */
export function emptied(task: Task, part: number): Task {
  const parts = task.parts.map((own, i) => {
    if (i !== part) return own;
    const { labels } = own.fields;
    const ignored = new Array<number>(labels.data.length).fill(-100);
    const none = own.weights.map(() => 0);
    return {
      ...own,
      fields: { ...own.fields, labels: integers(ignored, labels.shape) },
      weights: none,
      counted: none,
      ...(own.context && { context: withoutAnswers(own.context) }),
    };
  });
  return { ...task, parts };
}

function withoutAnswers(context: StepContext): StepContext {
  const { sequence } = context;
  if (!sequence?.roles) return context;
  const roles = Uint8Array.from(sequence.roles.data as Uint8Array, (role) => Math.min(role, 1));
  return { ...context, sequence: { ...sequence, roles: flags(roles, sequence.roles.shape) } };
}

/** Parts as micro-batches, said or not. */
export function inMicroBatches(random: Random, task: Task): Task {
  const said = random.chance(0.6);
  const parts = task.parts.map((part, i) => (said ? { ...part, context: { ...part.context, microBatch: i } } : part));
  return { ...task, parts, context: { ...task.context, microBatches: parts.length } };
}
