import { similarityModule } from "../../kernels/binaries/similarity.js";
import { runLinearCrossEntropy } from "../../kernels/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, KernelPlan, UnitFields } from "../definition.js";
import {
  type CrossEntropyOptions,
  crossEntropyKernel,
  crossEntropyOptions,
  crossEntropyRow,
  crossEntropyUnits,
  describeCrossEntropy,
  settleCrossEntropy,
} from "./cross-entropy-row.js";
import { alignmentOf, categoricalFields, type LabelsOrTargets } from "./labels.js";

/** Options of {@link linearCrossEntropy}: those of crossEntropy, on the logits it forms. */
export type LinearCrossEntropyOptions = CrossEntropyOptions;

/** What the last linear layer is given, and what its logits stand against. */
export type LinearCrossEntropyBatch = UnitFields & {
  /** `[..., D]`, or with the features on `classAxis`. */
  readonly hidden: Tensor<"embeddings" | Unlabeled>;
  /** `[K, D]`: one row a class. */
  readonly weight: Tensor<"embeddings" | Unlabeled>;
  /** `[K]`. */
  readonly bias?: Tensor;
} & LabelsOrTargets;

/**
 * Cross entropy of the logits of a linear layer, z = W h + b, which are never held but for one row.
 *   loss     = crossEntropy(z) with all its options
 *   d/dh     = Σ_k g_k W_k,   d/dW_k = Σ_units g_k h,   d/db = Σ_units g,   g = d loss / dz
 * For N positions and K classes the logits and their gradient are 2 N K numbers, which for a large vocabulary is more
 * than the model; here they are 2 K. The value of a unit is that of crossEntropy on the same logits, to the bit.
 * Special values are crossEntropy's: a bias of −∞ forbids its class, and NaN anywhere in `weight` is NaN in every unit,
 * since every unit meets every class. torch `cross_entropy(hidden @ weight.T + bias)`; Wijmans et al. 2024.
 */
export const linearCrossEntropy = /*#__PURE__*/ defineLoss<
  LinearCrossEntropyOptions,
  LinearCrossEntropyBatch,
  "hidden" | "weight" | "bias"
>({
  name: "linearCrossEntropy",
  family: "categorical",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary: "Cross entropy of the logits of a last linear layer, formed row by row and never held.",
    formula: "log Σ_k exp(z_k) − z_y,  z = W h + b;  with all options of crossEntropy on z",
    gradient: "d/dh = Σ_k g_k W_k;  d/dW_k = Σ_units g_k h;  d/db = Σ_units g;  g_k = p_k − 1[k = y]",
    likelihood: { target: "single class, large vocabulary", distribution: "categorical" },
    pitfalls: [
      "weight is [K, D], as torch's Linear and embedding tables hold it: a transposed one of a square shape raises no error.",
      "With tied embeddings the gradient of weight adds to that of the input table; it does not replace it.",
      "The gradients of weight and bias are sums over units: over a split of the step add them, and divide once.",
    ],
    metric: "perplexity",
    source: "torch cross_entropy(hidden @ weight.T + bias)",
  },
  options: crossEntropyOptions,
  fields: {
    hidden: {
      meaning: "what the last layer is given, one row of features a unit",
      holds: "reals",
      roles: ["embeddings"],
      shape: ["...", "D"],
      read: "source",
      gradient: "row",
      followsClassAxis: true,
    },
    weight: {
      meaning: "the matrix of the last layer, one row a class",
      holds: "reals",
      roles: ["embeddings"],
      shape: ["K", "D"],
      read: "whole",
      gradient: "shared",
    },
    bias: {
      meaning: "added to the logits, one number a class",
      holds: "reals",
      roles: [],
      shape: ["K"],
      read: "whole",
      gradient: "shared",
      optional: true,
    },
    labels: categoricalFields.labels,
    targets: categoricalFields.targets,
  },
  oneOf: [["labels", "targets"]],
  settle: (options) => settleCrossEntropy("linearCrossEntropy", options),
  alignment: alignmentOf,
  describe: (options) => describeCrossEntropy("cross entropy of the logits hidden · weightᵀ + bias", options),
  units: crossEntropyUnits,
  kernel: linearKernel,
  open(batch, work) {
    const { K: classes, D: width } = batch.sizes as { K: number; D: number };
    const weight = batch.reals("weight");
    const bias = batch.has("bias") ? batch.reals("bias") : undefined;
    const row = crossEntropyRow(batch, work);
    const hidden = work.rows.hidden!;
    const logits = new Float64Array(classes);
    const slopes = new Float64Array(classes);
    const { sums } = work;
    return {
      loss(unit) {
        for (let k = 0, i = 0; k < classes; k++) {
          let dot = 0;
          for (let d = 0; d < width; d++, i++) dot += weight[i]! * hidden[d]!;
          logits[k] = bias ? dot + bias[k]! : dot;
        }
        return row.loss(unit, logits);
      },
      gradient(unit) {
        row.gradient(unit, slopes);
        const own = work.own.hidden!;
        own.fill(0);
        for (let k = 0; k < classes; k++) {
          const slope = slopes[k]!;
          // A forbidden class pulls at nothing, whatever stands in its row.
          if (slope === 0) continue;
          for (let d = 0, i = k * width; d < width; d++, i++) own[d]! += slope * weight[i]!;
        }
      },
      addShared(_, factor) {
        for (let k = 0; k < classes; k++) {
          const slope = factor * slopes[k]!;
          if (slope === 0) continue;
          for (let d = 0, i = k * width; d < width; d++, i++) sums.weight![i]! += slope * hidden[d]!;
          if (bias) sums.bias![k]! += slope;
        }
      },
    };
  },
});

function linearKernel(batch: BatchView<LinearCrossEntropyOptions>): KernelPlan | string {
  const { classAxis, labelShift } = batch.options;
  if (classAxis !== -1 && classAxis !== batch.unitShape.length) return "the features do not lie on the last axis";
  const rows = crossEntropyKernel(batch);
  if (typeof rows === "string") return rows;
  const data = (field: string) => batch.data(field) as Float32Array;
  return {
    module: similarityModule,
    kernel: "multiply",
    inputs: ["targets"],
    label: "labels",
    outputs: ["hidden", "weight", "bias"],
    nanoseconds: 0,
    run: (call) =>
      runLinearCrossEntropy(call, {
        hidden: data("hidden"),
        weight: data("weight"),
        bias: batch.has("bias") ? data("bias") : undefined,
        targets: batch.has("targets") ? data("targets") : undefined,
        width: batch.sizes.D!,
        classes: batch.sizes.K!,
        shift: labelShift,
        rows,
      }),
  };
}
