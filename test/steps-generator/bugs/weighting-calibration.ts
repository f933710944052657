/** Weights that moved the probabilities and are forgotten when these are read, or that act otherwise than declared. */
import type { MetricContext, StepContext } from "../../../src/io/index.js";
import type { Random } from "../../instruments/random.js";
import { positives, written } from "../chance.js";
import { binaryFocal, columnsOf, multiLabel } from "../elements.js";
import { binaryCrossEntropy, focal } from "../losses.js";
import { classifier, drawnClassWeights } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import type { Part, Task } from "../task.js";

// ------------------------------------------------------------------------------------------------ circumstances

function uncorrected(random: Random, reads: string): { metric: MetricContext } {
  return {
    metric: {
      name: random.pick(["expectedCalibrationError", "logLoss", "brierScore"]),
      value: written(random, 0.05, 0.5),
      of: "validation",
      reads,
      correctedForWeights: false,
    },
  };
}

/** Half of the labels decided at one half, half of the probabilities read as they are. */
function forgotten(random: Random, reads: string): StepContext {
  const decision = { threshold: 0.5, tuned: false };
  const kind = random.integer(0, 2);
  if (kind === 0) return uncorrected(random, reads);
  if (kind === 1) return { metric: { name: "f1", value: written(random, 0.2, 0.8), of: "validation" }, decision };
  return { ...uncorrected(random, reads), decision };
}

const posWeights = (random: Random, columns: number) =>
  positives(random, columns, 3, 25).map((w) => Math.round(w * 2) / 2);

const weightedLabels: Story = (random) => {
  const columns = random.integer(2, 5);
  const context = forgotten(random, "sigmoid(logits)");
  const { task } = multiLabel(random, { columns, posWeight: posWeights(random, columns), context });
  return wrongFields(task, "Weighted labels whose probabilities are read as if nothing had been weighted.");
};

const weightedClasses: Story = (random) => {
  const classes = random.integer(3, 6);
  const context = uncorrected(random, "softmax(logits)");
  const { task } = classifier(random, { classes, classWeights: drawnClassWeights(random, classes), context });
  return wrongFields(task, "Weighted classes whose probabilities are read as they are.");
};

const focalProbabilities: Story = (random) => {
  const gamma = random.pick([2, 3]);
  if (random.chance(0.5)) {
    const context = forgotten(random, "sigmoid(logits)");
    const { task } = multiLabel(random, { focal: { gamma, alpha: 0.25 }, context });
    return wrongFields(task, "The binary focal loss, its outputs read as probabilities.");
  }
  const { task } = classifier(random, { focal: { gamma }, context: uncorrected(random, "softmax(logits)") });
  return wrongFields(task, "The focal loss, its outputs read as probabilities.");
};

// ------------------------------------------------------------------------------------------------ numbers

const weightInside: Story = (random) => {
  const classes = random.integer(3, 5);
  const alpha = drawnClassWeights(random, classes).map((w) => Math.round(50 * w) / 100);
  const gamma = random.pick([1, 2]);
  const step = classifier(random, { classes, focal: { gamma, alpha } });
  const wrong = step.with({
    code: {
      loss: (tape, logits, { labels }) =>
        focal(tape, logits, labels, { gamma, alpha: labels.map((label) => alpha[label]), weightInside: true }),
    },
  });
  const story = "p is taken as exp(−loss) after the class weight has multiplied the loss.";
  return wrongNumbers(random, step.task, wrong, story, { tolerated: ["detached-modulation"] });
};

const alphaTwiceOrNever: Story = (random) => {
  const classes = random.integer(3, 5);
  const alpha = drawnClassWeights(random, classes);
  const gamma = random.pick([1, 2]);
  const step = classifier(random, { classes, focal: { gamma, alpha } });
  const power = random.pick([0, 2]);
  const wrong = step.with({
    code: {
      loss: (tape, logits, { labels }) =>
        focal(tape, logits, labels, { gamma, alpha: labels.map((label) => alpha[label] ** power) }),
    },
  });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    `Class weights of the focal loss act ${power === 0 ? "never" : "twice"}.`,
    {
      tolerated: ["denominator"],
    },
  );
};

/** The numerator's weights to a power, the divisor as declared or made of them. */
function powered(task: Task, power: number, inDivisor: boolean): Task {
  const change = (part: Part): Part => ({ ...part, weights: part.weights.map((w) => (w === 0 ? 0 : w ** power)) });
  const parts = task.parts.map(change);
  if (inDivisor) return { ...task, parts };
  return {
    ...task,
    parts,
    coefficients: () =>
      task
        .coefficients(task.parts)
        .map((row, i) =>
          row.map((c, unit) =>
            task.parts[i].weights[unit] === 0 ? 0 : (c / task.parts[i].weights[unit]) * parts[i].weights[unit],
          ),
        ),
  };
}

const classWeightsTwiceOrNever: Story = (random) => {
  const classes = random.integer(3, 6);
  const { task } = classifier(random, { classes, classWeights: drawnClassWeights(random, classes) });
  const never = random.chance(0.5);
  const wrong = never ? powered(task, 0, true) : powered(task, 2, random.chance(0.5));
  return wrongNumbers(
    random,
    task,
    wrong,
    never ? "The class weights never reach the loss." : "Class weights act twice.",
    {
      tolerated: ["denominator"],
    },
  );
};

const posWeightOtherwise: Story = (random) => {
  const columns = random.integer(2, 5);
  const posWeight = posWeights(random, columns);
  const step = multiLabel(random, { columns, posWeight });
  const [kind, story] = random.pick([
    ["inverted", "Positives over negatives where negatives over positives were meant."],
    ["negatives", "The weight of positives acts on negatives."],
    ["squared", "The weight of positives acts twice."],
    ["never", "The weight of positives never reaches the loss."],
  ] as const);
  const weights =
    kind === "inverted" ? posWeight.map((w) => 1 / w) : kind === "squared" ? posWeight.map((w) => w * w) : posWeight;
  const wrong = step.with({
    code: {
      loss: (tape, outputs, { targets }) => {
        const each = columnsOf(weights, outputs.data.length);
        const code = kind === "never" ? {} : kind === "negatives" ? { negWeight: each } : { posWeight: each };
        return binaryCrossEntropy(tape, outputs, targets, code);
      },
    },
  });
  return wrongNumbers(random, step.task, wrong, story);
};

const alphaSwapped: Story = (random) => {
  const gamma = random.pick([1, 2]);
  const step = multiLabel(random, { focal: { gamma, alpha: 0.25 } });
  const alpha = random.pick([0.75, null]);
  const wrong = step.with({
    code: { loss: (tape, outputs, { targets }) => binaryFocal(tape, outputs, targets, { gamma, alpha }) },
  });
  const story =
    alpha === null ? "Alpha of the focal loss never acts." : "Alpha acts on negatives, 1 − alpha on positives.";
  return wrongNumbers(random, step.task, wrong, story, { tolerated: ["denominator"] });
};

export const weightingCalibration: Story = among([
  [4, weightedLabels],
  [3, weightedClasses],
  [3, focalProbabilities],
  [2, weightInside],
  [1, alphaTwiceOrNever],
  [2, classWeightsTwiceOrNever],
  [3, posWeightOtherwise],
  [1, alphaSwapped],
]);
