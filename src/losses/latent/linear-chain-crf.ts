import { LosswrightError } from "../../errors/index.js";
import { ChainLattice, type ChainPotentials, leadingOnes } from "../../sequence/index.js";
import { formatShape, type Tensor, type Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, FieldSpec, UnitFields } from "../definition.js";
import { closeRun } from "./alignment.js";

/** What {@link linearChainCrf} reads. */
export interface LinearChainCrfBatch extends Omit<UnitFields, "mask"> {
  /** `[B, T, K]`: score of each label at each position. */
  readonly emissions: Tensor<"scores" | "logits" | Unlabeled>;
  /** `[K, K]`: score of going from the row's label to the column's. */
  readonly transitions: Tensor<"scores" | "logits" | Unlabeled>;
  /** `[K]`: score of beginning with a label; 0 without it. */
  readonly start?: Tensor<"scores" | "logits" | Unlabeled>;
  /** `[K]`: score of ending with a label; 0 without it. */
  readonly end?: Tensor<"scores" | "logits" | Unlabeled>;
  /** `[B, T]`. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
  /** `[B, T]`: 1 at the positions of a sequence, which come first in its row; or `[B]`, of whole sequences. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
}

const potential = { holds: "reals", roles: ["scores", "logits"], read: "whole", gradient: "shared" } as const;

/**
 * Linear-chain conditional random field: a label at each position, scored together with its neighbor.
 *   score(y)          = start(y₁) + Σ_t emission_t(y_t) + Σ_t transition(y_{t−1}, y_t) + end(y_n)
 *   loss_i            = log Σ_y e^score(y) − score(labels)
 *   d/demission_t(k)   = P(y_t = k) − [k = label_t];   start and end likewise at the first and last position
 *   d/dtransition(i, j) = Σ_t P(y_{t−1} = i, y_t = j) − [label_{t−1} = i, label_t = j]
 * The unit is a sequence, its length the number of its positions: the ones of `mask`, a prefix of each row. A sequence
 * without positions is no unit. Scores are taken relative to the labels', so that a loss far below 1 keeps its digits.
 * A −∞ potential forbids: on the labels' own path loss +∞, gradient 0 and a note. NaN or +∞ in what is read gives NaN.
 * Lafferty, McCallum and Pereira 2001; pytorch-crf.
 */
export const linearChainCrf = /*#__PURE__*/ defineLoss<
  object,
  LinearChainCrfBatch,
  "emissions" | "transitions" | "start" | "end"
>({
  name: "linearChainCrf",
  family: "latent",
  unit: "sequence",
  unitShape: ["B"],
  documentation: {
    summary:
      "A label at each position, scored with its neighbors: minus the log of the probability of the whole labeling.",
    formula:
      "log Σ_y e^score(y) − score(labels),  score(y) = start(y₁) + Σ emission_t(y_t) + Σ transition(y_{t−1}, y_t) + end(y_n)",
    gradient:
      "d/demission_t(k) = P(y_t = k) − [k = label]; d/dtransition(i, j) = Σ_t P(y_{t−1} = i, y_t = j) − [i, j are the labels]",
    likelihood: { target: "labeling of a sequence", distribution: "linear-chain conditional random field" },
    pitfalls: [
      "transitions[from, to]: the transpose trains too, and decodes wrongly.",
      "The mask is a prefix of each row: the ones come first, from position 0 on.",
      "Decode with linearChainCrfDecode: the best label of each position alone is not the best labeling.",
    ],
    metric: "tokenAccuracy, exactMatch",
    source: "Lafferty, McCallum and Pereira 2001",
  },
  options: {},
  fields: {
    emissions: {
      meaning: "score of each label at each position",
      holds: "reals",
      roles: ["scores", "logits"],
      shape: ["B", "T", "K"],
      read: "label",
      gradient: "row",
    },
    transitions: { ...potential, meaning: "score of going from the row's label to the column's", shape: ["K", "K"] },
    start: { ...potential, meaning: "score of beginning with a label", shape: ["K"], optional: true },
    end: { ...potential, meaning: "score of ending with a label", shape: ["K"], optional: true },
    labels: {
      meaning: "the label of each position",
      holds: "indices",
      indexes: "K",
      roles: ["classIndices"],
      shape: ["B", "T"],
      read: "whole",
      gradient: "none",
    },
    mask: {
      meaning: "1 at the positions of a sequence, first in its row; or one entry a sequence",
      holds: "flags",
      roles: ["mask"],
      shape: ["B", "T"],
      read: "whole",
      gradient: "none",
      optional: true,
      orUnits: true,
    },
  } satisfies Record<string, FieldSpec>,
  describe: () => "negative log-probability of the labeling under a linear-chain conditional random field",
  units(batch) {
    const length = lengthOf(batch);
    return { present: (unit) => length(unit) > 0, length };
  },
  open(batch, { rows, own, sums, note }) {
    const { T: positions, K: labels } = batch.sizes as { T: number; K: number };
    const lengthIn = lengthOf(batch);
    const read = labelReader(batch);
    const reference = new Int32Array(positions);
    const emissions = rows.emissions!;
    const potentials: ChainPotentials = {
      labels,
      transitions: batch.reals("transitions"),
      start: batch.has("start") ? batch.reals("start") : undefined,
      end: batch.has("end") ? batch.reals("end") : undefined,
    };
    const broken = (["transitions", "start", "end"] as const).find((name) => {
      const values = potentials[name];
      return values && !areScores(values, values.length);
    });
    const lattice = new ChainLattice(potentials);
    const moves = new Float64Array(labels * labels);
    let length = 0;
    let state: "scored" | "impossible" | "broken" = "scored";

    /** d loss / d transition of one step: the posterior of its pairs, less the labels' own. */
    const addPairs = (position: number, pairs: Float64Array) => {
      const own = reference[position - 1]! * labels + reference[position]!;
      closeRun(pairs, 0, pairs.length, own);
      for (let at = 0; at < pairs.length; at++) moves[at] = moves[at]! + pairs[at]!;
    };

    return {
      loss(unit) {
        length = lengthIn(unit);
        read(unit, length, reference);
        if (broken) note("non-finite-input", unit, `${broken} hold NaN or +∞`, broken);
        if (broken || !areScores(emissions, length * labels)) {
          state = "broken";
          return Number.NaN;
        }
        if (scoreOf(reference, length, emissions, potentials) === Number.NEGATIVE_INFINITY) {
          state = "impossible";
          const message = `the labels of sequence ${unit} have probability 0, forbidden by a score of −∞`;
          note("impossible-alignment", unit, `${message}: its loss is +∞, its gradient 0`);
          return Number.POSITIVE_INFINITY;
        }
        state = "scored";
        lattice.take(emissions, length, reference);
        return lattice.logPartition();
      },
      gradient() {
        const gradient = own.emissions!;
        gradient.fill(0);
        moves.fill(0);
        if (state === "broken") {
          gradient.fill(Number.NaN, 0, length * labels);
          moves.fill(Number.NaN);
        }
        if (state !== "scored") return;
        const posterior = lattice.posterior(addPairs);
        for (let t = 0; t < length; t++) {
          const from = t * labels;
          for (let k = from; k < from + labels; k++) gradient[k] = posterior[k]!;
          closeRun(gradient, from, from + labels, from + reference[t]!);
        }
      },
      addShared(_unit, factor) {
        addScaled(sums.transitions!, moves, 0, factor);
        if (sums.start) addScaled(sums.start, own.emissions!, 0, factor);
        if (sums.end) addScaled(sums.end, own.emissions!, (length - 1) * labels, factor);
      },
      reads: (_, entry) => entry < length * labels,
    };
  },
});

/** The positions of each sequence. @throws `value` for a mask whose ones do not come first */
function lengthOf(batch: BatchView<object>): (unit: number) => number {
  const { B: sequences, T: positions } = batch.sizes as { B: number; T: number };
  if (!batch.has("mask")) return () => positions;
  const flag = batch.flag("mask");
  const known = new Int32Array(sequences).fill(-1);
  return (unit) => {
    if (known[unit] === -1) known[unit] = leadingOnes(batch.where, flag, unit, positions);
    return known[unit]!;
  };
}

/** Reads the labels of a sequence. @throws `value` outside 0..K − 1 */
function labelReader(batch: BatchView<object>): (unit: number, length: number, into: Int32Array) => void {
  const { T: positions, K: labels } = batch.sizes as { T: number; K: number };
  const read = batch.integer("labels");
  return (unit, length, into) => {
    for (let t = 0; t < length; t++) {
      const found = read(unit * positions + t);
      into[t] = found;
      if (into[t] === found && found >= 0 && found < labels) continue;
      throw new LosswrightError({
        code: "value",
        where: batch.where,
        field: "labels",
        found: `${found} at ${formatShape([unit, t])}`,
        expected: `a label in 0..${labels - 1}`,
        fix: `transitions and emissions know ${labels} labels: check where counting starts, or mask the positions that are padding.`,
        index: [unit, t],
      });
    }
  };
}

/** Whether the first of some numbers are scores: finite, or −∞. */
function areScores(values: Float64Array | Float32Array, count: number): boolean {
  for (let k = 0; k < count; k++) if (!(values[k]! < Number.POSITIVE_INFINITY)) return false;
  return true;
}

/** The score of a labeling. */
function scoreOf(
  path: Int32Array,
  length: number,
  emissions: Float64Array,
  { labels, transitions, start, end }: ChainPotentials,
): number {
  let score = (start?.[path[0]!] ?? 0) + (end?.[path[length - 1]!] ?? 0);
  for (let t = 0; t < length; t++) {
    score += emissions[t * labels + path[t]!]!;
    if (t > 0) score += transitions[path[t - 1]! * labels + path[t]!]!;
  }
  return score;
}

/** Adds factor · a row of as many numbers, which begin at `from`. */
function addScaled(sum: Float64Array, values: Float64Array, from: number, factor: number): void {
  for (let k = 0; k < sum.length; k++) sum[k] = sum[k]! + values[from + k]! * factor;
}
