/** Numbers that are lost on the way: logarithms of zero, NaN times a mask of 0, means of nothing. */
import { multiLabel, regression } from "../elements.js";
import { language } from "../language.js";
import { focal, times } from "../losses.js";
import { emptied, inMicroBatches } from "../parts.js";
import { policy } from "../policy.js";
import { classifier } from "../rows.js";
import { among, type Story, wrongFields, wrongNumbers } from "../story.js";
import { apart, overWeights, run } from "../task.js";

const tolerated = ["probabilities-as-logits"] as const;

/** Scores of which one row is far apart, so that a probability of its label underflows in float32. */
const farApart = (drawn: Float64Array, { classes, labels }: { classes: number; labels: readonly number[] }) => {
  const out = drawn.slice();
  out[labels[0]] = -60;
  out[(labels[0] + 1) % classes] = 55;
  return out;
};

const logOfSoftmax: Story = (random) => {
  const step = classifier(random, { precision: "float32", scores: farApart });
  const wrong = step.with({
    code: {
      loss: (tape, logits, { labels }) => tape.scale(tape.log(tape.pick(tape.softmax(logits), labels)), -1),
    },
  });
  return wrongNumbers(random, step.task, wrong, "log(softmax(x)) in two steps; a probability underflows.", {
    tolerated,
  });
};

const logOfSigmoid: Story = (random) => {
  const step = multiLabel(random, {
    precision: "float32",
    outputs: (drawn) => drawn.map((z, i) => (i === 0 ? random.pick([30, -120]) : z)),
  });
  const wrong = step.with({
    code: {
      loss: (tape, outputs, { targets }) => {
        const p = tape.sigmoid(outputs);
        const on = times(tape, tape.log(p), targets);
        const off = times(
          tape,
          tape.log(tape.shift(tape.scale(p, -1), 1)),
          Array.from(targets, (y) => 1 - y),
        );
        return tape.scale(tape.plus(on, off), -1);
      },
    },
  });
  return wrongNumbers(random, step.task, wrong, "Logarithms of a sigmoid that rounds to 0 or 1.", { tolerated });
};

const maskedTarget: Story = (random) => {
  const step = regression(random, { mask: () => random.chance(0.6) });
  const lost = step.data[0].mask!.indexOf(0);
  if (lost < 0) return undefined;
  const data = (own: (typeof step.data)[number]) => ({
    ...own,
    targets: Array.from(own.targets, (y, i) => (i === lost ? Number.NaN : y)),
  });
  const report = run(step.with({ data, code: { readsAll: true } }), { multiplied: true });
  return wrongNumbers(
    random,
    step.with({ data }),
    report,
    "A missing target is NaN, and the mask multiplies it by 0.",
    {
      tolerated: ["loss-mask"],
    },
  );
};

const maskedReference: Story = (random) => {
  const step = policy(random, { kl: true });
  const lost = step.data[0].mask.indexOf(0);
  const data = (own: (typeof step.data)[number]) => ({
    ...own,
    referenceLogProbs: own.referenceLogProbs!.map((x, i) => (i === lost ? Number.NaN : x)),
  });
  const report = run(step.with({ data, code: { readsAll: true } }), { multiplied: true });
  return wrongNumbers(
    random,
    step.with({ data }),
    report,
    "A NaN behind the end of an answer is multiplied by its mask.",
    {
      tolerated: ["loss-mask"],
    },
  );
};

const meanOfNothing: Story = (random) => {
  const count = random.integer(2, 4);
  const { step } = language(random, { parts: Array.from({ length: count }, () => ({ rows: 2 })), lossOn: "assistant" });
  const empty = random.integer(0, count - 1);
  const task = emptied(inMicroBatches(random, step.task), empty);
  const own = run({ ...task, coefficients: apart(overWeights, (parts) => parts.map(() => 1 / parts.length)) });
  const partLosses = run(task, { partLosses: apart(overWeights, (parts) => parts.map(() => 1)) }).partLosses.map(
    (loss, i) => (i === empty ? Number.NaN : loss),
  );
  const report = { ...own, loss: Number.NaN, partLosses };
  return wrongNumbers(random, task, report, "A micro-batch without a token has a mean of 0 / 0, and so has the step.", {
    tolerated: ["accumulation", "denominator"],
  });
};

const nothingAtAll: Story = (random) => {
  const { step } = language(random, { lossOn: "assistant" });
  const task = emptied(step.task, 0);
  const report = { ...run(task), loss: Number.NaN };
  return wrongNumbers(random, task, report, "Every label of the step is ignored, and its mean is 0 / 0.");
};

const brokenScores: Story = (random) => {
  const step = classifier(random, {
    scores: (drawn, { classes }) => drawn.map((z, i) => (i === classes ? Number.NaN : z)),
  });
  return wrongFields(step.task, "A score of the model is NaN.");
};

const steepPower: Story = (random) => {
  const gamma = 0.5;
  const step = classifier(random, {
    precision: "float32",
    focal: { gamma },
    scores: (drawn, { labels }) => drawn.map((z, i) => (i === labels[0] ? 40 : z)),
  });
  const wrong = step.with({
    code: { loss: (tape, logits, { labels }) => focal(tape, logits, labels, { gamma }) },
  });
  const story = "(1 − p) to a power below 1 has an infinite slope where p rounds to 1.";
  return wrongNumbers(random, sharp(step), run(wrong), story);
};

/** The same step in float64, where nothing rounds to 1. */
function sharp(step: { readonly task: ReturnType<typeof classifier>["task"] }) {
  return { ...step.task, precision: "float64" as const };
}

const overflow: Story = (random) => {
  const step = classifier(random, {
    precision: "float32",
    scores: (drawn) => drawn.map((z, i) => (i === 0 ? 70000 : z)),
    context: { computation: { dtype: "float16" } },
  });
  const report = run({ ...step.task, precision: "float16" });
  return wrongNumbers(random, step.task, report, "A score is above the largest number of float16.");
};

export const nonFinite: Story = among([
  [3, logOfSoftmax],
  [3, logOfSigmoid],
  [2, maskedTarget],
  [2, maskedReference],
  [2, meanOfNothing],
  [1, nothingAtAll],
  [2, brokenScores],
  [1, steepPower],
  [1, overflow],
]);
