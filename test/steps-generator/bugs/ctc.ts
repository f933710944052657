/** CTC steps whose lengths, blank or layout are not those of the contract. */
import { type FramesStep, frameStep, placesOf, symbolsWithBlank } from "../frames.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import { integers, type Task } from "../task.js";

// ------------------------------------------------------------------------------------------------ lengths

const tooFewFrames: Story = (random) => {
  const { task } = frameStep(random, { impossible: true });
  return wrongFields(task, "A label needs more frames than there are: no alignment exists.", {
    tolerated: ["non-finite"],
  });
};

const hiddenByZero: Story = (random) => {
  const { task } = frameStep(random, { impossible: true, zeroInfinity: true });
  return wrongFields(task, "A label needs more frames than there are, and zeroInfinity hides it.");
};

const strideForgotten: Story = (random) => {
  const stride = random.pick([2, 4]);
  const step = frameStep(random, {
    context: ({ inputLengths }) => ({
      alignment: {
        featureLengths: integers(
          inputLengths.map((n) => n * stride),
          [inputLengths.length],
        ),
        stride,
      },
    }),
  });
  const [{ inputLengths, frames }] = step.data;
  // An encoder's padding may account for a frame; no padding accounts for two.
  if (frames - Math.min(...inputLengths) < 2) return undefined;
  const task = step.with({ data: (data) => ({ ...data, inputLengths: inputLengths.map(() => frames) }) });
  return wrongFields(task, "All sequences are given the length of the longest.", { against: step.task });
};

const lengthsIgnored: Story = (random) => {
  const step = frameStep(random);
  const wrong = step.with({ code: { framesOf: ({ inputLengths, frames }) => inputLengths.map(() => frames) } });
  return wrongNumbers(random, step.task, wrong, "The lengths are recorded, and the loss aligns the padded frames too.");
};

const paddedSymbols: Story = (random) => {
  const step = frameStep(random, { filler: 1, blank: 0, per: "sample" });
  const longest = ({ symbols }: { symbols: readonly (readonly number[])[] }) =>
    Math.max(...symbols.map((own) => own.length));
  const wrong = step.with({
    code: {
      symbolsOf: (data) => data.symbols.map((own) => Array.from({ length: longest(data) }, (_, s) => own[s] ?? 1)),
    },
  });
  const draft = wrongNumbers(
    random,
    step.task,
    wrong,
    "The label lengths are ignored: the padding of labels is aligned.",
  );
  return Number.isFinite(draft?.record.reported.loss) ? draft : undefined;
};

export const ctcLengths: Story = among([
  [4, tooFewFrames],
  [2, hiddenByZero],
  [2, strideForgotten],
  [2, lengthsIgnored],
  [1, paddedSymbols],
]);

// ------------------------------------------------------------------------------------------------ blank

const otherBlank: Story = (random) => {
  const last = random.chance(0.4);
  const step = frameStep(random, { blank: last ? "last" : 0, spared: last ? "first" : "last" });
  const blank = last ? 0 : step.data[0].classes - 1;
  const story = last ? "The loss takes the first class for the blank." : "The loss takes the last class for the blank.";
  return wrongNumbers(random, step.task, step.with({ code: { blank } }), story, { lossTells: true });
};

const blankAmongLabels: Story = (random) => {
  const step = frameStep(random, { blank: 0 });
  const moved = step.data[0].symbols.map((own) => own.map((symbol) => symbol - 1));
  if (!moved.some((own) => own.includes(0))) return undefined;
  const task = step.with({ data: (data) => ({ ...data, symbols: moved }) });
  return wrongFields(task, "Symbols count from 0, which is the blank.", { against: step.task });
};

const blankNamedElsewhere: Story = (random) => {
  const step = frameStep(random, {
    blank: 0,
    spared: "last",
    context: ({ classes }) => ({ alignment: { symbols: symbolsWithBlank(classes, classes - 1) } }),
  });
  return wrongFields(step.task, "The vocabulary's blank is the last class, the loss's the first.");
};

export const ctcBlank: Story = among([
  [5, otherBlank],
  [2, blankAmongLabels],
  [2, blankNamedElsewhere],
]);

// ------------------------------------------------------------------------------------------------ layout

const otherLayout: Story = (random) => {
  const step = frameStep(random, { square: true });
  const story =
    step.data[0].layout === "BTC" ? "Batch first is taken for time first." : "Time first is taken for batch first.";
  return wrongNumbers(random, step.task, turned(step), story, { lossTells: true });
};

function turned(step: FramesStep): Task {
  return step.with({
    code: {
      read: (tape, field, data) => {
        const places = placesOf({ ...data, layout: data.layout === "TBC" ? "BTC" : "TBC" });
        return tape.take(field, places, [data.frames, data.batch, data.classes]);
      },
    },
  });
}

const viewed: Story = (random) => {
  const step = frameStep(random, { layout: "BTC", per: random.pick(["sample", "sequence"]) });
  const wrong = step.with({
    code: { read: (tape, field, { frames, batch, classes }) => tape.reshape(field, [frames, batch, classes]) },
  });
  return wrongNumbers(random, step.task, wrong, "[batch, time] is reshaped to [time, batch] without moving an axis.", {
    tolerated: ["shape"],
  });
};

export const ctcLayout: Story = among([
  [4, otherLayout],
  [2, viewed],
]);
