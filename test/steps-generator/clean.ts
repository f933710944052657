/** Steps that do what they should, many of them in a way that looks like a mistake at first sight. */
import type { Random } from "../instruments/random.js";
import { normals, positives, rounded, surroundings, unevenSizes, wideOrSingle, written } from "./chance.js";
import { distillation, divergenceStep } from "./distillation.js";
import { multiLabel, regression } from "./elements.js";
import { pairs, search } from "./embeddings.js";
import { frameStep, symbolsWithBlank } from "./frames.js";
import {
  decoderStep,
  drawTokens,
  isLearned,
  labelsAt,
  language,
  movedEarlier,
  movedLater,
  piecesOfRows,
  retold,
  type Tokens,
} from "./language.js";
import { crossEntropy } from "./losses.js";
import { emptied, inMicroBatches } from "./parts.js";
import { policy } from "./policy.js";
import { preference } from "./preference.js";
import type { Precision } from "./rounding.js";
import { classifier, drawnClassWeights, drawnWeights, type RowsData, rowsStep, softClassifier } from "./rows.js";
import { among, type Draft, right, type Story } from "./story.js";
import { apart, flags, integers, overWeights, reals, recordOf, run, type Task } from "./task.js";

// ------------------------------------------------------------------------------------------------ plain steps

const plainClassifier: Story = (random) => {
  const classes = random.integer(3, 8);
  const kind = random.integer(0, 4);
  const step = classifier(random, {
    classes,
    ...(kind === 1 && { smoothing: random.pick([0.05, 0.1, 0.2]) }),
    ...(kind === 2 && { classWeights: drawnClassWeights(random, classes) }),
    ...(kind === 3 && { temperature: random.pick([0.5, 2, 3]) }),
    ...(kind === 4 && { weight: drawnWeights(random), ignored: 0.2 }),
    ...(random.chance(0.2) && { reduction: { divideBy: "count" } }),
  });
  return withoutSome(random, step.task, "A classifier.");
};

const plainLanguage: Story = (random) => {
  const packed = random.chance(0.25);
  const { step } = language(random, {
    packed,
    ...(packed && { lossOn: "all" as const }),
    told: random.chance(0.8),
    smoothing: random.chance(0.15) ? 0.1 : 0,
    per: packed || random.chance(0.7) ? "token" : "sequence",
  });
  return withoutSome(random, step.task, packed ? "Documents packed into rows, borders left out." : "A language model.");
};

const plainRegression: Story = (random) => {
  const per = random.chance(0.3) ? "sample" : "element";
  const step = regression(random, {
    ...(per === "sample" && { reduction: { per } }),
    ...(random.chance(0.3) && { mask: () => random.chance(0.7) }),
    ...(random.chance(0.2) && per === "element" && { weight: drawnWeights(random) }),
    ...(per === "element" && random.chance(0.3) && { columns: random.integer(0, 1) }),
  });
  return withoutSome(random, step.task, "A regression.");
};

const plainMultiLabel: Story = (random) => {
  const columns = random.integer(2, 6);
  const step = multiLabel(random, {
    columns,
    ...(random.chance(0.2) && { smoothing: 0.1 }),
    ...(random.chance(0.2) && { soft: true }),
    ...(random.chance(0.2) && { posWeight: positives(random, columns, 1.5, 9).map((w) => Math.round(w)) }),
    ...(random.chance(0.2) && { mask: () => random.chance(0.8) }),
  });
  return withoutSome(random, step.task, "Independent labels.");
};

const plainFocal: Story = (random) => {
  const gamma = random.pick([1, 2, 3]);
  if (random.chance(0.4)) {
    const step = multiLabel(random, { focal: { gamma, alpha: random.pick([0.25, 0.5, null]) } });
    return right(step.task, "The binary focal loss.");
  }
  const classes = random.integer(3, 6);
  const reweightOnly = random.chance(0.4);
  const alpha = random.chance(0.5) ? drawnClassWeights(random, classes) : undefined;
  const step = classifier(random, { classes, focal: { gamma, reweightOnly, ...(alpha && { alpha }) } });
  return right(step.task, reweightOnly ? "A focal loss whose factor is detached, as declared." : "The focal loss.");
};

const plainDistillation: Story = (random) => {
  if (random.chance(0.25)) return right(divergenceStep(random).task, "A divergence from another model.");
  const scaled = random.chance(0.8);
  const { step } = distillation(random, { scaled, ignored: random.chance(0.2) ? 0.3 : 0 });
  return right(step.task, scaled ? "Soft and hard parts, T² in place." : "Distillation without T², as declared.");
};

const plainContrast: Story = (random) => {
  const kind = random.integer(0, 4);
  if (kind === 0) return right(pairs(random).task, "Images and texts of one process.");
  if (kind === 1) {
    const ranks = random.integer(2, 3);
    return right(pairs(random, { ranks }).task, "Images and texts of ranks, gathered with their gradient.");
  }
  if (kind === 2)
    return right(search(random, { recorded: "all" }).task, "Queries of all ranks, labels with the rank's offset.");
  if (kind === 3) {
    return right(
      search(random, { ownFirst: true, told: true }).task,
      "A rank's own keys stand first, and so do its positives.",
    );
  }
  const step = search(random, {});
  const frozen = random.chance(0.3);
  return frozen
    ? right(step.task, "Keys of a momentum encoder, recorded without a gradient.", { gradients: ["queries"] })
    : right(step.task, "Gathered keys, labels with the rank's offset.");
};

const plainPreference: Story = (random) => {
  return right(preference(random, { told: random.chance(0.7) }).task, "Scores as the contract says.");
};

const plainFrames: Story = (random) => {
  const kind = random.integer(0, 4);
  if (kind === 0)
    return right(frameStep(random, { square: true }).task, "As many frames as sequences, read in their order.");
  if (kind === 1) return right(frameStep(random, { blank: "last" }).task, "The blank is the last class, as declared.");
  if (kind === 2) return right(frameStep(random, { zeroInfinity: true }).task, "zeroInfinity, and nothing to zero.");
  const step = frameStep(random, {
    context: ({ classes, inputLengths }) => {
      const stride = random.pick([2, 4]);
      const featureLengths = inputLengths.map((n) => n * stride - random.integer(0, stride - 1));
      return {
        alignment: {
          featureLengths: integers(featureLengths, [inputLengths.length]),
          stride,
          symbols: symbolsWithBlank(classes, 0),
        },
      };
    },
  });
  return right(step.task, "Frames of an encoder with a stride, symbols named.");
};

const plainPolicy: Story = (random) => {
  const divideBy = random.chance(0.3) ? { constant: random.integer(10, 60) } : undefined;
  const step = policy(random, { ...(divideBy && { divideBy, per: "token" as const }) });
  return right(step.task, "A clipped policy gradient.");
};

// ------------------------------------------------------------------------------------------------ parts

const globalMicroBatches: Story = (random) => {
  const count = random.integer(2, 5);
  const rows = unevenSizes(random, count, 2, 8);
  const parts = rows.map(() => ({}));
  const classes = random.integer(3, 5);
  const task = random.pick<() => Task>([
    () => language(random, { parts, per: random.pick(["token", "sequence"] as const) }).step.task,
    () => classifier(random, { rows, classes, classWeights: drawnClassWeights(random, classes) }).task,
    () => classifier(random, { rows, focal: { gamma: 2 } }).task,
    () => regression(random, { rows, mask: () => random.chance(0.7) }).task,
    () => multiLabel(random, { rows }).task,
    () => distillation(random, { rows }).step.task,
  ])();
  return right(inMicroBatches(random, task), "Micro-batches of uneven size over the count of the whole step.");
};

const globalRanks: Story = (random) => {
  const count = random.integer(2, 4);
  const ranks = Array.from({ length: count }, (_, i) => i);
  const context = { ranks: count, combine: { ranks: "mean" as const } };
  const empty = random.chance(0.4);
  const { step } = language(random, {
    parts: ranks.map((rank) => (empty && rank === count - 1 ? { rows: 2 } : {})),
    ranks,
    context,
    shift: 1,
    lossOn: "assistant",
  });
  if (!empty) return right(step.task, "Ranks over the count of the whole step.");
  const task = emptied(step.task, count - 1);
  return right(task, "A rank without a token, the others over the count of the whole step.");
};

const emptyMicroBatch: Story = (random) => {
  const count = random.integer(2, 4);
  const { step } = language(random, {
    parts: Array.from({ length: count }, () => ({})),
    lossOn: "assistant",
    shift: 1,
  });
  const task = emptied(inMicroBatches(random, step.task), random.integer(0, count - 1));
  return right(task, "A micro-batch without a token.");
};

const equalParts: Story = (random) => {
  const [count, size] = [random.integer(2, 4), random.integer(3, 7)];
  const rows = Array.from({ length: count }, () => size);
  const asRanks = random.chance(0.5);
  const ranks = rows.map((_, i) => i);
  const { task } = classifier(random, {
    rows,
    ...(asRanks && { ranks, context: { ranks: count, combine: { ranks: "mean" as const } } }),
  });
  const averaged = { ...task, coefficients: apart(overWeights, (parts) => parts.map(() => 1 / parts.length)) };
  return right(asRanks ? averaged : inMicroBatches(random, averaged), "Means of parts of equal size, averaged.");
};

const ranksAndMicroBatches: Story = (random) => {
  const [ranks, micro] = [2, random.integer(2, 3)];
  const places = Array.from({ length: ranks * micro }, (_, i) => i);
  const { step } = language(random, {
    parts: places.map(() => ({ rows: 2 })),
    ranks: places.map((i) => Math.floor(i / micro)),
    context: { ranks, microBatches: micro, combine: { ranks: "mean", microBatches: "sum" } },
  });
  const parts = step.task.parts.map((part, i) => ({ ...part, context: { ...part.context, microBatch: i % micro } }));
  return right({ ...step.task, parts }, "Micro-batches of ranks over the count of the whole step.");
};

const alongTime: Story = (random) => {
  const task = piecesOfRows(random);
  return right(task, "Ranks hold pieces of the same rows and divide by the count of all.");
};

// ------------------------------------------------------------------------------------------------ near misses

const logitsLikeProbabilities: Story = (random) => {
  const unit = (scores: Float64Array) => scores.map(() => random.between(0.02, 0.98));
  // Rows of classes that do not add up to 1 are logits at any size; single scores may lie there by chance only if few.
  const task = random.chance(0.4)
    ? multiLabel(random, { outputs: unit, rows: [random.integer(2, 4)], columns: random.integer(2, 4) }).task
    : classifier(random, { scores: unit }).task;
  return right(task, "Scores that happen to lie between 0 and 1.");
};

const logSoftmaxAsLogits: Story = (random) => {
  const step = classifier(random, {
    scores: (scores, { classes }) => {
      const out = scores.slice();
      for (let at = 0; at < out.length; at += classes) {
        const row = scores.subarray(at, at + classes);
        const total = Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));
        for (let k = 0; k < classes; k++) out[at + k] = Math.fround(row[k] - total);
      }
      return out;
    },
  });
  return right(step.task, "Log-probabilities handed over as logits: the logarithm of their softmax is themselves.");
};

const forbiddenClasses: Story = (random) => {
  const step = classifier(random, {
    classes: random.integer(4, 8),
    scores: (scores, { classes, labels }) => {
      const out = scores.slice();
      for (const [row, label] of labels.entries()) {
        const forbidden = random.integer(0, classes - 1);
        if (forbidden !== label) out[row * classes + forbidden] = Number.NEGATIVE_INFINITY;
      }
      return out;
    },
  });
  return right(step.task, "Logits of −∞ forbid classes that are no labels.");
};

const tinyWeights: Story = (random) => {
  const size = random.between(0.001, 0.02);
  const weight = () => size * random.between(0.2, 1);
  const step = random.chance(0.5) ? classifier(random, { weight }) : regression(random, { weight });
  return right(step.task, "Weights whose sum lies far below 1, which divides all the same.");
};

const wholeNumberTargets: Story = (random) => {
  const step = regression(random, { target: () => random.integer(0, 7) });
  return right(step.task, "Counts as floats: whole numbers, but of a floating type.");
};

const padIsEndOfSequence: Story = (random) => {
  const { step } = language(random, { padIsEos: true, whole: true });
  return right(step.task, "Padding has the id of the end of sequence, and the roles tell them apart.");
};

const intentionUntold: Story = (random) => {
  const { step } = language(random);
  const task = retold(step.task, ({ intended: _, ...sequence }) => sequence);
  return right(task, "Tokens and roles are recorded; nobody says what should be learned.");
};

const endsNotLearned: Story = (random) => {
  const { step, tokens, shift, lossOn } = language(random, { padIsEos: true, whole: true });
  const isIn = (own: Tokens, place: number) => own.ids[place] !== own.eosId && isLearned(own, place, lossOn);
  const without = step.with({
    data: (data, part) => {
      const labels = labelsAt(tokens[part], (place) => isIn(tokens[part], place));
      return { ...data, labels: shift === 0 ? movedEarlier(tokens[part], labels) : labels };
    },
  });
  const task = retold(without, (sequence) => ({
    ...sequence,
    intended: { ...sequence.intended, endOfSequence: false },
  }));
  return right(task, "The end of sequence is left out, as was intended.");
};

const bordersIntended: Story = (random) => {
  const { step, tokens, shift } = language(random, { packed: true, lossOn: "all", bordersAs: "labels" });
  const across = step.with({
    data: (data, part) => {
      const labels = [...tokens[part].ids];
      return { ...data, labels: shift === 0 ? movedEarlier(tokens[part], labels) : labels };
    },
  });
  const task = retold(across, (sequence) => ({
    ...sequence,
    intended: { ...sequence.intended, acrossSegments: true },
  }));
  return right(task, "Packed documents are learned as one text, as was intended.");
};

const padIgnored: Story = (random) => {
  const { step, tokens } = language(random, { lossOn: "all", whole: true, shift: 1 });
  const { padId } = tokens[0];
  const { intended } = step.task;
  const all = step.with({ code: { ignored: padId }, data: (data, part) => ({ ...data, labels: tokens[part].ids }) });
  const task = { ...all, intended: { ...intended, options: { ...intended.options, ignoreIndex: padId } } };
  return right(task, "Labels are the inputs, and the padding id is the one that is ignored.");
};

const shiftedLabels: Story = (random) => {
  const { step } = language(random, { shift: 0 });
  return right(step.task, "Labels moved before the loss, which moves nothing.");
};

const correctedWeights: Story = (random) => {
  const columns = random.integer(2, 5);
  const tuned = random.chance(0.5);
  const context = {
    metric: tuned
      ? { name: "f1", value: written(random, 0.3, 0.9), of: "validation" as const }
      : {
          name: random.pick(["expectedCalibrationError", "logLoss", "brierScore"]),
          value: written(random, 0.02, 0.4),
          of: "validation" as const,
          reads: "sigmoid(logits - log(pos_weight))",
          correctedForWeights: true,
        },
    ...(tuned && { decision: { threshold: written(random, 0.3, 0.9), tuned: true } }),
  };
  const step = multiLabel(random, { columns, posWeight: positives(random, columns, 3, 20).map(Math.round), context });
  return right(
    step.task,
    tuned ? "Weighted labels, decided at a tuned threshold." : "Weighted labels, the weights taken back out.",
  );
};

const correctedClassWeights: Story = (random) => {
  const classes = random.integer(3, 6);
  const context = {
    metric: {
      name: "expectedCalibrationError",
      value: written(random, 0.02, 0.2),
      of: "validation" as const,
      reads: "softmax(logits - log(class_weights))",
      correctedForWeights: true,
    },
  };
  const step = classifier(random, { classes, classWeights: drawnClassWeights(random, classes), context });
  return right(step.task, "Class weights, and a calibration that takes them back out.");
};

const unweightedThreshold: Story = (random) => {
  const step = multiLabel(random, {
    context: {
      metric: { name: "f1", value: written(random, 0.3, 0.9), of: "validation", reads: "sigmoid(logits)" },
      decision: { threshold: 0.5, tuned: false },
    },
  });
  return right(step.task, "A threshold of one half where nothing is weighted.");
};

const halfPrecision: Story = (random) => {
  const dtype: Precision = random.chance(0.7) ? "bfloat16" : "float16";
  const lossScale = dtype === "float16" && random.chance(0.5) ? random.pick([128, 1024]) : undefined;
  const task = inHalf(random, dtype, random.chance(0.35));
  const context = { computation: { dtype, ...(lossScale && { lossScale }) } };
  const record = recordOf(task, run(task, { ...(lossScale && { lossScale }) }), { context });
  return { record, story: `A loss computed in ${dtype}${lossScale ? ", its loss scale still in the gradients" : ""}.` };
};

/** A step in half precision, its fields recorded before they were rounded or after. */
function inHalf(random: Random, precision: Precision, recordedBefore: boolean): Task {
  const kind = random.integer(0, 2);
  const round = (numbers: ArrayLike<number>) => {
    const all = Float64Array.from(numbers);
    return recordedBefore ? all : rounded(all, precision);
  };
  if (kind === 0) {
    const step = classifier(random, {
      precision: "float32",
      margin: random.between(-1, 0.3),
      rows: [random.integer(8, 16)],
    });
    const { task } = step;
    return { ...step.with({}), parts: rebuilt(step.data[0], round(step.data[0].logits), task), precision };
  }
  if (kind === 1) {
    const step = regression(random, { precision: "float32", loss: "squaredError" });
    const [data] = step.data;
    const outputs = round(data.outputs);
    const targets = rounded(Float64Array.from(data.targets), precision);
    const changed = { ...data, outputs, targets };
    const [part] = step.with({ data: () => changed }).parts;
    return { ...step.task, parts: [part], precision };
  }
  const { step } = language(random, { precision: "float32" });
  return { ...step.task, parts: rebuilt(step.data[0], round(step.data[0].logits), step.task), precision };
}

function rebuilt(data: RowsData, logits: Float64Array, task: Task): Task["parts"] {
  const [part] = task.parts;
  return [{ ...part, fields: { ...part.fields, logits: reals(logits, [...data.lead, data.classes]) } }];
}

const scaledLoss: Story = (random) => {
  const { task } = classifier(random, {});
  const lossScale = random.pick([256, 1024, 65536]);
  const context = { computation: { dtype: task.precision, lossScale } };
  return {
    record: recordOf(task, run(task, { lossScale }), { context }),
    story: "A loss scale that the gradients still hold.",
  };
};

const severalTerms: Story = (random) => {
  const { task } = random.chance(0.5) ? classifier(random, {}) : language(random, {}).step;
  const own = run(task);
  const coefficient = random.pick([1, 1, 0.5]);
  const [other, value] = [random.pick([0.01, 0.1]), Math.fround(random.between(0.2, 3))];
  const terms = [
    { name: "crossEntropy", coefficient, value: own.loss, intended: true },
    { name: "router balance", coefficient: other, value, fields: [] },
  ];
  const gradients = own.gradients.map((fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, g]) => [name, g.map((x) => x * coefficient)])),
  );
  const report = { ...own, loss: Math.fround(coefficient * own.loss + other * value), gradients };
  return { record: recordOf(task, report, { context: { terms } }), story: "A loss of two terms, both told." };
};

const hiddenMask: Story = (random) => {
  const step = regression(random, { mask: () => random.chance(0.6) });
  const changed = step.with({
    data: (data) => ({
      ...data,
      outputs: Array.from(data.outputs, (x, i) => (data.mask![i] ? x : random.pick([Number.NaN, x]))),
      targets: Array.from(data.targets, (y, i) => (data.mask![i] ? y : Number.NaN)),
    }),
  });
  return right(changed, "Missing targets are NaN, masked and not read.");
};

const maskedLanguageModel: Story = (random) => {
  const vocabulary = random.integer(10, 18);
  const tokens = drawTokens(random, { vocabulary, whole: true });
  const chosen = tokens.ids.map((_, place) => tokens.roles[place] !== 0 && random.chance(0.35));
  chosen[1] = true;
  const maskId = 2;
  const shape = [tokens.rows, tokens.length];
  const precision = wideOrSingle(random);
  const data: RowsData = {
    lead: shape,
    classes: vocabulary,
    logits: normals(random, tokens.rows * tokens.length * vocabulary, 1.5),
    labels: tokens.ids.map((id, place) => (chosen[place] ? id : -100)),
    precision,
    labelDtype: "int64",
  };
  const inputIds = tokens.ids.map((id, place) => (chosen[place] && random.chance(0.85) ? maskId : id));
  const step = rowsStep(
    [data],
    { ignored: -100, shift: 0, loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels) },
    {
      intended: {
        objective: "crossEntropy",
        options: { ignoreIndex: -100 },
        reduction: { per: "token", divideBy: "weight" },
      },
      precision,
      context: {
        ...surroundings(random, "perplexity"),
        sequence: {
          inputIds: integers(inputIds, shape),
          attentionMask: flags(
            tokens.roles.map((role) => Number(role !== 0)),
            shape,
          ),
          padId: tokens.padId,
          eosId: tokens.eosId,
        },
      },
    },
  );
  return right(step.task, "A masked language model: labels stand at masked tokens, nothing is shifted.");
};

const decoder: Story = (random) =>
  right(decoderStep(random, movedLater), "A decoder that reads its targets one place late.");

const softTargets: Story = (random) => {
  const { task } = softClassifier(random, 0);
  return right(task, "Soft targets, as mixing two examples gives them.");
};

/** Steps without gradients, or without a loss, are steps too. */
function withoutSome(random: Random, task: Task, story: string): Draft {
  const kind = random.next();
  if (kind < 0.06) return right(task, `${story} No gradient was recorded.`, { gradients: [] });
  if (kind < 0.1) return right(task, `${story} No loss was recorded.`, { loss: null });
  return right(task, story);
}

/** A step that does what it should. */
export const cleanStory: Story = among([
  [6, plainClassifier],
  [7, plainLanguage],
  [5, plainRegression],
  [5, plainMultiLabel],
  [4, plainFocal],
  [4, plainDistillation],
  [6, plainContrast],
  [4, plainPreference],
  [5, plainFrames],
  [4, plainPolicy],
  [4, globalMicroBatches],
  [4, globalRanks],
  [2, emptyMicroBatch],
  [4, equalParts],
  [2, ranksAndMicroBatches],
  [2, alongTime],
  [4, logitsLikeProbabilities],
  [2, logSoftmaxAsLogits],
  [2, forbiddenClasses],
  [3, tinyWeights],
  [2, wholeNumberTargets],
  [3, padIsEndOfSequence],
  [3, shiftedLabels],
  [3, intentionUntold],
  [2, endsNotLearned],
  [2, bordersIntended],
  [2, padIgnored],
  [3, correctedWeights],
  [1, correctedClassWeights],
  [2, unweightedThreshold],
  [4, halfPrecision],
  [2, scaledLoss],
  [2, severalTerms],
  [2, hiddenMask],
  [2, maskedLanguageModel],
  [2, decoder],
  [2, softTargets],
]);
