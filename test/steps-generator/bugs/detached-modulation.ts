/** A focal factor that is taken for a weight: the loss is right, the gradient lacks a term. */
import { binaryFocal, multiLabel } from "../elements.js";
import { focal } from "../losses.js";
import { classifier, drawnClassWeights } from "../rows.js";
import { among, type Story, wrongNumbers } from "../story.js";

const classFactor: Story = (random) => {
  const gamma = random.pick([1, 2, 3, 5]);
  const classes = random.integer(3, 6);
  const alpha = random.chance(0.5) ? drawnClassWeights(random, classes) : undefined;
  const step = classifier(random, { classes, focal: { gamma, ...(alpha && { alpha }) } });
  const wrong = step.with({
    code: {
      loss: (tape, logits, { labels }) =>
        focal(tape, logits, labels, {
          gamma,
          detached: true,
          ...(alpha && { alpha: labels.map((label) => alpha[label]) }),
        }),
    },
  });
  return wrongNumbers(random, step.task, wrong, "The factor of the focal loss is detached.");
};

const binaryFactor: Story = (random) => {
  const [gamma, alpha] = [random.pick([1, 2, 3]), random.pick([0.25, 0.5, null])];
  const step = multiLabel(random, { focal: { gamma, alpha } });
  const wrong = step.with({
    code: {
      loss: (tape, outputs, { targets }) => binaryFocal(tape, outputs, targets, { gamma, alpha, detached: true }),
    },
  });
  return wrongNumbers(random, step.task, wrong, "The factor of the binary focal loss is detached.");
};

export const detachedModulation: Story = among([
  [3, classFactor],
  [2, binaryFactor],
]);
