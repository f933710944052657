/** Micro-batches put together otherwise than as one sum over one count. */
import type { Random } from "../../instruments/random.js";
import { unevenSizes } from "../chance.js";
import { multiLabel, regression } from "../elements.js";
import { language } from "../language.js";
import { inMicroBatches } from "../parts.js";
import { classifier, drawnClassWeights } from "../rows.js";
import { among, type CheckId, type Draft, type Story, wrongNumbers } from "../story.js";
import { apart, type Coefficients, over, overWeights, run, type Task, times } from "../task.js";

/** A step of micro-batches that hold unevenly many units. */
function microBatches(random: Random): Task {
  const count = random.integer(2, 5);
  const sizes = unevenSizes(random, count, 2, 8);
  const kind = random.integer(0, 4);
  if (kind <= 1) {
    const { step } = language(random, {
      parts: sizes.map(() => ({ rows: random.integer(2, 3) })),
      lossOn: "assistant",
    });
    return inMicroBatches(random, step.task);
  }
  const draw = kind === 2 ? classifier : kind === 3 ? regression : multiLabel;
  return inMicroBatches(random, draw(random, { rows: sizes }).task);
}

const ownMeans = apart(overWeights, (parts) => parts.map(() => 1));
const meanOfMeans = apart(overWeights, (parts) => parts.map(() => 1 / parts.length));

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

const averagedMeans: Story = (random) => {
  return combined(
    random,
    microBatches(random),
    meanOfMeans,
    "Each micro-batch is averaged, and the averages are averaged.",
    [],
  );
};

const weightedMeans: Story = (random) => {
  const classes = random.integer(3, 5);
  const rows = unevenSizes(random, random.integer(2, 4), 4, 8);
  const { task } = classifier(random, { rows, classes, classWeights: drawnClassWeights(random, classes) });
  const story = "With class weights each micro-batch divides by its own weight sum, and the averages are averaged.";
  return combined(random, inMicroBatches(random, task), meanOfMeans, story, ["denominator", "weighting-calibration"]);
};

const summedMeans: Story = (random) => {
  return combined(random, microBatches(random), ownMeans, "The means of the micro-batches add up.");
};

const dividedTwice: Story = (random) => {
  const task = microBatches(random);
  const coefficients = times(overWeights, 1 / task.parts.length);
  return combined(
    random,
    task,
    coefficients,
    "The count of the whole step divides, and the number of micro-batches again.",
  );
};

const summedSums: Story = (random) => {
  return combined(random, microBatches(random), over(1), "The sums of the micro-batches add up, and nothing divides.");
};

const averagedSums: Story = (random) => {
  const task = microBatches(random);
  return combined(
    random,
    task,
    over(task.parts.length),
    "The sums of the micro-batches are averaged over their number.",
  );
};

const loggedRight: Story = (random) => {
  const task = microBatches(random);
  const report = run(task, { gradients: meanOfMeans, partLosses: ownMeans });
  const story = "The logged loss is that of the whole step, the gradient that of averaged averages.";
  return wrongNumbers(random, task, report, story);
};

const wiped: Story = (random) => {
  const task = microBatches(random);
  const last: Coefficients = (parts) =>
    overWeights(parts).map((row, i) => (i === parts.length - 1 ? row : row.map(() => 0)));
  const report = run(task, { gradients: last, partLosses: ownMeans });
  return wrongNumbers(
    random,
    task,
    report,
    "Gradients are set to zero before every micro-batch: the last one remains.",
  );
};

export const accumulation: Story = among([
  [4, averagedMeans],
  [2, weightedMeans],
  [3, summedMeans],
  [2, dividedTwice],
  [1, summedSums],
  [1, averagedSums],
  [2, loggedRight],
  [1, wiped],
]);
