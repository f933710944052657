import { choiceOption, flagOption } from "../../contract/index.js";
import { ctcModule } from "../../kernels/binaries/ctc.js";
import { runCtc } from "../../kernels/index.js";
import { CtcLattice, framesNeeded, topOf } from "../../sequence/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { FieldSpec, Workspace } from "../definition.js";
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

/** Options of {@link ctc} beside the reduction. */
export interface CtcOptions {
  /** The class that emits nothing; 0 by default. */
  readonly blank: number;
  /** The order of the scores' axes: `"TBC"` (default) or `"BTC"`. */
  readonly layout: "TBC" | "BTC";
  /** Makes the loss of a sequence without an alignment 0 instead of +∞; the sequence still counts. Default false. */
  readonly zeroInfinity: boolean;
}

/** What {@link ctc} reads: exactly one of `logits` and `logProbs`. */
export interface CtcBatch extends AlignmentBatch {
  /** `[T, B, C]`, or `[B, T, C]` under `layout: "BTC"`: raw scores of the classes in each frame. */
  readonly logits?: Tensor<"logits" | Unlabeled>;
  /** The same of log-probabilities, taken as they are. */
  readonly logProbs?: Tensor<"logProbabilities" | Unlabeled>;
  /** `[B, S]`, padded; or `[ΣS]`, one sequence after another. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

const layouts = { option: "layout", shapes: { TBC: ["T", "B", "C"], BTC: ["B", "T", "C"] } } as const;

const scoresField = {
  holds: "reals",
  shape: layouts.shapes.TBC,
  layouts,
  read: "label",
  gradient: "row",
  optional: true,
} as const satisfies Partial<FieldSpec>;

/**
 * Connectionist temporal classification: the labels of a sequence, at frames that nobody knows.
 *   loss_i        = −log Σ_π Π_t p_t(π_t)     over the paths π whose repeats merge and blanks drop to the labels
 *   d/dlogProbs_tk = −γ_tk                     γ: the posterior of class k in frame t; the entries are free variables
 *   d/dlogits_tk   = p_tk − γ_tk
 * The unit is a sequence, its length the number of its labels: `per: "sequence"` is torch's mean, `per: "token"`
 * divides by all labels. In log space, each frame scaled by its largest entry: 10,000 frames lose no digits.
 * A sequence with fewer frames than labels and repeats has no alignment: loss +∞, gradient 0 and a note; 0 under
 * `zeroInfinity`, and it still counts. No labels: the path of blanks alone. A NaN or +∞ in a live frame gives NaN.
 * Graves et al. 2006; torch `ctc_loss`, whose gradient of log-probabilities adds the softmax's exp(logProbs).
 */
export const ctc = /*#__PURE__*/ defineLoss<CtcOptions, CtcBatch, "logits" | "logProbs">({
  name: "ctc",
  family: "latent",
  unit: "sequence",
  unitShape: ["B"],
  documentation: {
    summary: "Labels whose frames are unknown: minus the log of the probability of all their alignments.",
    formula: "−log Σ_π Π_t p_t(π_t) over the frame paths π that collapse to the labels (merge repeats, drop blanks)",
    gradient: "d/dlogits = p_tk − γ_tk, d/dlogProbs = −γ_tk, with γ_tk the posterior of class k in frame t",
    likelihood: {
      target: "label sequence without frames",
      distribution: "categorical per frame, summed over alignments",
    },
    pitfalls: [
      "The default layout is [T, B, C]; batch first is layout: BTC. Where T equals B nothing betrays a mistake.",
      "An alignment needs a frame a label and one more between equal neighbors, counted after the encoder's subsampling.",
      "The blank is a class of its own: no label may have its index.",
      "zeroInfinity hides sequences that cannot be learned: read the note, and count them.",
    ],
    metric: "characterErrorRate, wordErrorRate",
    source: "Graves et al. 2006",
  },
  options: {
    blank: blankOption,
    layout: choiceOption("the order of the scores' axes: time, batch, classes", "TBC", ["TBC", "BTC"]),
    zeroInfinity: flagOption("makes the loss of a sequence without an alignment 0; it still counts", false),
  },
  fields: {
    logits: { ...scoresField, meaning: "raw scores of each frame", roles: ["logits"] },
    logProbs: {
      ...scoresField,
      meaning: "log-probabilities of each frame, taken as they are",
      roles: ["logProbabilities"],
    },
    labels: {
      meaning: "the classes to emit, padded [B, S], or one sequence after another [N]; the blank is none",
      holds: "indices",
      indexes: "C",
      roles: ["classIndices"],
      shape: ["B", "S"],
      orShape: ["N"],
      read: "whole",
      gradient: "none",
    },
    inputLengths: inputLengthsField,
    labelLengths: labelLengthsField,
  },
  oneOf: [["logits", "logProbs"]],
  describe: ({ blank, layout, zeroInfinity }) =>
    [
      "negative log-probability of all alignments of the labels (CTC)",
      `blank ${blank}`,
      `scores as [${[...layout].join(", ")}]`,
      zeroInfinity ? "a sequence without an alignment counts with loss 0" : "+∞ for a sequence without an alignment",
    ].join(", "),
  units(batch) {
    const sequences = alignmentLabels(batch, batch.sizes.S);
    return { length: (unit) => sequences.length(unit) };
  },
  kernel(batch) {
    const field = batch.has("logProbs") ? "logProbs" : "logits";
    const { T, C } = batch.sizes as { T: number; C: number };
    return {
      module: ctcModule,
      kernel: "ctc",
      inputs: [field],
      outputs: [field],
      nanoseconds: T * C,
      run: (call) =>
        runCtc(call, {
          scores: batch.data(field) as Float32Array,
          framesFirst: batch.options.layout === "TBC",
          isNormalized: field === "logProbs",
          frames: T,
          classes: C,
          blank: batch.options.blank,
          sequences: alignmentLabels(batch, batch.sizes.S),
        }),
    };
  },
  open(batch, { rows, own, note }) {
    const { blank, zeroInfinity } = batch.options;
    const classes = batch.sizes.C!;
    const sequences = alignmentLabels(batch, batch.sizes.S);
    const lattice = new CtcLattice(blank);
    const isNormalized = batch.has("logProbs");
    const row = (isNormalized ? rows.logProbs : rows.logits)!;
    const gradient = isNormalized ? own.logProbs : own.logits;
    const scores = isNormalized ? row : new Float64Array(row.length);
    const read = isNormalized ? logProbsReader(row, classes, note) : logitsReader(row, classes, scores, gradient);
    let frames = 0;
    let state: "aligned" | "impossible" | "broken" = "aligned";
    return {
      loss(unit) {
        frames = sequences.frames(unit);
        const count = sequences.take(unit);
        if (!read(unit, frames)) {
          state = "broken";
          return Number.NaN;
        }
        const needed = framesNeeded(sequences.labels, count);
        lattice.take(scores, classes, frames, sequences.labels, count);
        const logProbability = needed > frames ? Number.NEGATIVE_INFINITY : lattice.logProbability();
        state = logProbability === Number.NEGATIVE_INFINITY ? "impossible" : "aligned";
        if (state === "aligned") return 0 - logProbability;
        const outcome = zeroInfinity
          ? "zeroInfinity makes its loss 0, and it counts"
          : "its loss is +∞, its gradient 0";
        noteImpossible(note, unit, { frames, needed, labels: count }, outcome);
        return zeroInfinity ? 0 : Number.POSITIVE_INFINITY;
      },
      gradient() {
        const live = frames * classes;
        gradient!.fill(0, live);
        if (state !== "aligned") gradient!.fill(state === "broken" ? Number.NaN : 0, 0, live);
        else if (isNormalized) subtractPosterior(lattice, gradient!.fill(0), classes, false);
        else subtractPosterior(lattice, gradient!, classes, true);
      },
      reads: (_, entry) => entry < frames * classes,
    };
  },
});

/** Reads the frames of a sequence, and says whether they are all scores: a NaN or +∞ is none. */
type FrameReader = (unit: number, frames: number) => boolean;

/** Log-probabilities are there already; some above 0 are said, since raw scores look like that. */
function logProbsReader(row: Float64Array, classes: number, note: Workspace["note"]): FrameReader {
  return (unit, frames) => {
    let highest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < frames * classes; k++) {
      const score = row[k]!;
      if (!(score < Number.POSITIVE_INFINITY)) return false;
      if (score > highest) highest = score;
    }
    if (highest > roundedAboveZero) {
      const message = `logProbs reach ${highest}, and no log-probability is above 0: pass raw scores as logits`;
      note("log-probs-above-zero", unit, message, "logProbs");
    }
    return true;
  };
}

/** What a log-softmax in float32 may come out above 0. */
const roundedAboveZero = 1e-6;

/** Takes the log-softmax of each frame, and leaves its probabilities where the gradient begins with them. */
function logitsReader(
  row: Float64Array,
  classes: number,
  scores: Float64Array,
  probabilities: Float64Array | undefined,
): FrameReader {
  const softmax = new SoftmaxRow(classes);
  const rows = rowsOf(row, classes);
  return (_unit, frames) => {
    for (let t = 0; t < frames; t++) {
      softmax.update(rows[t]!);
      if (softmax.broken) return false;
      const from = t * classes;
      for (let k = 0; k < classes; k++) scores[from + k] = 0 - softmax.negativeLog(k);
      if (probabilities) for (let k = 0; k < classes; k++) probabilities[from + k] = softmax.probability(k);
    }
    return true;
  };
}

/** Takes γ of each class from the rows of frames; closes them where they sum to 0. */
function subtractPosterior(lattice: CtcLattice, gradient: Float64Array, classes: number, closes: boolean): void {
  const { frames, states } = lattice;
  const posterior = lattice.posterior();
  for (let t = 0; t < frames; t++) {
    const from = t * classes;
    const largest = topOf(gradient, from, from + classes);
    for (let s = 0; s < states; s++) {
      const at = from + lattice.symbol(s);
      gradient[at] = gradient[at]! - posterior[t * states + s]!;
    }
    if (closes) closeRun(gradient, from, from + classes, largest);
  }
}
