/**
 * What a definition cannot say of its valid batches, by objective. It should stay nearly empty: the batches of
 * `batches.ts` follow from fields, shapes, domains and options, and a loss that needs no hint is covered at once.
 */
import type { AnyBatch } from "../../src/index.js";
import { type Tensor, tensor } from "../../src/index.js";
import type { Random } from "./random.js";

export interface Hint {
  /** Lengths of named axes that do not come out right by chance. */
  sizes?(sizes: Record<string, number>, random: Random): void;
  /** Brings options into agreement with each other and with the axes. */
  options?(options: Record<string, unknown>, sizes: Readonly<Record<string, number>>, random: Random): void;
  /** Brings the fields of a drawn batch into agreement with each other. */
  batch?(batch: Record<string, AnyBatch[string]>, options: Readonly<Record<string, unknown>>, random: Random): void;
  /**
   * Of an objective that couples its batch: fields whose row only the unit of that row reads, so that a masked unit's
   * row may hold anything. Without it no field of such an objective is taken for private.
   */
  privateFields?(options: Readonly<Record<string, unknown>>): readonly string[];
  /** The size of "huge" inputs where 1e4 overflows by the formula itself (an exponential of the input). */
  readonly huge?: number;
}

/** Leaves row i and row i of the other side together. */
function includeDiagonal(batch: Record<string, AnyBatch[string]>): void {
  if (!batch.excludeMask) return;
  const { data, shape } = batch.excludeMask as Tensor;
  const columns = shape[1]!;
  const flags = Uint8Array.from(data as Uint8Array, (flag, at) => Number(at % (columns + 1) !== 0 && Number(flag)));
  batch.excludeMask = tensor(flags, shape);
}

/** Moves a field of numbers from 0 on up, so that a loss with a pole at 0 keeps away from it. */
function awayFromZero(batch: Record<string, AnyBatch[string]>, field: string): void {
  const { data, shape } = batch[field] as Tensor<"predictions", "float64">;
  batch[field] = tensor(
    data.map((entry) => Math.fround(entry + 0.125)),
    shape,
  );
}

/** Gives a field that options ask for, or that a law needs, the numbers of another, moved. */
function besides(batch: Record<string, AnyBatch[string]>, field: string, other: string, random: Random): void {
  if (batch[field]) return;
  const { data, shape } = batch[other] as Tensor<"scores", "float64">;
  batch[field] = tensor(
    data.map((entry) => Math.fround(entry + random.real(1))),
    shape,
  );
}

/** Gives sequences lengths and labels that have an alignment; past them labels may hold anything. */
function alignable(
  batch: Record<string, AnyBatch[string]>,
  { blank, frames, classes }: { blank: number; frames: number; classes: number },
  needsFrame: (label: number, before: number) => number,
  random: Random,
): void {
  const [sequences, width] = (batch.labels as Tensor).shape as [number, number];
  const labels = new Int32Array(sequences * width).fill(-100);
  const [inputLengths, labelLengths] = [new Int32Array(sequences), new Int32Array(sequences)];
  const others = Array.from({ length: classes }, (_, k) => k).filter((k) => k !== blank);
  for (let b = 0; b < sequences; b++) {
    inputLengths[b] = random.integer(0, frames);
    for (let [i, left, before] = [0, inputLengths[b]!, -1]; i < width && left > 0 && random.chance(0.8); i++) {
      const label = random.pick(others);
      left -= needsFrame(label, before);
      if (left < 0) break;
      labels[b * width + i] = before = label;
      labelLengths[b] = i + 1;
    }
  }
  const dtype = <D extends Int32Array>(numbers: D) =>
    random.chance(0.5) ? numbers : BigInt64Array.from(Array.from(numbers), BigInt);
  Object.assign(batch, {
    labels: tensor(dtype(labels), [sequences, width]),
    inputLengths: tensor(dtype(inputLengths), [sequences]),
    labelLengths: tensor(dtype(labelLengths), [sequences]),
  });
}

export const hints: Readonly<Record<string, Hint>> = {
  // reweightOnly detaches on purpose: its gradient is not the slope of its value (focal.test.ts holds it).
  focal: {
    options(options) {
      delete options.reweightOnly;
    },
  },
  // Ranks 0..3 are drawn, which three thresholds part.
  ordinal: {
    sizes(sizes, random) {
      sizes["K-1"] = random.integer(3, 5);
    },
  },
  expectedCost: {
    options(options, sizes, random) {
      const { K } = sizes as { K: number };
      const row = () => Array.from({ length: K }, () => random.between(-1, 3));
      if (random.chance(0.6)) options.costs = Array.from({ length: K }, row);
    },
  },
  // A single class has the probability 1: +∞ wherever it is unwanted.
  unlikelihood: {
    sizes(sizes) {
      sizes.K = Math.max(2, sizes.K!);
    },
  },
  // KL(model‖target) is +∞ where the target forbids a class.
  klDivergence: {
    batch(batch, { direction }) {
      if (direction === "reverse" && batch.targets) awayFromZero(batch, "targets");
    },
  },
  infoNce: {
    // Row i is paired with key i unless labels or positiveMask say otherwise.
    sizes(sizes, random) {
      sizes.M = sizes.B! + (random.chance(0.5) ? 0 : random.integer(1, 3));
    },
    options(options, sizes) {
      if (sizes.M !== sizes.B) options.symmetric = false;
    },
    batch(batch, { symmetric }, random) {
      if (symmetric) delete batch.labels;
      if (symmetric || batch.labels) delete batch.positiveMask;
      if (!batch.excludeMask) return;
      const { shape } = batch.excludeMask as { shape: readonly number[] };
      const [rows, columns] = shape as [number, number];
      const labels = batch.labels as { data: ArrayLike<number | bigint> } | undefined;
      const positives = batch.positiveMask as { data: ArrayLike<number | bigint> } | undefined;
      const flags = Array.from({ length: rows * columns }, (_, at) => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        const positive = positives ? Number(positives.data[at]) === 1 : column === Number(labels?.data[row] ?? row);
        return positive ? 0 : Number(random.chance(0.2));
      });
      batch.excludeMask = tensor(Uint8Array.from(flags), shape);
    },
    privateFields: ({ symmetric }) => (symmetric ? [] : ["queries", "labels"]),
  },
  // An image's own text may not be excluded; the scale is the exponential of a field.
  clip: { batch: includeDiagonal, huge: 100 },
  sigLip: { batch: includeDiagonal, huge: 100, privateFields: () => ["images"] },
  // Two views of each example.
  ntXent: {
    sizes(sizes) {
      sizes.N = 2 * Math.ceil(sizes.N! / 2);
    },
  },
  // The gradient passes a clamp of the value (torch), so that below eps it is not the slope.
  gaussianNll: {
    options(options) {
      delete options.eps;
    },
    batch: (batch) => awayFromZero(batch, "variance"),
  },
  cosineDistance: {
    options(options) {
      delete options.eps;
    },
  },
  // A logarithm of the rate is drawn, or the rate itself, which may not be 0 against a count.
  poissonNll: {
    batch(batch, { logInput }) {
      if (!logInput) awayFromZero(batch, "predictions");
    },
    huge: 100,
  },
  negativeBinomialNll: { batch: (batch) => awayFromZero(batch, "predictions") },
  // The cosine of one coordinate is ±1: its slope is 1e-12 of rounding.
  cosineEmbedding: {
    sizes(sizes) {
      sizes.D = sizes.D! + 1;
    },
  },
  // Logits are cosines, and draws reach 3.4 times their scale.
  angularMargin: {
    batch(batch) {
      const { data, shape } = batch.logits as Tensor<"logits", "float64">;
      batch.logits = tensor(
        data.map((entry) => Math.fround(entry / 8)),
        shape,
      );
    },
    huge: 0.29,
  },
  // References are needed unless the options say that there is none.
  dpo: {
    options(options) {
      if (options.kind === "exoPair" && !options.labelSmoothing) options.labelSmoothing = 0.1;
      // Above 1 the exponential side outgrows float64 at scores of 1e4.
      if (Number(options.discopopTau) > 1) delete options.discopopTau;
    },
    batch(batch, { referenceFree }, random) {
      if (referenceFree) return;
      besides(batch, "referenceChosen", "policyChosen", random);
      besides(batch, "referenceRejected", "policyRejected", random);
    },
    privateFields: () => ["policyChosen", "policyRejected", "referenceChosen", "referenceRejected"],
  },
  // The blank is a class and no label; lengths fit the labels, and an alignment exists.
  ctc: {
    sizes(sizes) {
      sizes.C = Math.max(sizes.C!, 2);
    },
    options(options, sizes, random) {
      options.blank = random.integer(0, sizes.C! - 1);
    },
    batch(batch, { blank, layout }, random) {
      const [first, second, classes] = ((batch.logits ?? batch.logProbs) as Tensor).shape as [number, number, number];
      const frames = layout === "BTC" ? second : first;
      alignable(
        batch,
        { blank: Number(blank), frames, classes },
        (label, before) => (label === before ? 2 : 1),
        random,
      );
    },
  },
  rnnTransducer: {
    sizes(sizes) {
      sizes.C = Math.max(sizes.C!, 2);
      sizes["U+1"] = sizes.U! + 1;
    },
    options(options, sizes, random) {
      options.blank = random.integer(0, sizes.C! - 1);
    },
    batch(batch, { blank }, random) {
      const [, frames, , classes] = (batch.logits as Tensor).shape as [number, number, number, number];
      alignable(batch, { blank: Number(blank), frames, classes }, () => 0, random);
    },
  },
  // The positions of a sequence come first in its row.
  linearChainCrf: {
    batch(batch, _options, random) {
      const { shape, data, dtype } = (batch.mask ?? { shape: [] }) as Tensor;
      if (shape.length < 2) return;
      const [rows, positions] = shape as [number, number];
      for (let row = 0; row < rows; row++) {
        const length = random.integer(0, positions);
        for (let t = 0; t < positions; t++) {
          data[row * positions + t] = dtype === "int64" ? BigInt(t < length) : Number(t < length);
        }
      }
    },
  },
  // On-policy the gradient is not the slope of the value (policy-gradient.test.ts holds it); the ratio is an exponential.
  policyGradient: {
    batch(batch, { klCoefficient }, random) {
      besides(batch, "oldLogProbs", "logProbs", random);
      if (klCoefficient !== 0) besides(batch, "referenceLogProbs", "logProbs", random);
    },
    huge: 50,
  },
};
