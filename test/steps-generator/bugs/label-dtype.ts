/** Labels and targets of the wrong type: what is cut off, rounded, or cast on the way to the loss. */
import type { Random } from "../../instruments/random.js";
import { written } from "../chance.js";
import { multiLabel, regression } from "../elements.js";
import { roundTo } from "../rounding.js";
import { classifier } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import { integers, reals } from "../task.js";

/** Scores between 0 and 5 with decimals, as annotators' means have them. */
const rating = (random: Random) => () => written(random, 0, 5);

const integerTargets: Story = (random) => {
  const step = regression(random, { target: rating(random) });
  const [data] = step.data;
  const cut = Array.from(data.targets, Math.trunc);
  const recorded = { targets: integers(cut, data.shape, random.pick(["int64", "int32"])) };
  const task = step.with({ data: (own) => ({ ...own, targets: cut, recorded }) });
  return wrongFields(task, "Ratings with decimals, cast to whole numbers by the data loader.", { against: step.task });
};

const truncatedTargets: Story = (random) => {
  const step = regression(random, { target: rating(random) });
  const wrong = step.with({ data: (data) => ({ ...data, targets: Array.from(data.targets, Math.trunc) }) });
  return wrongNumbers(random, step.task, wrong, "Ratings with decimals, cast to whole numbers inside the loss.", {
    lossTells: true,
  });
};

const integerSoftTargets: Story = (random) => {
  const step = multiLabel(random, { soft: true });
  const cut = Array.from(step.data[0].targets, Math.trunc);
  const recorded = { targets: integers(cut, step.data[0].shape) };
  const task = step.with({ data: (own) => ({ ...own, targets: cut, recorded }) });
  return wrongFields(task, "Shares of annotators, cast to whole numbers: all but full agreement becomes no.", {
    against: step.task,
  });
};

const truncatedSoftTargets: Story = (random) => {
  const step = multiLabel(random, { soft: true });
  const wrong = step.with({ data: (data) => ({ ...data, targets: Array.from(data.targets, Math.trunc) }) });
  return wrongNumbers(random, step.task, wrong, "Shares of annotators, cast to whole numbers inside the loss.", {
    lossTells: true,
  });
};

const floatLabels: Story = (random) => {
  const step = classifier(random, { context: { framework: "keras" } });
  const [{ labels, lead }] = step.data;
  const recorded = { labels: reals(labels, lead) };
  return wrongFields(
    step.with({ data: (data) => ({ ...data, recorded }) }),
    "Class labels read from a table as floats.",
  );
};

const halfLabels: Story = (random) => {
  const half = random.chance(0.3) ? "float16" : "bfloat16";
  const classes = half === "float16" ? random.integer(2200, 2500) : random.integer(300, 420);
  const step = classifier(random, { classes, rows: [random.integer(5, 8)], margin: 3 });
  const through = (label: number) => Math.min(classes - 1, roundTo(half, label));
  const wrong = step.with({ data: (data) => ({ ...data, labels: data.labels.map(through) }) });
  return wrongNumbers(random, step.task, wrong, `The whole batch was cast to ${half}, token ids too.`);
};

export const labelDtype: Story = among([
  [4, integerTargets],
  [3, truncatedTargets],
  [2, integerSoftTargets],
  [2, truncatedSoftTargets],
  [2, floatLabels],
  [2, halfLabels],
]);
