/** What a drawn step is: a record, and what an audit should say of it. */
import type { StepRecord } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { distance, type RecordWishes, type Report, recordOf, run, type Task } from "./task.js";

/** What an audit looks for. */
export const checkIds = [
  "probabilities-as-logits",
  "label-dtype",
  "shape",
  "label-shift",
  "loss-mask",
  "denominator",
  "accumulation",
  "distributed-denominator",
  "weighting-calibration",
  "contrastive-offset",
  "gather-gradient",
  "score-normalization",
  "ctc-lengths",
  "ctc-blank",
  "ctc-layout",
  "metric-missing",
  "detached-modulation",
  "temperature",
  "smoothing",
  "non-finite",
] as const;

export type CheckId = (typeof checkIds)[number];

export interface Draft {
  readonly record: StepRecord;
  /** One sentence: what was done to it, or what makes a right step look like a wrong one. */
  readonly story: string;
  /** What may be found beside the bug. */
  readonly tolerated?: readonly CheckId[];
  /** Whether the bug contradicts the contract in loss or gradients, or stands in what fields and context say. */
  readonly shows?: "numbers" | "fields or context";
}

/** Draws a step; undefined where chance made one in which nothing is wrong after all. */
export type Story = (random: Random) => Draft | undefined;

/** A right step. */
export function right(task: Task, story: string, wishes: RecordWishes = {}): Draft {
  return { record: recordOf(task, run(task), wishes), story };
}

/** A bug that moves neither the loss nor the gradient by more than this is no bug that anybody could see. */
const discernible = { loss: 2e-3, gradient: 2e-2 };

function differ(one: Report, other: Report): boolean {
  const { loss, gradient } = distance(one, other);
  return loss > discernible.loss || gradient > discernible.gradient;
}

export interface FieldWishes extends RecordWishes, Pick<Draft, "tolerated"> {
  /** The step as it should have been, on the same leaves: fields that make no difference are no bug. */
  readonly against?: Task;
}

/** A step that follows its contract, on fields or in circumstances that do not do what was intended. */
export function wrongFields(
  task: Task,
  story: string,
  { tolerated = [], against, ...wishes }: FieldWishes = {},
): Draft | undefined {
  if (against && !differ(run(against), run(task))) return undefined;
  return { ...right(task, story, wishes), tolerated, shows: "fields or context" };
}

export interface WrongWishes extends RecordWishes, Pick<Draft, "tolerated"> {
  /** The loss alone tells the bug, so that now and then it is all that was recorded. */
  readonly lossTells?: boolean;
}

/** The fields of a right step with the numbers of other code; undefined where the two do not differ. */
export function wrongNumbers(
  random: Random,
  task: Task,
  wrong: Task | Report,
  story: string,
  { tolerated = [], lossTells = false, ...wishes }: WrongWishes = {},
): Draft | undefined {
  const report = "partLosses" in wrong ? wrong : run(wrong);
  const own = run(task);
  if (!differ(own, report)) return undefined;
  const alone = lossTells && distance(own, report).loss > 1e-2 && random.chance(0.12);
  return {
    record: recordOf(task, report, { ...wishes, ...(alone && { gradients: [] }) }),
    story,
    tolerated,
    shows: "numbers",
  };
}

/** One of several stories, those with a larger share more often. */
export function among(stories: readonly (readonly [share: number, story: Story])[]): Story {
  const all = stories.reduce((sum, [share]) => sum + share, 0);
  return (random) => {
    let at = random.next() * all;
    for (const [share, story] of stories) {
      at -= share;
      if (at < 0) return story(random);
    }
    return stories.at(-1)![1](random);
  };
}
