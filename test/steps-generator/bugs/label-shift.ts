/** Labels that are scored against the wrong position: shifted twice, not at all, or already shifted. */
import { decoderStep, labelsAt, language, movedEarlier } from "../language.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";

const tolerated = ["denominator"] as const;

const twice: Story = (random) => {
  const { step } = language(random, { shift: 1, told: random.chance(0.7) });
  return wrongNumbers(
    random,
    step.task,
    step.with({ code: { shift: 2 } }),
    "The model shifts, and the loss function shifts again.",
    { tolerated, lossTells: true },
  );
};

const never: Story = (random) => {
  const { step } = language(random, { shift: 1, told: random.chance(0.7) });
  const wrong = step.with({ code: { shift: 0 } });
  return wrongNumbers(random, step.task, wrong, "Nothing is shifted: every position is scored on its own token.", {
    tolerated,
    lossTells: true,
  });
};

const onceTooOften: Story = (random) => {
  const { step } = language(random, { shift: 0, told: random.chance(0.7) });
  const wrong = step.with({ code: { shift: 1 } });
  return wrongNumbers(random, step.task, wrong, "Labels come shifted, and the loss function shifts them again.", {
    tolerated,
    lossTells: true,
  });
};

const alreadyMoved: Story = (random) => {
  const { step, tokens } = language(random, { shift: 1 });
  const moved = step.with({ data: (data, part) => ({ ...data, labels: movedEarlier(tokens[part], data.labels) }) });
  return wrongFields(moved, "The data set shifts its labels, and the model shifts them again.", { against: step.task });
};

const notMoved: Story = (random) => {
  const { step, tokens, lossOn } = language(random, { shift: 0 });
  const still = step.with({
    data: (data, part) => {
      const own = tokens[part];
      const labels = labelsAt(own, (place) => own.roles[place] === 2 || (lossOn === "all" && own.roles[place] === 1));
      return { ...data, labels };
    },
  });
  return wrongFields(still, "Labels are the inputs themselves, and nothing shifts them.", { against: step.task });
};

const decoderReadsTargets: Story = (random) => {
  const task = decoderStep(random, (targets) => [...targets]);
  return wrongFields(task, "The decoder's inputs are its targets, not moved: it reads what it should say.");
};

export const labelShift: Story = among([
  [3, twice],
  [2, never],
  [2, onceTooOften],
  [3, alreadyMoved],
  [2, notMoved],
  [2, decoderReadsTargets],
]);
