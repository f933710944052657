/** Positives on the first diagonal, whatever the rank. */
import { search } from "../embeddings.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";

const firstDiagonal = ({ labels }: { readonly labels: readonly number[] }) => labels.map((_, row) => row);

const countedFromZero: Story = (random) => {
  const ranks = random.integer(2, 4);
  const step = search(random, { ranks, recorded: random.integer(1, ranks - 1) });
  const wrong = step.with({ code: { labelsOf: firstDiagonal } });
  return wrongNumbers(random, step.task, wrong, "The positives are set on the first diagonal whatever the rank.", {
    tolerated: ["gather-gradient"],
  });
};

const recordedFromZero: Story = (random) => {
  const ranks = random.integer(2, 4);
  const step = search(random, { ranks, recorded: random.integer(1, ranks - 1) });
  const task = step.with({ data: (data) => ({ ...data, labels: firstDiagonal(data) }) });
  return wrongFields(task, "A later rank hands over labels without its offset.", { against: step.task });
};

const offsetAmongOwn: Story = (random) => {
  const ranks = random.integer(2, 4);
  const rank = random.integer(1, ranks - 1);
  const step = search(random, { ranks, recorded: rank, ownFirst: true, told: true });
  const offset = rank * step.rows;
  const task = step.with({ data: (data) => ({ ...data, labels: data.labels.map((label) => label + offset) }) });
  return wrongFields(task, "A rank's own keys stand first, and its labels carry an offset.", { against: step.task });
};

const everyRankFromZero: Story = (random) => {
  const step = search(random, { recorded: "all" });
  if (random.chance(0.5)) {
    const task = step.with({ data: (data) => ({ ...data, labels: firstDiagonal(data) }) });
    return wrongFields(task, "All ranks hand over the labels of the first.", { against: step.task });
  }
  const wrong = step.with({ code: { labelsOf: firstDiagonal } });
  return wrongNumbers(random, step.task, wrong, "All ranks find their positives on the first diagonal.", {
    tolerated: ["gather-gradient"],
  });
};

export const contrastiveOffset: Story = among([
  [4, countedFromZero],
  [4, recordedFromZero],
  [2, offsetAmongOwn],
  [3, everyRankFromZero],
]);
