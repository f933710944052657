import { LosswrightError } from "../../errors/index.js";
import { TransducerLattice, topOf } from "../../sequence/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView } from "../definition.js";
import { SoftmaxRow } from "../softmax-row.js";
import {
  type AlignmentBatch,
  alignmentLabels,
  blankOption,
  closeRun,
  inputLengthsField,
  labelLengthsField,
  noteImpossible,
  rowsOf,
} from "./alignment.js";

/** Options of {@link rnnTransducer} beside the reduction. */
export interface RnnTransducerOptions {
  /** The class that reads the next frame and emits nothing; 0 by default. */
  readonly blank: number;
}

/** What {@link rnnTransducer} reads. */
export interface RnnTransducerBatch extends AlignmentBatch {
  /** `[B, T, U + 1, C]`: raw scores of the joint network at frame t after u labels. */
  readonly logits: Tensor<"logits" | Unlabeled>;
  /** `[B, U]`, padded. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

/**
 * RNN transducer: labels emitted between frames that nobody knows, each frame closed by a blank.
 *   loss_i          = −log Σ over alignments of Π p_{tu}(blank or next label)
 *   d/dlogits_tuk    = (b_tu + l_tu) p_tuk − [k = blank] b_tu − [k = label u+1] l_tu
 * where b and l are the posteriors of leaving node (t, u) by a blank and by the next label. The gradient is the full
 * one through the log-softmax. The unit is a sequence, its length the number of its labels. Nodes past inputLengths and
 * labelLengths are not read. A sequence of labels without frames has no alignment: loss +∞, gradient 0 and a note.
 * Graves 2012; torchaudio `rnnt_loss`, whose blank is the last class unless said.
 */
export const rnnTransducer = /*#__PURE__*/ defineLoss<RnnTransducerOptions, RnnTransducerBatch, "logits">({
  name: "rnnTransducer",
  family: "latent",
  unit: "sequence",
  unitShape: ["B"],
  documentation: {
    summary: "Labels emitted between frames: minus the log of the probability of all their alignments.",
    formula:
      "−log Σ over alignments of Π_tu p_tu(blank or next label), from (0, 0) through all labels and one blank a frame",
    gradient:
      "d/dlogits_tuk = (b_tu + l_tu) p_tuk − [k = blank] b_tu − [k = next label] l_tu, posteriors of the two ways on",
    likelihood: {
      target: "label sequence without frames",
      distribution: "categorical per node, summed over alignments",
    },
    pitfalls: [
      "The joint network gives one position more than there are labels: [B, T, U + 1, C].",
      "The blank is class 0 here; torchaudio's is the last one unless said: write blank: C − 1.",
      "Pass raw scores: the loss takes its own log-softmax over the classes.",
    ],
    metric: "characterErrorRate, wordErrorRate",
    source: "Graves 2012",
  },
  options: { blank: blankOption },
  fields: {
    logits: {
      meaning: "raw scores of the joint network at each frame after each number of labels",
      holds: "reals",
      roles: ["logits"],
      shape: ["B", "T", "U+1", "C"],
      read: "label",
      gradient: "row",
    },
    labels: {
      meaning: "the classes to emit, padded; the blank is none",
      holds: "indices",
      indexes: "C",
      roles: ["classIndices"],
      shape: ["B", "U"],
      read: "whole",
      gradient: "none",
    },
    inputLengths: inputLengthsField,
    labelLengths: labelLengthsField,
  },
  describe: ({ blank }) => `negative log-probability of all alignments of the labels (RNN transducer), blank ${blank}`,
  units(batch) {
    checkNodes(batch);
    const sequences = alignmentLabels(batch, batch.sizes.U);
    return { length: (unit) => sequences.length(unit) };
  },
  open(batch, { rows, own, note }) {
    const { blank } = batch.options;
    const { C: classes, "U+1": positions } = batch.sizes as { C: number; "U+1": number };
    const sequences = alignmentLabels(batch, batch.sizes.U);
    const { labels } = sequences;
    const lattice = new TransducerLattice();
    const softmax = new SoftmaxRow(classes);
    const nodes = rowsOf(rows.logits!, classes);
    const gradient = own.logits;
    let [frames, width] = [0, 0];
    let state: "aligned" | "impossible" | "broken" = "aligned";

    /** Fills the lattice, leaving each node's probabilities where its gradient begins; false for NaN and +∞. */
    const readNodes = () => {
      for (let t = 0; t < frames; t++) {
        for (let u = 0; u < width; u++) {
          const node = t * positions + u;
          softmax.update(nodes[node]!);
          if (softmax.broken) return false;
          lattice.blank[t * width + u] = 0 - softmax.negativeLog(blank);
          if (u + 1 < width) lattice.label[t * width + u] = 0 - softmax.negativeLog(labels[u]!);
          if (!gradient) continue;
          for (let k = 0; k < classes; k++) gradient[node * classes + k] = softmax.probability(k);
        }
      }
      return true;
    };

    /** Turns the probabilities of a node into its gradient. */
    const closeNode = (t: number, u: number) => {
      const from = (t * positions + u) * classes;
      const viaBlank = lattice.blankPosterior[t * width + u]!;
      const viaLabel = u + 1 < width ? lattice.labelPosterior[t * width + u]! : 0;
      const largest = topOf(gradient!, from, from + classes);
      for (let k = from; k < from + classes; k++) gradient![k] = gradient![k]! * (viaBlank + viaLabel);
      gradient![from + blank] = gradient![from + blank]! - viaBlank;
      if (u + 1 < width) gradient![from + labels[u]!] = gradient![from + labels[u]!]! - viaLabel;
      closeRun(gradient!, from, from + classes, largest);
    };

    return {
      loss(unit) {
        frames = sequences.frames(unit);
        const count = sequences.take(unit);
        width = count + 1;
        lattice.take(frames, count);
        if (!readNodes()) {
          state = "broken";
          return Number.NaN;
        }
        const logProbability = lattice.logProbability();
        state = logProbability === Number.NEGATIVE_INFINITY ? "impossible" : "aligned";
        if (state === "aligned") return 0 - logProbability;
        const needed = count > 0 ? 1 : 0;
        noteImpossible(note, unit, { frames, needed, labels: count }, "its loss is +∞, its gradient 0");
        return Number.POSITIVE_INFINITY;
      },
      gradient() {
        if (state === "aligned") lattice.posterior();
        for (let t = 0, node = 0; t < nodes.length / positions; t++) {
          for (let u = 0; u < positions; u++, node++) {
            const isLive = t < frames && u < width;
            if (isLive && state === "aligned") closeNode(t, u);
            else gradient!.fill(isLive && state === "broken" ? Number.NaN : 0, node * classes, (node + 1) * classes);
          }
        }
      },
      reads: (_, entry) => {
        const node = Math.floor(entry / classes);
        return Math.floor(node / positions) < frames && node % positions < width;
      },
    };
  },
});

/** The nodes of a frame are one more than the labels. */
function checkNodes({ where, sizes }: BatchView<RnnTransducerOptions>): void {
  const { U: labels, "U+1": positions } = sizes as { U: number; "U+1": number };
  if (positions === labels + 1 || positions === Number.POSITIVE_INFINITY) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field: "logits",
    found: `${positions} positions on axis 2 for labels [B, ${labels}]`,
    expected: `${labels + 1}, one more than there are labels: [B, T, U+1, C]`,
    fix:
      positions === labels
        ? "the prediction network starts from an empty prefix: give it a start symbol, so that it has U + 1 outputs."
        : `cut labels to the longest of the batch, so that U is ${positions - 1}, or check the order of the axes.`,
  });
}
