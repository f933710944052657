/** Axes that are taken for others: a column against a vector, a reshape where a transpose was meant, another class axis. */
import { labelDtype as dtypeOf, normals, surroundings, wideOrSingle } from "../chance.js";
import { type ElementsStep, multiLabel, regression } from "../elements.js";
import { crossEntropy } from "../losses.js";
import { type RowsCode, type RowsData, rowsStep } from "../rows.js";
import { among, type Story, wrongNumbers } from "../story.js";
import { type Part, reals, type Task } from "../task.js";

/** A table of all outputs against all targets, or of rows against a column, as broadcasting makes it. */
function broadcast({ task, code, data: [data] }: ElementsStep, outputAt: number[], targetAt: number[]): Task {
  const ones = outputAt.map(() => 1);
  const part: Part = {
    ...task.parts[0],
    losses: (tape, leaves) => {
      const outputs = tape.take(leaves[code.field], outputAt);
      return code.loss(tape, outputs, { ...data, targets: targetAt.map((place) => data.targets[place]) });
    },
    weights: ones,
    counted: ones,
    groups: ones,
  };
  return { ...task, parts: [part] };
}

const columnAgainstVector: Story = (random) => {
  const rows = [random.integer(4, 10)];
  const draw = random.chance(0.75) ? regression : multiLabel;
  const step = draw(random, { columns: 0, rows });
  const [count] = rows;
  const column = random.chance(0.7) ? step.code.field : "targets";
  const [data] = step.data;
  const numbers = column === "targets" ? data.targets : data.outputs;
  const recorded = { [column]: reals(numbers, [count, 1], data.precision) };
  const task = step.with({ data: (own) => ({ ...own, recorded }) });
  const pairs = Array.from({ length: count * count }, (_, i) => i);
  const [outer, inner] = [pairs.map((i) => Math.floor(i / count)), pairs.map((i) => i % count)];
  const wrong = column === "targets" ? broadcast(step, inner, outer) : broadcast(step, outer, inner);
  return wrongNumbers(random, task, wrong, `${column} [N, 1] beside a vector [N]: every pair is compared.`);
};

const targetColumn: Story = (random) => {
  const [rows, columns] = [random.integer(3, 8), random.integer(2, 5)];
  const step = regression(random, { columns, rows: [rows] });
  const [data] = step.data;
  const first = Array.from({ length: rows }, (_, row) => data.targets[row * columns]);
  const recorded = { targets: reals(first, [rows, 1], data.precision) };
  const task = step.with({ data: (own) => ({ ...own, recorded }) });
  const places = Array.from({ length: rows * columns }, (_, i) => i);
  const wrong = broadcast(
    step,
    places,
    places.map((i) => i - (i % columns)),
  );
  return wrongNumbers(random, task, wrong, "Targets [B, 1] beside predictions [B, D]: one target for every column.");
};

/** A tagger `[B, T, K]` with nothing shifted. */
function tagger(random: Parameters<Story>[0], [rows, length, classes]: readonly [number, number, number]) {
  const precision = wideOrSingle(random);
  const data: RowsData = {
    lead: [rows, length],
    classes,
    logits: normals(random, rows * length * classes, 1.8),
    labels: Array.from({ length: rows * length }, () => random.integer(0, classes - 1)),
    precision,
    labelDtype: dtypeOf(random),
  };
  const loss: RowsCode["loss"] = (tape, logits, { labels }) => crossEntropy(tape, logits, labels);
  return rowsStep(
    [data],
    { ignored: -100, shift: 0, loss },
    {
      intended: { objective: "crossEntropy", options: {}, reduction: { per: "token", divideBy: "weight" } },
      precision,
      context: surroundings(random, "accuracy"),
    },
  );
}

const reshapedScores: Story = (random) => {
  const [length, classes] = [random.integer(3, 7), random.integer(2, 6)];
  const step = tagger(random, [random.integer(2, 4), length, classes]);
  // The memory holds [B, K, T]; a view of it as rows of K takes neighbors in time for classes.
  const scoresOf = (source: number) => {
    const [row, frame] = [Math.floor(source / length), source % length];
    return Array.from({ length: classes }, (_, k) => {
      const at = frame * classes + k;
      return row * length * classes + (at % length) * classes + Math.floor(at / length);
    });
  };
  const wrong = step.with({ code: { scoresOf } });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    "Scores [batch, class, frame] reshaped to rows without moving an axis.",
  );
};

const wrongClassAxis: Story = (random) => {
  const side = random.integer(4, 7);
  const step = tagger(random, [random.integer(2, 4), side, side]);
  const scoresOf = (source: number) => {
    const [row, column] = [Math.floor(source / side), source % side];
    return Array.from({ length: side }, (_, k) => (row * side + k) * side + column);
  };
  const wrong = step.with({ code: { scoresOf } });
  return wrongNumbers(
    random,
    step.task,
    wrong,
    "Axis 1 is taken for the classes; as many positions as classes, nothing fails.",
  );
};

const reshapedImages: Story = (random) => {
  const [images, classes, height, width] = [2, random.integer(2, 5), random.integer(2, 3), random.integer(2, 4)];
  const precision = wideOrSingle(random);
  const pixels = height * width;
  const logits = normals(random, images * classes * pixels, 1.8);
  const data: RowsData = {
    lead: [images, height, width],
    classes,
    logits,
    labels: Array.from({ length: images * pixels }, () => random.integer(0, classes - 1)),
    precision,
    labelDtype: "int64",
    recorded: { logits: reals(logits, [images, classes, height, width], precision) },
  };
  const step = rowsStep(
    [data],
    {
      ignored: -100,
      shift: 0,
      loss: (tape, rows, { labels }) => crossEntropy(tape, rows, labels),
      scoresOf: (source) => {
        const [image, pixel] = [Math.floor(source / pixels), source % pixels];
        return Array.from({ length: classes }, (_, k) => (image * classes + k) * pixels + pixel);
      },
    },
    {
      intended: {
        objective: "crossEntropy",
        options: { classAxis: 1 },
        reduction: { per: "token", divideBy: "weight" },
      },
      precision,
      context: surroundings(random, "meanIntersectionOverUnion"),
    },
  );
  const wrong = step.with({ code: { scoresOf: undefined } });
  return wrongNumbers(random, step.task, wrong, "Scores of pixels [N, K, H, W] reshaped to [N·H·W, K] as they lie.");
};

export const shape: Story = among([
  [4, columnAgainstVector],
  [1, targetColumn],
  [3, reshapedScores],
  [2, wrongClassAxis],
  [2, reshapedImages],
]);
