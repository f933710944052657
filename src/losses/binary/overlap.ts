import { sigmoid } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { FieldSpec, LossDefinition } from "../definition.js";
import { type BinaryBatch, binaryFields } from "./fields.js";

/** Whole rows of axis 0 (images, samples) against their targets: `[B, ...]`. */
export interface OverlapBatch extends Omit<BinaryBatch, "mask"> {
  /** `[B]` takes rows out; of the shape of the logits, it takes elements out of the sums of their row. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
}

/** What counts how much in the overlap of prediction and target. */
export interface OverlapCosts {
  readonly falsePositive: number;
  readonly falseNegative: number;
  /** Added to numerator and denominator of the overlap. */
  readonly smooth: number;
}

/** What a loss of overlap says of itself: everything but fields, units and rows. */
export interface OverlapDefinition<Options extends object>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe"> {
  costs(options: Options): OverlapCosts;
}

const overlapFields = {
  logits: { ...binaryFields.logits, shape: ["B", "*"] },
  targets: { ...binaryFields.targets, shape: ["B", "*"] },
  mask: {
    meaning: "1 where a row counts, or of the shape of the logits: 1 where an element enters the sums of its row",
    holds: "flags",
    roles: ["mask"],
    shape: ["B", "*"],
    read: "label",
    gradient: "none",
    optional: true,
    orUnits: true,
  },
} as const satisfies Record<string, FieldSpec>;

/**
 * A loss of one overlap a row, with p = σ(z) and sums over the row's elements:
 *   TP = Σ p y,   FP = Σ p (1 − y),   FN = Σ (1 − p) y,   D = TP + a FP + b FN + s
 *   loss    = 1 − (TP + s) / D = (a FP + b FN) / D
 *   d/dz_i  = p_i (1 − p_i) ((a (1 − y_i) − b y_i)(1 − L) − y_i L) / D,   L the loss, 1 − L = (TP + s) / D
 * Neither the loss nor 1 − L is formed as a difference. Where D is 0 (s = 0 and nothing true, nothing predicted) there is
 * nothing to overlap: loss and gradient are 0. A row without elements, all masked or none there, is no unit.
 */
export function defineOverlapLoss<Options extends object>(
  definition: OverlapDefinition<Options>,
): ObjectiveFactory<Options, OverlapBatch, "logits"> {
  const { costs, ...described } = definition;
  return defineLoss<Options, OverlapBatch, "logits">({
    ...described,
    family: "binary",
    unit: "row",
    unitShape: ["B"],
    fields: overlapFields,
    units(batch) {
      const size = batch.data("targets").length / Math.max(batch.sizes.B!, 1);
      if (!batch.has("mask")) return { present: () => size > 0 };
      const keeps = batch.flag("mask");
      return {
        present(unit) {
          for (let i = unit * size; i < (unit + 1) * size; i++) if (keeps(i)) return true;
          return false;
        },
      };
    },
    open(batch, { rows, own }) {
      const { falsePositive, falseNegative, smooth } = costs(batch.options);
      const [logits, targets, keeps] = [rows.logits!, rows.targets!, rows.mask];
      let divisor = 0;
      let loss = 0;
      let overlap = 0;
      return {
        loss() {
          let found = 0;
          let extra = 0;
          let missed = 0;
          for (let i = 0; i < logits.length; i++) {
            if (keeps && keeps[i] === 0) continue;
            const [z, y] = [logits[i]!, targets[i]!];
            const p = z < Number.POSITIVE_INFINITY ? sigmoid(z) : Number.NaN;
            found += p * y;
            extra += p * (1 - y);
            missed += sigmoid(-z) * y;
          }
          const against = falsePositive * extra + falseNegative * missed;
          divisor = found + against + smooth;
          loss = divisor === 0 ? 0 : against / divisor;
          overlap = divisor === 0 ? 0 : (found + smooth) / divisor;
          return loss;
        },
        gradient() {
          const slopes = own.logits!;
          for (let i = 0; i < logits.length; i++) {
            slopes[i] = 0;
            if ((keeps && keeps[i] === 0) || divisor === 0) continue;
            const [z, y] = [logits[i]!, targets[i]!];
            const pull = (falsePositive * (1 - y) - falseNegative * y) * overlap - y * loss;
            slopes[i] = (sigmoid(z) * sigmoid(-z) * pull) / divisor;
          }
        },
      };
    },
  });
}
