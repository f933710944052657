/** Ranks that divide by their own counts, or once too often. */
import type { Random } from "../../instruments/random.js";
import { unevenSizes } from "../chance.js";
import { multiLabel, regression } from "../elements.js";
import { language, piecesOfRows } from "../language.js";
import { classifier } from "../rows.js";
import { among, type CheckId, type Draft, type Story, wrongNumbers } from "../story.js";
import { apart, type Coefficients, over, overWeights, type Part, ranksApart, run, type Task, times } from "../task.js";

/** A step of ranks that hold unevenly many units. */
function rankStep(random: Random): Task {
  const count = random.integer(2, 4);
  const ranks = Array.from({ length: count }, (_, i) => i);
  const context = { ranks: count, combine: { ranks: "mean" as const } };
  const sizes = unevenSizes(random, count, 2, 8);
  const kind = random.integer(0, 4);
  if (kind <= 1) {
    const parts = sizes.map(() => ({ rows: random.integer(2, 3) }));
    return language(random, { parts, lossOn: "assistant", ranks, context }).step.task;
  }
  const draw = kind === 2 ? classifier : kind === 3 ? regression : multiLabel;
  return draw(random, { rows: sizes, ranks, context }).task;
}

const ownMeans = apart(overWeights, (parts) => parts.map(() => 1));
const rankMean = apart(overWeights, (parts) => parts.map(() => 1 / parts.length));

function combined(
  random: Random,
  task: Task,
  coefficients: Coefficients,
  story: string,
  tolerated: readonly CheckId[] = ["denominator"],
): Draft | undefined {
  const report = run({ ...task, coefficients }, { partLosses: ownMeans });
  return wrongNumbers(random, task, report, story, { tolerated, lossTells: true });
}

const averagedRanks: Story = (random) => {
  return combined(random, rankStep(random), rankMean, "Each rank averages its own units, and the ranks are averaged.");
};

const summedRanks: Story = (random) => {
  return combined(random, rankStep(random), ownMeans, "Each rank averages its own units, and the ranks are added.");
};

const averagedAgain: Story = (random) => {
  const task = rankStep(random);
  const story = "The count of all ranks divides, and the average over ranks divides again.";
  if (random.chance(0.6)) return combined(random, task, times(overWeights, 1 / task.parts.length), story);
  const report = run(task, { gradients: times(overWeights, 1 / task.parts.length), partLosses: ownMeans });
  return wrongNumbers(random, task, report, `${story} The logged loss is right.`, { tolerated: ["denominator"] });
};

const timesRanks: Story = (random) => {
  const task = rankStep(random);
  const story = "The loss is multiplied by the number of ranks, and nothing averages them.";
  return combined(random, task, times(overWeights, task.parts.length), story);
};

const averagedSums: Story = (random) => {
  const task = rankStep(random);
  return combined(random, task, over(task.parts.length), "Each rank sums its losses, and the ranks are averaged.");
};

const countedPerRank: Story = (random) => {
  const [ranks, micro] = [2, random.integer(2, 3)];
  const places = Array.from({ length: ranks * micro }, (_, i) => Math.floor(i / micro));
  const { step } = language(random, {
    parts: places.map(() => ({ rows: 2 })),
    lossOn: "assistant",
    ranks: places,
    context: { ranks, microBatches: micro, combine: { ranks: "mean", microBatches: "sum" } },
  });
  const parts = step.task.parts.map(
    (part, i): Part => ({ ...part, context: { ...part.context, microBatch: i % micro } }),
  );
  const task = { ...step.task, parts };
  const coefficients = times(ranksApart(overWeights, places), 1 / ranks);
  const story = "Micro-batches are counted over a rank, and the count is not summed over the ranks.";
  return combined(random, task, coefficients, story, ["denominator", "accumulation"]);
};

const piecesAveraged: Story = (random) => {
  const task = piecesOfRows(random);
  const [{ weights, ...part }] = task.parts;
  const { lengths } = task.shards!;
  const places = part.places!;
  const length = lengths.length * lengths[0];
  const pieceOf = (unit: number) => Math.floor((places[unit] % length) / lengths[0]);
  const counts = lengths.map((_, piece) => weights.filter((w, unit) => w > 0 && pieceOf(unit) === piece).length);
  if (counts.includes(0)) return undefined;
  const coefficients: Coefficients = () => [weights.map((w, unit) => w / counts[pieceOf(unit)] / lengths.length)];
  const report = run({ ...task, coefficients });
  return wrongNumbers(random, task, report, "Each rank averages its piece of the rows, and the ranks are averaged.", {
    tolerated: ["denominator"],
  });
};

export const distributedDenominator: Story = among([
  [4, averagedRanks],
  [2, summedRanks],
  [3, averagedAgain],
  [1, timesRanks],
  [1, averagedSums],
  [3, countedPerRank],
  [1, piecesAveraged],
]);
