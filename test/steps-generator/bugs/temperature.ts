/** Temperatures that act twice, never, the other way round, or without their square. */
import { distillation } from "../distillation.js";
import { pairs, search } from "../embeddings.js";
import { crossEntropy } from "../losses.js";
import { classifier } from "../rows.js";
import { among, type Story, wrongNumbers } from "../story.js";

const squareMissing: Story = (random) => {
  const { step, code, loss } = distillation(random);
  const factor = random.chance(0.75) ? 1 : code.temperature;
  const wrong = step.with({ code: { loss: loss({ factor }) } });
  const story = factor === 1 ? "The soft part lacks T²." : "The soft part has T where T² was declared.";
  return wrongNumbers(random, step.task, wrong, story, { tolerated: ["denominator"] });
};

const squareAdded: Story = (random) => {
  const { step, code, loss } = distillation(random, { scaled: false });
  const wrong = step.with({ code: { loss: loss({ factor: code.temperature ** 2 }) } });
  return wrongNumbers(random, step.task, wrong, "The soft part has T², which the contract leaves out.", {
    tolerated: ["denominator"],
  });
};

const oneSideOnly: Story = (random) => {
  const { step, loss } = distillation(random);
  const student = random.chance(0.5);
  const wrong = step.with({ code: { loss: loss(student ? { teacherTemperature: 1 } : { temperature: 1 }) } });
  return wrongNumbers(random, step.task, wrong, `Only the ${student ? "student" : "teacher"} is softened.`);
};

/** How often a temperature divides: never, twice, or once the wrong way. */
const manners = [
  { power: 0, words: "never acts" },
  { power: 2, words: "acts twice" },
  { power: -1, words: "multiplies" },
] as const;

const similarities: Story = (random) => {
  const { power, words } = random.pick(manners);
  const step = search(random, { recorded: random.pick(["none", 0, "all"] as const) });
  const wrong = step.with({
    code: { logits: (tape, scores) => tape.scale(scores, step.temperature ** -power) },
  });
  return wrongNumbers(random, step.task, wrong, `The temperature of similarities ${words}.`);
};

const logits: Story = (random) => {
  const temperature = random.pick([0.5, 2, 3]);
  const { power, words } = random.pick(manners);
  const step = classifier(random, { temperature });
  const wrong = step.with({
    code: { loss: (tape, rows, { labels }) => crossEntropy(tape, rows, labels, { temperature: temperature ** power }) },
  });
  return wrongNumbers(random, step.task, wrong, `The temperature of the logits ${words}.`);
};

const scaleNotExponential: Story = (random) => {
  const step = pairs(random);
  const wrong = step.with({ code: { scale: (_, logScale) => logScale } });
  return wrongNumbers(random, step.task, wrong, "The logarithm of the scale multiplies, not the scale.");
};

export const temperature: Story = among([
  [4, squareMissing],
  [1, squareAdded],
  [2, oneSideOnly],
  [4, similarities],
  [2, logits],
  [1, scaleNotExponential],
]);
