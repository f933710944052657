import { numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import { normOf } from "../norm.js";
import { type ElementBatch, elementFields } from "./element.js";

/** Options of {@link cosineDistance}. */
export interface CosineDistanceOptions {
  /** A norm is raised to it where it is below, in the value alone; at least 0. Default 1e-8. */
  readonly eps: number;
}

/** What {@link cosineDistance} reads. */
export interface CosineDistanceBatch extends ElementBatch {
  /** `[..., D]`: a vector a unit. */
  readonly predictions: Tensor<"predictions" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
  /** `[..., D]`, constants. */
  readonly targets: Tensor<"targets" | "probabilities" | "scores" | "embeddings" | Unlabeled>;
}

/**
 * Cosine distance of two vectors along the last axis, x predicted and y the target; m = max(‖x‖, ε), n = max(‖y‖, ε).
 *   loss = 1 − x·y/(mn)
 *   d/dx = −(y/n − cos · x/‖x‖)/m,   cos = x·y/(mn);   x/‖x‖ is 0 at x = 0
 * Units are the leading axes, and so are mask and weights. It runs from 0 (same direction) to 2 (opposite); lengths do
 * not matter. The gradient passes the clamp as if it were not there, at the clamped value.
 *
 * 1 − cos cancels for vectors that nearly agree, so it is formed as ½(‖x/m − y/n‖² + (1 − ‖x/m‖²) + (1 − ‖y/n‖²)), of
 * which the last two are 0 unless clamped, and the gradient as ((x/‖x‖ − y/n) − loss · x/‖x‖)/m.
 * A vector of 0 gives 1, with the gradient −(y/n)/ε; infinite entries and NaN give NaN. torch `1 − cosine_similarity`.
 */
export const cosineDistance = /*#__PURE__*/ defineLoss<CosineDistanceOptions, CosineDistanceBatch, "predictions">({
  name: "cosineDistance",
  family: "elementwise",
  unit: "element",
  unitShape: ["..."],
  documentation: {
    summary: "One minus the cosine between two vectors on the last axis.",
    formula: "1 − x·y / (max(‖x‖, eps)·max(‖y‖, eps))",
    gradient: "d/dx = −(y/‖y‖ − cos·x/‖x‖)/‖x‖, with each divisor raised to eps where it is below",
    likelihood: { target: "direction", distribution: "von Mises–Fisher of fixed concentration" },
    pitfalls: [
      "A unit is a vector, not an entry: mask and weights have the shape of the leading axes.",
      "The gradient grows as 1/‖x‖: tiny predictions jump, and one of exactly 0 gets 1/eps.",
      "Nothing holds the length of the predictions: steps at right angles to x only make it grow, and the gradient shrinks.",
    ],
    metric: "the loss itself; recallAtK where vectors are searched",
    source: "torch cosine_similarity",
  },
  options: {
    eps: numberOption("the value uses at least this norm; gradients pass as if it were not clamped", 1e-8, {
      atLeast: 0,
    }),
  },
  fields: {
    predictions: {
      ...elementFields.predictions,
      meaning: "the vector that the model says, along the last axis",
      shape: ["...", "D"],
    },
    targets: {
      ...elementFields.targets,
      meaning: "the vector to point along, constant; of the same shape",
      shape: ["...", "D"],
    },
  },
  describe: ({ eps }) =>
    `cosine distance of each vector along the last axis (a unit is a vector), norms clamped at ${eps} in the value while the gradient passes`,
  open({ options: { eps } }, { rows, own }) {
    const [x, y] = [rows.predictions!, rows.targets!];
    const width = x.length;
    let norm = 0;
    let targetNorm = 0;
    let distance = 0;
    return {
      loss() {
        norm = normOf(x, 0, width);
        targetNorm = normOf(y, 0, width);
        const m = Math.max(norm, eps);
        const n = Math.max(targetNorm, eps);
        let squares = 0;
        for (let d = 0; d < width; d++) {
          const difference = x[d]! / m - y[d]! / n;
          squares += difference * difference;
        }
        distance = (squares + shortfall(norm / m) + shortfall(targetNorm / n)) / 2;
        return distance;
      },
      gradient() {
        const m = Math.max(norm, eps);
        const n = Math.max(targetNorm, eps);
        for (let d = 0; d < width; d++) {
          const direction = norm === 0 ? 0 : x[d]! / norm;
          own.predictions![d] = (direction - y[d]! / n - distance * direction) / m;
        }
      },
    };
  },
});

/** 1 − t² of a clamped vector's length t ≤ 1; 0 where nothing was clamped. */
function shortfall(length: number): number {
  return (1 - length) * (1 + length);
}
