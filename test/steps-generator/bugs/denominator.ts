/** The right sum over the wrong divisor. */
import type { Random } from "../../instruments/random.js";
import { distillation, divergenceStep } from "../distillation.js";
import { multiLabel, regression } from "../elements.js";
import { frameStep, overLabels, overSymbols } from "../frames.js";
import { language } from "../language.js";
import { policy } from "../policy.js";
import { classifier, drawnClassWeights, drawnWeights } from "../rows.js";
import { among, type Story, wrongNumbers } from "../story.js";
import {
  type Coefficients,
  countOf,
  over,
  overCounts,
  overGroups,
  overSamples,
  overWeights,
  run,
  type Task,
  times,
} from "../task.js";

/** Another divisor under the same step. */
function divided(random: Random, task: Task, coefficients: Coefficients, story: string, lossTells = false) {
  return wrongNumbers(random, task, { ...task, coefficients }, story, { lossTells });
}

const sizeOf = (task: Task, field: string) => task.parts[0].fields[field].data.length;

const tokensForSequences: Story = (random) => {
  const { step } = language(random, { per: "sequence", told: random.chance(0.5) });
  return divided(random, step.task, overWeights, "Sequences should weigh alike; all tokens are averaged.", true);
};

const sequencesForTokens: Story = (random) => {
  const { step } = language(random, { told: random.chance(0.5) });
  return divided(random, step.task, overGroups, "Tokens should weigh alike; each sequence is averaged first.", true);
};

const classWeightsOut: Story = (random) => {
  const classes = random.integer(3, 6);
  const { task } = classifier(random, { classes, classWeights: drawnClassWeights(random, classes) });
  const story = "Class weights multiply the losses, and the number of samples divides.";
  return wrongNumbers(random, task, { ...task, coefficients: overCounts }, story, {
    tolerated: ["weighting-calibration"],
  });
};

const classWeightsIn: Story = (random) => {
  const classes = random.integer(3, 6);
  const classWeights = drawnClassWeights(random, classes);
  const { task } = classifier(random, { classes, classWeights, reduction: { divideBy: "count" } });
  const story = "The number of samples should divide; the sum of their class weights does.";
  return wrongNumbers(random, task, { ...task, coefficients: overWeights }, story, {
    tolerated: ["weighting-calibration"],
  });
};

const weightsOut: Story = (random) => {
  const weight = drawnWeights(random);
  const { task } = random.chance(0.5) ? classifier(random, { weight }) : regression(random, { weight });
  return divided(random, task, overCounts, "Weighted losses over the number of samples, not over their weights.");
};

const weightsIn: Story = (random) => {
  const { task } = classifier(random, { weight: drawnWeights(random), reduction: { divideBy: "count" } });
  return divided(random, task, overWeights, "Weighted losses over their weights, not over the number of samples.");
};

const maskedMean: Story = (random) => {
  if (random.chance(0.4)) {
    const { task } = regression(random, { mask: () => random.chance(0.6) });
    return divided(
      random,
      task,
      over(sizeOf(task, "targets")),
      "The mask multiplies, and the mean is over all elements.",
    );
  }
  const { step, shift } = language(random, { lossOn: "assistant" });
  const [rows, length] = step.data[0].lead;
  const positions = rows * (length - shift);
  return divided(random, step.task, over(positions), "The mask multiplies, and the mean is over all positions.");
};

const classMean: Story = (random) => {
  const kd = random.chance(0.6);
  const step = kd ? distillation(random, { labeled: false }).step : divergenceStep(random);
  const coefficients = times(overWeights, 1 / step.data[0].classes);
  const story = 'A divergence averaged over classes too, as reduction="mean" does.';
  return wrongNumbers(random, step.task, { ...step.task, coefficients }, story, {
    tolerated: kd ? ["temperature"] : [],
  });
};

const clamped: Story = (random) => {
  const size = random.between(0.005, 0.05);
  const weight = () => size * random.between(0.2, 1);
  const { task } = random.chance(0.5) ? classifier(random, { weight }) : regression(random, { weight });
  return divided(random, task, over(1), "A weight sum far below 1 is clamped at 1.");
};

const plainSum: Story = (random) => {
  const kind = random.integer(0, 2);
  const { task } = kind === 0 ? classifier(random) : kind === 1 ? multiLabel(random) : language(random).step;
  return divided(random, task, over(1), "The losses are summed and nothing divides.", true);
};

const samplesAndElements: Story = (random) => {
  if (random.chance(0.5)) {
    const { task } = regression(random, { reduction: { per: "sample" }, columns: random.integer(2, 5) });
    return divided(random, task, overWeights, "Each sample should be summed; the mean is over all elements.", true);
  }
  const { task } = random.chance(0.5) ? regression(random, { columns: 4 }) : multiLabel(random);
  return divided(random, task, overSamples, "The mean should be over all elements; each sample is summed.", true);
};

const labelLengths: Story = (random) => {
  const step = frameStep(random);
  const wrong = step.per === "sequence" ? random.pick([overWeights, overSymbols]) : random.pick([overLabels, over(1)]);
  return divided(random, step.task, wrong, "CTC losses over another length than the contract says.", true);
};

const batchSize: Story = (random) => {
  const { step } = language(random);
  return divided(random, step.task, over(step.data[0].lead[0]), "The sum over tokens is divided by the batch size.");
};

const policyReduction: Story = (random) => {
  const per = random.pick(["token", "sequence"] as const);
  const { task } = policy(random, { per });
  const wrong = per === "token" ? overGroups : overWeights;
  return divided(random, task, wrong, `Answers should be averaged by ${per}, and are not.`);
};

const policyConstant: Story = (random) => {
  const constant = random.integer(20, 60);
  const { task } = policy(random, { per: "token", divideBy: { constant } });
  return divided(random, task, overWeights, "A constant should divide the answers' tokens; their number does.");
};

const countedBeforeShift: Story = (random) => {
  const { step } = language(random, { shift: 1, lossOn: "all", told: random.chance(0.5) });
  const labels = step.data.flatMap((data) => [...data.labels]).filter((label) => label !== -100).length;
  const report = run({ ...step.task, coefficients: over(labels) });
  const story = "Labels are counted before the shift, which scores one less in each row.";
  return labels === countOf(step.task.parts) ? undefined : wrongNumbers(random, step.task, report, story);
};

export const denominator: Story = among([
  [2, tokensForSequences],
  [2, sequencesForTokens],
  [3, classWeightsOut],
  [1, classWeightsIn],
  [2, weightsOut],
  [1, weightsIn],
  [3, maskedMean],
  [2, classMean],
  [2, clamped],
  [2, plainSum],
  [2, samplesAndElements],
  [2, labelLengths],
  [1, batchSize],
  [2, policyReduction],
  [1, policyConstant],
  [1, countedBeforeShift],
]);
