/** Smoothing of labels over other classes, over padding, over targets that are soft already, or by another amount. */
import { multiLabel } from "../elements.js";
import { language } from "../language.js";
import { binaryCrossEntropy, crossEntropy } from "../losses.js";
import { classifier, softClassifier } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import { countOf, over } from "../task.js";

const overOthers: Story = (random) => {
  const smoothing = random.pick([0.1, 0.2, 0.3]);
  const step = classifier(random, { smoothing, classes: random.integer(3, 5) });
  const wrong = step.with({
    code: { loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels, { smoothing, spread: "others" }) },
  });
  return wrongNumbers(random, step.task, wrong, "The smoothed mass is spread over the other classes.");
};

const overPadding: Story = (random) => {
  const smoothing = random.pick([0.1, 0.2]);
  const step = random.chance(0.5)
    ? language(random, { smoothing, lossOn: "assistant" }).step
    : classifier(random, { smoothing, ignored: 0.4 });
  const ignored = step.data.map(({ labels }) => labels);
  const wrong = step.with({
    code: {
      // No label is ignored: those of −100 lack the hard part alone.
      ignored: Number.NaN,
      loss: (tape, logits, { labels, places, part }) => {
        const logProbs = tape.logSoftmax(logits);
        const isHard = places.map((place) => Number(ignored[part][place] !== -100));
        const hard = tape.where(isHard, tape.scale(tape.pick(logProbs, labels), -(1 - smoothing)));
        const soft = tape.scale(tape.sumRows(logProbs), -smoothing / logProbs.shape[1]);
        return tape.plus(hard, soft);
      },
    },
    coefficients: over(countOf(step.task.parts)),
  });
  return wrongNumbers(random, step.task, wrong, "Ignored positions give the smoothing its share.", {
    tolerated: ["loss-mask"],
  });
};

const otherAmount: Story = (random) => {
  const smoothing = random.pick([0.1, 0.2]);
  const step = random.chance(0.5)
    ? classifier(random, { smoothing })
    : language(random, { smoothing, told: random.chance(0.5) }).step;
  const [amount, story] = random.pick([
    [0, "The labels are not smoothed."],
    [1 - (1 - smoothing) ** 2, "The labels are smoothed by the data loader and by the loss."],
    [smoothing / 2, "The labels are smoothed by half of what was declared."],
  ] as const);
  const wrong = step.with({
    code: { loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels, { smoothing: amount }) },
  });
  return wrongNumbers(random, step.task, wrong, story);
};

const undeclared: Story = (random) => {
  const step = classifier(random);
  const smoothing = random.pick([0.1, 0.2]);
  const wrong = step.with({
    code: { loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels, { smoothing }) },
  });
  return wrongNumbers(random, step.task, wrong, "The labels are smoothed, which the contract does not say.");
};

const onSoftTargets: Story = (random) => {
  const smoothing = random.pick([0.1, 0.2]);
  if (random.chance(0.4)) {
    return wrongFields(
      softClassifier(random, smoothing).task,
      "Targets that are soft already are smoothed, as declared.",
    );
  }
  const { task, smoothed } = softClassifier(random, 0);
  return wrongNumbers(random, task, smoothed(smoothing), "Targets that are soft already are smoothed once more.");
};

const oneSided: Story = (random) => {
  const smoothing = random.pick([0.1, 0.2]);
  const step = multiLabel(random, { smoothing });
  const wrong = step.with({
    code: {
      loss: (tape, outputs, { targets }) =>
        binaryCrossEntropy(
          tape,
          outputs,
          Array.from(targets, (y) => y * (1 - smoothing)),
        ),
    },
  });
  return wrongNumbers(random, step.task, wrong, "Positives are smoothed, and negatives get nothing of it.");
};

export const smoothing: Story = among([
  [4, overOthers],
  [3, overPadding],
  [3, otherAmount],
  [1, undeclared],
  [3, onSoftTargets],
  [1, oneSided],
]);
