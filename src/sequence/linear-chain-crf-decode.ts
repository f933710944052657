import { rejectUnknown } from "../errors/index.js";
import { formatShape, placeOf, type Tensor, type Unlabeled } from "../tensor/index.js";
import { checkFlags, checkReals, wrong } from "./arguments.js";
import { ChainLattice } from "./chain-lattice.js";
import { leadingOnes } from "./leading-ones.js";

type Scores = Tensor<"scores" | "logits" | Unlabeled>;

/** What {@link linearChainCrfDecode} reads: the fields of the objective `linearChainCrf`, without the labels. */
export interface LinearChainCrfScores {
  /** `[B, T, K]`: score of each label at each position. */
  readonly emissions: Scores;
  /** `[K, K]`: score of going from the row's label to the column's. */
  readonly transitions: Scores;
  /** `[K]` each: score of beginning and of ending with a label; 0 without them. */
  readonly start?: Scores;
  readonly end?: Scores;
  /** `[B, T]`: 1 at the positions of a sequence, which come first in its row. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
}

/** The best labeling of a sequence. */
export interface Labeling {
  /** `[n]`; empty where the sequence has no positions or every labeling is forbidden. */
  readonly labels: Int32Array;
  /** Its score, 0 for no positions; −∞ where every labeling is forbidden. */
  readonly score: number;
  /** Log of its probability among all labelings: score − log Z; −∞ where every labeling is forbidden. */
  readonly logProbability: number;
}

/**
 * The labeling of the highest score of each sequence (Viterbi), over the lattice that the objective `linearChainCrf`
 * sums over.
 *
 * @returns one labeling a sequence; of equals, the lower label, the last position first
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape` and `value` with the fix
 */
export function linearChainCrfDecode(fields: LinearChainCrfScores): readonly Labeling[] {
  const where = "linearChainCrfDecode";
  rejectUnknown(where, "field", fields, ["emissions", "transitions", "start", "end", "mask"]);
  const emissions = checkReals(where, "emissions", fields.emissions, ["scores", "logits"], ["B", "T", "K"]);
  const [sequences, positions, labels] = emissions.shape as [number, number, number];
  const shared = (field: "transitions" | "start" | "end", shape: readonly number[]) => {
    const { data } = checkReals(where, field, fields[field], ["scores", "logits"], shape);
    for (let k = 0; k < data.length; k++) checkScore(where, field, data[k]!, placeOf(k, shape));
    return data;
  };
  const lattice = new ChainLattice({
    labels,
    transitions: shared("transitions", [labels, labels]),
    start: fields.start && shared("start", [labels]),
    end: fields.end && shared("end", [labels]),
  });
  const flag = fields.mask && checkFlags(where, "mask", fields.mask, [sequences, positions]);
  const row = new Float64Array(positions * labels);
  return Array.from({ length: sequences }, (_, sequence) => {
    const length = flag ? leadingOnes(where, flag, sequence, positions) : positions;
    for (let k = 0; k < length * labels; k++) {
      row[k] = emissions.data[sequence * row.length + k]!;
      if (!(row[k]! < Number.POSITIVE_INFINITY)) {
        checkScore(where, "emissions", row[k]!, [sequence, ...placeOf(k, [positions, labels])]);
      }
    }
    lattice.take(row, length);
    const best = new Int32Array(length);
    const score = lattice.bestPath(best);
    if (score === Number.NEGATIVE_INFINITY) return { labels: new Int32Array(0), score, logProbability: score };
    // Taken relative to the best labeling, log Z is small, and keeps its digits.
    lattice.take(row, length, best);
    return { labels: best, score, logProbability: 0 - lattice.logPartition() };
  });
}

function checkScore(where: string, field: string, score: number, index: readonly number[]): void {
  if (score < Number.POSITIVE_INFINITY) return;
  throw wrong(where, "value", field, `${score} at ${formatShape(index)}`, "a score below +∞", undefined, index);
}
