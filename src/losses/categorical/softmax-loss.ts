import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { LossDefinition } from "../definition.js";
import { SoftmaxRow } from "../softmax-row.js";
import {
  alignmentOf,
  type CategoricalBatch,
  categoricalFields,
  checkPerClass,
  ignoredLabels,
  type LabelOptions,
} from "./labels.js";
import { TargetWeights, type Weighting, weightedGradient } from "./target-weights.js";

/** What the row of a loss sees: the softmax of a unit and the weight of each class in its target, both in place. */
export interface SoftmaxTarget {
  readonly softmax: SoftmaxRow;
  readonly weights: Float64Array;
}

/** The mathematics of a unit whose softmax and target weights are in place. */
export interface SoftmaxMath {
  loss(): number;
  /** Writes d loss / d logits; follows `loss`. */
  gradient(own: Float64Array): void;
}

/** What a loss that sees logits through their softmax alone says of itself: everything but fields and units. */
export interface SoftmaxLossDefinition<Options extends LabelOptions>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe" | "kernel"> {
  /** The options with one entry a class, by name. */
  readonly perClass?: readonly (keyof Options & string)[];
  weighting?(options: Options): Weighting;
  row(options: Options, target: SoftmaxTarget): SoftmaxMath;
}

/** A loss of softmax probabilities against a label or a weight for each class. A row without a softmax is NaN. */
export function defineSoftmaxLoss<Options extends LabelOptions>(
  definition: SoftmaxLossDefinition<Options>,
): ObjectiveFactory<Options, CategoricalBatch, "logits"> {
  const { perClass = [], weighting, row, ...described } = definition;
  return defineLoss<Options, CategoricalBatch, "logits">({
    ...described,
    family: "categorical",
    unit: "position",
    unitShape: ["..."],
    fields: categoricalFields,
    oneOf: [["labels", "targets"]],
    alignment: alignmentOf,
    units(batch) {
      for (const name of perClass) checkPerClass(batch, name, batch.options[name] as readonly unknown[] | null);
      return ignoredLabels(batch);
    },
    open(batch, work) {
      const logits = work.rows.logits!;
      const softmax = new SoftmaxRow(batch.sizes.K!);
      const { weights, fill } = new TargetWeights(batch, work, weighting?.(batch.options));
      const math = row(batch.options, { softmax, weights });
      return {
        loss(unit) {
          softmax.update(logits);
          if (softmax.broken) return Number.NaN;
          fill(unit);
          return math.loss();
        },
        gradient() {
          const own = work.own.logits!;
          if (softmax.broken) own.fill(Number.NaN);
          else math.gradient(own);
        },
      };
    },
  });
}

/**
 * Σ_k w_k φ(−log p_k): a loss that meets each class of the target on its own. With s_k = w_k dφ/d(−log p_k) its
 * derivative is that of Σ_k s_k (−log p_k) with s held constant.
 *
 * @param loss - φ at a class of the row; asked only where the weight is not 0
 * @param slope - dφ/d(−log p_k), finite also where p_k is 0 or 1
 */
export function perTargetClass(
  { softmax, weights }: SoftmaxTarget,
  loss: (softmax: SoftmaxRow, k: number) => number,
  slope: (softmax: SoftmaxRow, k: number) => number,
): SoftmaxMath {
  const pulls = new Float64Array(weights.length);
  return {
    loss() {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) if (weights[k] !== 0) sum += weights[k]! * loss(softmax, k);
      return sum;
    },
    gradient(own) {
      for (let k = 0; k < weights.length; k++) pulls[k] = weights[k] === 0 ? 0 : weights[k]! * slope(softmax, k);
      weightedGradient(pulls, softmax, own);
    },
  };
}
