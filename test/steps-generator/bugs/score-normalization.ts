/** Scores of answers that are sums where means were declared, or means where sums were. */
import { times } from "../losses.js";
import { preference, tokenCounts } from "../preference.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";

const meansForSums: Story = (random) => {
  const scores = random.pick(["mean", "mean over the width"] as const);
  const { task } = preference(random, { objective: "dpo", declared: "sum", scores });
  return wrongFields(task, `Log-probabilities are summed by contract and come as a ${scores}.`);
};

const sumsForMeans: Story = (random) => {
  const { task } = preference(random, { declared: "mean", scores: "sum" });
  return wrongFields(task, "Log-probabilities are averaged by contract and come as sums.");
};

const dividedInside: Story = (random) => {
  const step = preference(random, { objective: "dpo", declared: "sum" });
  const wrong = step.with({
    code: {
      before: (tape, score, name) =>
        times(
          tape,
          score,
          tokenCounts(step.tokens[name]).map((count) => 1 / count),
        ),
    },
  });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    "The sums are handed over, and the loss divides them by their lengths.",
  );
};

const summedInside: Story = (random) => {
  const step = preference(random, { declared: "mean" });
  const wrong = step.with({
    code: { before: (tape, score, name) => times(tape, score, tokenCounts(step.tokens[name])) },
  });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    "The means are handed over, and the loss multiplies them by their lengths.",
  );
};

export const scoreNormalization: Story = among([
  [5, meansForSums],
  [3, sumsForMeans],
  [2, dividedInside],
  [1, summedInside],
]);
