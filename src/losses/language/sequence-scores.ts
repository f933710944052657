import { choiceOption, numberOption, type OptionSpecs, resolveOptions } from "../../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../../errors/index.js";
import { type Engine, ExactSum } from "../../tally/index.js";
import { formatShape, isTensor, type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import { type AnyBatch, type BoundBatch, bindBatch, type FieldsOf } from "../batch.js";
import { gradientBuffers } from "../call.js";
import { hardLabelKernel } from "../categorical/cross-entropy-row.js";
import { categoricalFields } from "../categorical/labels.js";
import type { RowDefinition } from "../definition.js";
import { checkEngine, kernelFor, type ReadyKernel, walkWithKernel } from "../kernel-walk.js";
import type { CallOptions } from "../objective.js";
import { SoftmaxRow } from "../softmax-row.js";
import { Units } from "../units.js";

const where = "sequenceScores";

interface Options {
  readonly score: "sum" | "mean";
  readonly ignoreIndex: number;
}

/** What {@link sequenceScores} takes: `logits` or `logProbs`, the labels, and how a score is formed. */
export type SequenceScoresInput = Partial<Options> & {
  /** Forces an engine; without it a kernel runs where it can. */
  readonly engine?: Engine;
  /** The token at each position, already shifted: `labels[b, t]` is what the scores at t predict. `[B, T]`. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
  /** 1 where a token counts, beside `ignoreIndex`: `[B, T]` or `[B, 1]`. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
} & (
    | { readonly logits: Tensor<"logits" | Unlabeled>; readonly logProbs?: never }
    | { readonly logProbs: Tensor<"logProbabilities" | Unlabeled>; readonly logits?: never }
  );

/** The scores `[B]` themselves, with the way back to the logits. */
export interface ScoredSequences extends Tensor<"scores", "float64"> {
  /** Whether they are sums or means; what `dpo` and its kin write into their contract. */
  readonly score: "sum" | "mean";
  /** Which engine computed the log-probabilities of float32 logits, and will compute their gradients. */
  readonly ranBy: Engine;
  /** How many labels each sequence counts, `[B]`. */
  readonly lengths: Tensor<Unlabeled, "int32">;
  /**
   * The chain rule: from d L / d scores `[B]` to d L / d logits (or logProbs) `[B, T, K]`, of their dtype, each entry
   * rounded once. A sequence whose gradient is 0 leaves zeros, whatever its logits hold. The logits are read again, not
   * kept: they must be what they were.
   *
   * @param call - `into: { gradients: { logits } }` writes into a tensor of the caller's
   * @throws `argument`, `dtype`, `shape` for what is no gradient of the scores, `unknown` for another call option
   */
  pullback(scoreGradients: Tensor, call?: Pick<CallOptions, "into">): Tensor<Unlabeled>;
}

const fields = {
  logits: { ...categoricalFields.logits, shape: ["B", "T", "K"], read: "label", optional: true },
  logProbs: {
    ...categoricalFields.logits,
    meaning: "log-probabilities of the classes, not normalized again",
    roles: ["logProbabilities"],
    shape: ["B", "T", "K"],
    read: "label",
    optional: true,
  },
  labels: { ...categoricalFields.labels, shape: ["B", "T"], optional: false },
} as const satisfies FieldsOf<Options>["fields"];

const definition: FieldsOf<Options> = { name: where, fields, oneOf: [["logits", "logProbs"]], unitShape: ["B", "T"] };

/** −log p of the label of each position of `logits`, as a loss for the engines. */
const tokenLoss: RowDefinition = {
  ...definition,
  open(batch, { rows, own }) {
    const label = batch.index("labels");
    const logits = rows.logits!;
    const softmax = new SoftmaxRow(logits.length);
    return {
      loss(unit) {
        softmax.update(logits);
        return softmax.broken ? Number.NaN : softmax.negativeLog(label(unit));
      },
      gradient(unit) {
        const slopes = own.logits!;
        const y = label(unit);
        for (let k = 0; k < slopes.length; k++) slopes[k] = softmax.probability(k);
        slopes[y] = softmax.broken ? Number.NaN : -softmax.complement(y);
      },
    };
  },
  kernel: (batch) => (batch.has("logits") ? hardLabelKernel(batch) : "log-probabilities are given"),
};

const specs: OptionSpecs<Options> = {
  score: choiceOption("whether a score is the sum or the mean of its tokens' log-probabilities", "sum", [
    "sum",
    "mean",
  ]),
  ignoreIndex: numberOption("the label that does not count", -100, { integer: true }),
};

/**
 * The log-probability of each sequence of a batch, with its gradient.
 *   score_b                = Σ_t log p(y_bt)          over the labels that count,   / n_b for score: "mean"
 *   d score_b / d z_btk    = 1[k = y_bt] − p_btk                                    / n_b
 *   d score_b / d logProbs = 1[k = y_bt]                                            / n_b
 * A sequence without a label scores 0. Sums favor short answers, since log-probabilities are negative; means weaken
 * length and change what a preference means: `dpo` and its kin name the choice in their contract (`score`).
 *
 * Sums are exact and rounded once; −log p is that of `crossEntropy`, so a sum is minus its numerator. Logits of labels
 * that do not count are never read. NaN or +∞ in a row that counts gives NaN; a label of probability 0 gives −∞.
 *
 * @param input - `logits [B, T, K]` or `logProbs [B, T, K]` (not normalized again), `labels [B, T]` already shifted
 * (`shiftLabels`, `splitNextToken`), `mask?`, `score` ("sum"), `ignoreIndex` (−100)
 * @returns a float64 tensor of scores `[B]` with `lengths` and `pullback`
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option`; `value` for a label out of range
 * @see TRL `selective_log_softmax` and its sums over a completion mask; Rafailov et al. 2023, section 4
 *
 * @example
 * const chosen = sequenceScores({ logits, labels });
 * const { gradients } = dpo().valueAndGradients({ policyChosen: chosen, policyRejected, referenceChosen, referenceRejected });
 * const toLogits = chosen.pullback(gradients.policyChosen);
 */
export function sequenceScores(input: SequenceScoresInput): ScoredSequences {
  checkObject(where, "input", input);
  rejectUnknown(where, "argument", input, [...Object.keys(fields), "mask", "engine", ...Object.keys(specs)]);
  const { score: givenScore, ignoreIndex: givenIgnored, engine, ...tensors } = input;
  if (engine !== undefined) checkEngine(where, engine);
  const options = resolveOptions(where, specs, { score: givenScore, ignoreIndex: givenIgnored });
  const batch = bindBatch(definition, options, tensors as AnyBatch);
  const label = batch.integer("labels");
  const rules = {
    present: (unit: number) => label(unit) !== options.ignoreIndex,
    ignored: { field: "labels", value: options.ignoreIndex },
  };
  // Rows are the groups, so that each has a factor of its own on the way back.
  const units = new Units(batch, rules, { per: "sequence", divideBy: "weight", onEmpty: "zero" }, 0);
  const [rows, steps] = batch.unitShape as [number, number];
  const kernel = kernelFor(tokenLoss, batch, engine);
  const tokens = kernel
    ? kernelTokens(kernel, batch, units)
    : batch.has("logits")
      ? logitTokens(batch, units)
      : logProbTokens(batch, units);
  const scores = new Float64Array(rows);
  const lengths = new Int32Array(rows);
  const sum = new ExactSum();
  for (let row = 0; row < rows; row++) {
    sum.clear();
    for (let unit = row * steps; unit < (row + 1) * steps; unit++) {
      if (!units.counts(unit)) continue;
      sum.add(tokens.logProbability(unit));
      lengths[row]!++;
    }
    scores[row] = sum.value / (options.score === "mean" ? Math.max(lengths[row]!, 1) : 1);
  }
  return {
    ...view(scores, [rows], "scores", "float64"),
    score: options.score,
    ranBy: kernel ? "wasm" : "reference",
    lengths: view(lengths, [rows], "unlabeled", "int32"),
    pullback(scoreGradients, call = {}) {
      const slopes = readScoreGradients(scoreGradients, rows);
      checkObject(where, "call", call);
      rejectUnknown(where, "call option", call, ["into"]);
      const buffers = gradientBuffers(batch, fields, call.into?.gradients, !kernel);
      const out = buffers[tokens.field] as Tensor<Unlabeled, "float64">;
      tokens.spread((row) => slopes[row]! / (options.score === "mean" ? Math.max(lengths[row]!, 1) : 1), out);
      return out;
    },
  };
}

/** log p of the labels of a batch, and where their gradients go. */
interface Tokens {
  readonly field: "logits" | "logProbs";
  logProbability(unit: number): number;
  /** Writes factor(row) · d log p / d field into the rows of all units; a factor of 0 leaves zeros. */
  spread(factor: (row: number) => number, out: Tensor<Unlabeled, "float64">): void;
}

function kernelTokens(kernel: ReadyKernel, batch: BoundBatch<Options>, units: Units): Tokens {
  const walk = { definition: tokenLoss, batch, units, wantsLosses: true };
  const losses = walkWithKernel(kernel, walk).losses!;
  return {
    field: "logits",
    logProbability: (unit) => -losses[unit]!,
    spread(factor, out) {
      // The loss is −log p.
      const plan = { factor: (_: number, row: number) => 0 - factor(row), gradients: { logits: out } };
      walkWithKernel(kernel, { ...walk, gradients: plan });
    },
  };
}

/** Calls a function for each unit that counts, with the factor of its row, where that is not 0. */
function spreadOver(units: Units, factor: (row: number) => number, write: (unit: number, factor: number) => void) {
  for (let unit = 0; unit < units.count; unit++) {
    const slope = factor(units.groupOf(unit));
    if (slope !== 0 && units.counts(unit)) write(unit, slope);
  }
}

function logitTokens(batch: BoundBatch<Options>, units: Units): Tokens {
  const classes = batch.sizes.K!;
  const logits = batch.reals("logits");
  const label = batch.index("labels");
  const row = new Float64Array(classes);
  const softmax = new SoftmaxRow(classes);
  const update = (unit: number) => {
    for (let k = 0; k < classes; k++) row[k] = logits[unit * classes + k]!;
    softmax.update(row);
  };
  return {
    field: "logits",
    logProbability(unit) {
      const y = label(unit);
      update(unit);
      return softmax.broken ? Number.NaN : -softmax.negativeLog(y);
    },
    spread(factor, { data }) {
      spreadOver(units, factor, (unit, slope) => {
        update(unit);
        const start = unit * classes;
        for (let k = 0; k < classes; k++) data[start + k] = -softmax.probability(k) * slope;
        data[start + label(unit)] = softmax.broken ? Number.NaN : softmax.complement(label(unit)) * slope;
      });
    },
  };
}

function logProbTokens(batch: BoundBatch<Options>, units: Units): Tokens {
  const classes = batch.sizes.K!;
  const logProbs = batch.reals("logProbs");
  const label = batch.index("labels");
  return {
    field: "logProbs",
    logProbability: (unit) => logProbs[unit * classes + label(unit)]!,
    spread(factor, { data }) {
      spreadOver(units, factor, (unit, slope) => {
        data[unit * classes + label(unit)] = slope;
      });
    },
  };
}

/** @throws `argument`, `role`, `dtype`, `shape` for what is no float tensor `[B]` */
function readScoreGradients(given: unknown, rows: number): Float64Array | Float32Array {
  const isFloat = isTensor(given) && (given.dtype === "float64" || given.dtype === "float32");
  if (isFloat && given.shape.length === 1 && given.shape[0] === rows) return given.data as Float64Array;
  throw new LosswrightError({
    code: !isTensor(given) ? "argument" : !isFloat ? "dtype" : "shape",
    where: `${where}.pullback`,
    field: "scoreGradients",
    found: isTensor(given) ? `${given.dtype} ${formatShape(given.shape)}` : typeof given,
    expected: `a float tensor [${rows}]: the derivative by each score`,
    fix: "pass gradients.policyChosen of the objective that took these scores.",
  });
}
