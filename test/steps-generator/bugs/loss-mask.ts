/** Positions in the loss that do not belong there, and positions that do and are lost. */
import { regression } from "../elements.js";
import { isLearned, type LanguageStep, labelsAt, language, movedEarlier, type Tokens } from "../language.js";
import { policy } from "../policy.js";
import type { RowsData } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import type { Task } from "../task.js";

/** The same step with labels at other tokens. */
function learning({ step, tokens, shift }: LanguageStep, isIn: (own: Tokens, place: number) => boolean): Task {
  return step.with({ data: (data, part) => ({ ...data, labels: labelsOf(tokens[part], shift, isIn) }) });
}

function labelsOf(own: Tokens, shift: 0 | 1, isIn: (own: Tokens, place: number) => boolean): number[] {
  const labels = labelsAt(own, (place) => isIn(own, place));
  return shift === 0 ? movedEarlier(own, labels) : labels;
}

const learned = (lossOn: "assistant" | "all") => (own: Tokens, place: number) => isLearned(own, place, lossOn);
const everything = () => true;

// ------------------------------------------------------------------------------------------------ padding and prompts

const padLearned: Story = (random) => {
  const drawn = language(random, { lossOn: "all", whole: true });
  const story = "Padding has an id, and the loss ignores another: padding is learned.";
  return wrongFields(learning(drawn, everything), story, { against: drawn.step.task });
};

const padNotIgnored: Story = (random) => {
  const drawn = language(random, { lossOn: "all", whole: true });
  const { step, tokens, shift } = drawn;
  const { padId } = tokens[0];
  const { intended } = step.task;
  const task: Task = {
    ...step.with({
      code: { ignored: padId },
      data: (data, part) => ({
        ...data,
        labels: labelsOf(tokens[part], shift, everything).map((y) => (y === -100 ? padId : y)),
      }),
    }),
    intended: { ...intended, options: { ...intended.options, ignoreIndex: padId } },
  };
  const wrong = step.with({
    data: (data, part) => ({
      ...data,
      labels: labelsOf(tokens[part], shift, everything).map((y) => (y === -100 ? padId : y)),
    }),
  });
  return wrongNumbers(random, task, wrong, "The padding id is not handed to the loss, which learns it.", {
    tolerated: ["denominator"],
  });
};

const promptsLearned: Story = (random) => {
  const drawn = language(random, { lossOn: "assistant" });
  return wrongFields(learning(drawn, learned("all")), "The prompts are labels like the answers.", {
    against: drawn.step.task,
  });
};

const promptsCounted: Story = (random) => {
  const drawn = language(random, { lossOn: "assistant" });
  const wrong = learning(drawn, learned("all"));
  const story = "The labels' mask is dropped: all that is attended to is learned, prompts too.";
  return wrongNumbers(random, drawn.step.task, wrong, story, { tolerated: ["denominator"] });
};

const attentionMaskRecorded: Story = (random) => {
  const { step, tokens } = language(random, { lossOn: "assistant", shift: 1 });
  const task = step.with({ data: (data, part) => masked(data, tokens[part], learned("all")) });
  return wrongFields(task, "The attention mask is handed over as the mask of the loss.", { against: step.task });
};

const attentionMaskUsed: Story = (random) => {
  const { step, tokens } = language(random, { lossOn: "assistant", shift: 1 });
  const task = step.with({ data: (data, part) => masked(data, tokens[part], learned("assistant")) });
  const wrong = step.with({ data: (data, part) => masked(data, tokens[part], learned("all")) });
  return wrongNumbers(random, task, wrong, "The attention mask masks the loss, not the mask that was made for it.", {
    tolerated: ["denominator"],
  });
};

/** All tokens as labels under a mask. */
function masked(data: RowsData, own: Tokens, isIn: (own: Tokens, place: number) => boolean): RowsData {
  return { ...data, labels: [...own.ids], mask: own.ids.map((_, place) => Number(isIn(own, place))) };
}

// ------------------------------------------------------------------------------------------------ the end of sequence

const endLostWithPadding: Story = (random) => {
  const lossOn = random.pick(["assistant", "all"] as const);
  const drawn = language(random, { padIsEos: true, whole: true, lossOn });
  const task = learning(drawn, (own, place) => own.ids[place] !== own.padId && isLearned(own, place, lossOn));
  return wrongFields(task, "Padding is the end of sequence, and all of its id is masked: no answer learns to end.", {
    against: drawn.step.task,
  });
};

const endNotCounted: Story = (random) => {
  const lossOn = random.pick(["assistant", "all"] as const);
  const drawn = language(random, { padIsEos: true, whole: true, lossOn });
  const wrong = learning(drawn, (own, place) => own.ids[place] !== own.padId && isLearned(own, place, lossOn));
  return wrongNumbers(
    random,
    drawn.step.task,
    wrong,
    "The loss ignores the padding id, which is the end of sequence too.",
    {
      tolerated: ["denominator", "label-shift"],
    },
  );
};

const maskMovedAgainstLoss: Story = (random) => {
  const drawn = language(random, { lossOn: "assistant", shift: 1, whole: true });
  const wrong = learning(drawn, (own, place) => {
    const isIn = (at: number) => at % own.length !== 0 && own.roles[at] === 2;
    return own.roles[place] === 2 && isIn(place + 1);
  });
  return wrongNumbers(
    random,
    drawn.step.task,
    wrong,
    "Mask and loss move in opposite directions: the last token falls out.",
    {
      tolerated: ["denominator", "label-shift"],
    },
  );
};

// ------------------------------------------------------------------------------------------------ documents

const bordersLearned: Story = (random) => {
  const drawn = language(random, { packed: true, lossOn: "all", bordersAs: "labels" });
  return wrongFields(learning(drawn, everything), "A document's first token is learned from the document before it.", {
    against: drawn.step.task,
  });
};

const bordersCounted: Story = (random) => {
  const { step } = language(random, { packed: true, lossOn: "all", shift: 1, bordersAs: "segments" });
  const wrong = step.with({ data: ({ segments: _, ...data }) => data });
  return wrongNumbers(random, step.task, wrong, "The loss does not know where documents end in a packed row.", {
    tolerated: ["denominator"],
  });
};

// ------------------------------------------------------------------------------------------------ masks of elements

const maskForgotten: Story = (random) => {
  const step = regression(random, { mask: () => random.chance(0.6) });
  const wrong = step.with({ data: ({ mask: _, ...data }) => data });
  return wrongNumbers(random, step.task, wrong, "Missing targets are masked, and the loss does not look at the mask.", {
    tolerated: ["denominator"],
  });
};

const answersPadded: Story = (random) => {
  const step = policy(random, { per: "token" });
  const wrong = step.with({ code: { maskOf: ({ mask }) => mask.map(() => 1) } });
  return wrongNumbers(random, step.task, wrong, "The tokens behind the end of an answer pull the policy too.", {
    tolerated: ["denominator"],
  });
};

export const lossMask: Story = among([
  [2, padLearned],
  [1, padNotIgnored],
  [2, promptsLearned],
  [2, promptsCounted],
  [1, attentionMaskRecorded],
  [1, attentionMaskUsed],
  [2, endLostWithPadding],
  [1, endNotCounted],
  [1, maskMovedAgainstLoss],
  [2, bordersLearned],
  [2, bordersCounted],
  [1, maskForgotten],
  [1, answersPadded],
]);
