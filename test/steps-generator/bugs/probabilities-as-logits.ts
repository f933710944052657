/** Probabilities where logits belong: a second softmax or sigmoid inside, or one in front of the recorded field. */
import type { Random } from "../../instruments/random.js";
import { distillation } from "../distillation.js";
import { multiLabel } from "../elements.js";
import { language } from "../language.js";
import { classifier, type RowsStep } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import { reals } from "../task.js";

function rowsStepOf(random: Random): RowsStep {
  const kind = random.integer(0, 3);
  if (kind === 0) return language(random).step;
  if (kind === 1) return classifier(random, { focal: { gamma: 2 } });
  return classifier(random, kind === 2 ? { smoothing: 0.1 } : {});
}

const softmaxInside: Story = (random) => {
  const step = rowsStepOf(random);
  const wrong = step.with({ code: { loss: (tape, rows, units) => step.code.loss(tape, tape.softmax(rows), units) } });
  return wrongNumbers(random, step.task, wrong, "The module takes a softmax, and the loss its own of that.", {
    lossTells: true,
  });
};

const sigmoidInside: Story = (random) => {
  const step = multiLabel(random, random.chance(0.3) ? { focal: { gamma: 2, alpha: 0.25 } } : {});
  const wrong = step.with({
    code: { loss: (tape, outputs, data) => step.code.loss(tape, tape.sigmoid(outputs), data) },
  });
  return wrongNumbers(random, step.task, wrong, "The module takes a sigmoid, and the loss its own of that.", {
    lossTells: true,
  });
};

const softmaxInFront: Story = (random) => {
  const raw: Float64Array[] = [];
  const step = classifier(random, {
    scores: (scores, { classes }) => {
      raw.push(scores);
      return softmaxOf(scores, classes);
    },
  });
  const { classes, lead, precision } = step.data[0];
  const told = random.chance(0.3) && { outputs: { logits: reals(raw[0], [...lead, classes], precision) } };
  const story = "A model that ends in a softmax under a loss that takes logits.";
  return wrongFields(step.task, story, { context: { ...told } });
};

const sigmoidInFront: Story = (random) => {
  // Many scores are between 0 and 1 by no accident; of a few the model's own scores must tell.
  const told = random.chance(0.65);
  const raw: Float64Array[] = [];
  const step = multiLabel(random, {
    ...(!told && { rows: [random.integer(12, 20)], columns: random.integer(3, 5), scale: random.between(1.2, 2.5) }),
    outputs: (drawn) => {
      raw.push(drawn);
      return drawn.map((z) => Math.fround(1 / (1 + Math.exp(-z))));
    },
  });
  const { shape, precision } = step.data[0];
  const context = told ? { outputs: { logits: reals(raw[0], shape, precision) } } : {};
  return wrongFields(step.task, "A model that ends in a sigmoid under a loss that takes logits.", { context });
};

const likelihoodOfProbabilities: Story = (random) => {
  const step = classifier(random);
  const wrong = step.with({
    code: { loss: (tape, rows, { labels }) => tape.scale(tape.pick(tape.softmax(rows), labels), -1) },
  });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    "A likelihood loss that wants log-probabilities is given probabilities.",
  );
};

const studentProbabilities: Story = (random) => {
  const { step } = distillation(random);
  const wrong = step.with({ code: { loss: (tape, rows, units) => step.code.loss(tape, tape.softmax(rows), units) } });
  return wrongNumbers(random, step.task, wrong, "The student's softmax is softened once more.");
};

function softmaxOf(scores: Float64Array, classes: number): Float64Array {
  const out = new Float64Array(scores.length);
  for (let at = 0; at < scores.length; at += classes) {
    const row = scores.subarray(at, at + classes).map(Math.exp);
    const total = row.reduce((sum, x) => sum + x, 0);
    for (let k = 0; k < classes; k++) out[at + k] = Math.fround(row[k] / total);
  }
  return out;
}

export const probabilitiesAsLogits: Story = among([
  [4, softmaxInside],
  [3, sigmoidInside],
  [4, softmaxInFront],
  [2, sigmoidInFront],
  [1, likelihoodOfProbabilities],
  [1, studentProbabilities],
]);
