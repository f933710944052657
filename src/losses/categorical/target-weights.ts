import type { BatchView, Workspace } from "../definition.js";
import type { SoftmaxRow } from "../softmax-row.js";

/** How the targets of a batch become a weight for each class. */
export interface Weighting {
  /** ε: the target becomes (1 − ε) q + ε/K. */
  readonly smoothing?: number;
  /** Factor on each class, after smoothing. */
  readonly perClass?: readonly number[] | null;
}

/**
 * What stands against the softmax of a unit, as one weight for each class: w_k = c_k ((1 − ε) q_k + ε/K), where q is
 * the unit's row of `targets` or 1 at its label. `fill` writes them; they stay until the next unit.
 */
export class TargetWeights {
  readonly weights: Float64Array;
  /** Writes the weights of a unit. */
  readonly fill: (unit: number) => void;

  constructor(batch: BatchView<object>, { rows, note }: Workspace, { smoothing = 0, perClass = null }: Weighting = {}) {
    const classes = batch.sizes.K!;
    const weights = new Float64Array(classes);
    this.weights = weights;
    if (batch.has("labels")) {
      const label = batch.index("labels");
      const spread = weights.map((_, k) => (smoothing / classes) * (perClass?.[k] ?? 1));
      this.fill = (unit) => {
        const y = label(unit);
        weights.set(spread);
        weights[y]! += (1 - smoothing) * (perClass?.[y] ?? 1);
      };
      return;
    }
    const targets = rows.targets!;
    this.fill = (unit) => {
      let sum = 0;
      for (let k = 0; k < classes; k++) {
        const target = targets[k]!;
        sum += target;
        const smoothed = smoothing > 0 ? (1 - smoothing) * target + smoothing / classes : target;
        weights[k] = smoothed * (perClass?.[k] ?? 1);
      }
      noteTargetsAboveOne(note, unit, sum);
    };
  }
}

/** Says of a row of targets that sums above 1 what it most likely is: several labels at once. */
export function noteTargetsAboveOne(note: Workspace["note"], unit: number, sum: number): void {
  if (!(sum > 1 + 1e-6)) return;
  const message = `a row of targets sums to ${sum}; labels that do not exclude each other belong in binaryCrossEntropy`;
  note("targets-above-one", unit, message, "targets");
}

/** Σ_k w_k (−log p_k); a class of weight 0 is silent, also where its logarithm is infinite. */
export function weightedLoss(weights: Float64Array, softmax: SoftmaxRow): number {
  let loss = 0;
  for (let k = 0; k < weights.length; k++) if (weights[k] !== 0) loss += weights[k]! * softmax.negativeLog(k);
  return loss;
}

/**
 * Writes d/dz of Σ_k w_k (−log p_k) for constant w: (Σ w) p_k − w_k as (Σ_{j≠k} w_j) p_k − w_k (1 − p_k), which is
 * exact for one-hot weights, where the plain form cancels.
 */
export function weightedGradient(weights: Float64Array, softmax: SoftmaxRow, own: Float64Array): void {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]!;
  for (let k = 0; k < weights.length; k++) {
    own[k] = (sum - weights[k]!) * softmax.probability(k) - weights[k]! * softmax.complement(k);
  }
}
