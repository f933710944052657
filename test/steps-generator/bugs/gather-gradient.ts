/** Gathered embeddings whose gradient is cut, or comes back more than once. */
import type { Random } from "../../instruments/random.js";
import { pairs, type SearchCode, search } from "../embeddings.js";
import { among, type Draft, type Story, wrongNumbers } from "../story.js";
import { type Report, run, type Task } from "../task.js";

/** The gradients of gathered rows times a factor; that of the scale does not come through the gather. */
function multiplied(random: Random, task: Task, factor: number, story: string): Draft | undefined {
  const own = run(task);
  const gradients = own.gradients.map(({ logScale, ...rows }) => ({
    ...Object.fromEntries(Object.entries(rows).map(([name, g]) => [name, g.map((x) => x * factor)])),
    logScale,
  }));
  const report: Report = { ...own, gradients };
  const tolerated = ["distributed-denominator"] as const;
  return wrongNumbers(random, task, report, story, { tolerated, gradients: recordedOf(random) });
}

/** The gradient of the scale is recorded or not. */
function recordedOf(random: Random): string[] {
  return random.chance(0.5) ? ["images", "texts"] : ["images", "texts", "logScale"];
}

const comesBackFromAll: Story = (random) => {
  const { task, ranks } = pairs(random, { ranks: random.integer(2, 4) });
  const story = "Every rank computes the whole loss, and the backward pass of the gather sums what is the same on all.";
  return multiplied(random, task, ranks, story);
};

const cutAndAveraged: Story = (random) => {
  const { task, ranks } = pairs(random, { ranks: random.integer(2, 4) });
  const story = "Every rank computes the whole loss with a gradient for its own rows, and the ranks are averaged.";
  return multiplied(random, task, 1 / ranks, story);
};

const localLoss: Story = (random) => {
  const { task, owners, ...step } = pairs(random, { ranks: random.integer(2, 4) });
  const keepsOwn = random.chance(0.5);
  const wrong = step.with({ code: { cut: { owners, keepsOwn } } });
  const story = keepsOwn
    ? "Each rank scores its own rows; what it gathered has no way back but for its own."
    : "Each rank scores its own rows; what it gathered has no way back.";
  return wrongNumbers(random, task, wrong, story, { gradients: recordedOf(random) });
};

const keysCut: Story = (random) => {
  const all = random.chance(0.4);
  const step = search(random, { ...(all && { recorded: "all" as const }) });
  const { rank = 0 } = step.task.context;
  const { ranks, rows } = step;
  const ownsRow = (data: Parameters<NonNullable<SearchCode["labelsOf"]>>[0], part: number) => {
    const owner = all ? part : rank;
    return Array.from({ length: ranks * rows }, (_, row) => Math.floor(row / rows) === owner).flatMap((own) =>
      new Array<number>(data.width).fill(Number(own)),
    );
  };
  const nothing = !all && random.chance(0.4);
  const wrong = step.with({
    code: {
      gather: (tape, keys, data, part) => {
        if (nothing) return tape.detach(keys);
        const fixed = tape.detach(keys);
        const back = tape.minus(keys, tape.detach(keys));
        return tape.plus(fixed, tape.where(ownsRow(data, part), back));
      },
    },
  });
  const story = nothing
    ? "The gathered keys have no way back: their gradient is zero."
    : "The gathered keys have a way back for the rank's own rows alone.";
  return wrongNumbers(random, step.task, wrong, story);
};

export const gatherGradient: Story = among([
  [3, comesBackFromAll],
  [2, cutAndAveraged],
  [3, localLoss],
  [4, keysCut],
]);
