import { numberOption } from "../../contract/index.js";
import { defineLoss } from "../define-loss.js";
import { normOf } from "../norm.js";
import { type PairBatch, pairFields } from "./pairs.js";

/** Options of {@link cosineEmbedding}. */
export interface CosineEmbeddingOptions {
  /** In [−1, 1]: pairs that differ are pushed until their cosine is no more. Default 0. */
  readonly margin: number;
}

/** Added to both squared norms; torch keeps the constant as float32, 4e-9 below 1e-12. */
const floor = Math.fround(1e-12);

/**
 * Cosine loss of a pair, with t = 1 where they belong together and −1 where they do not.
 *   c    = l·r / (A B),   A = √(‖l‖² + 1e-12),  B = √(‖r‖² + 1e-12)
 *   loss = 1 − c  where t = 1,   max(0, c − m)  where t = −1
 *   dc/dl = (r/B − c l/A) / A,   dc/dr = (l/A − c r/B) / B
 * 1 − c is formed as ½(‖l/A − r/B‖² + 1e-12/A² + 1e-12/B²): for rows nearly parallel the difference would cancel.
 * Exactly at the margin the slope is that of the active side, as in torch. A row of zeros has c = 0 and, through the
 * 1e-12, a gradient of 1e6 times the other's direction. Infinite coordinates and NaN give NaN, with a note.
 * torch `cosine_embedding_loss`.
 */
export const cosineEmbedding = /*#__PURE__*/ defineLoss<CosineEmbeddingOptions, PairBatch, "left" | "right">({
  name: "cosineEmbedding",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  documentation: {
    summary: "One minus the cosine of pairs that belong together, a hinge on the cosine of pairs that do not.",
    formula: "1 − c where t = 1,  max(0, c − m) where t = −1;  c = l·r / √((‖l‖² + 1e-12)(‖r‖² + 1e-12))",
    gradient: "dc/dl = (r/B − c·l/A)/A, dc/dr = (l/A − c·r/B)/B; times −1 where t = 1, 1 beyond the margin",
    likelihood: { target: "pair that belongs together or not", distribution: "none: a margin on a cosine" },
    pitfalls: [
      "Targets are 1 and −1; a 0 is refused, where torch gives such a pair the loss 0.",
      "The gradient runs along 1/norm: rows near 0 get huge ones, long rows hardly learn.",
      "Near parallel the slope vanishes with the angle; pairs that belong together stop improving early in float16.",
    ],
    metric: "averagePrecision over pairs, recallAtK",
    source: "torch cosine_embedding_loss",
  },
  options: {
    margin: numberOption("the cosine down to which pairs that differ are pushed", 0, { atLeast: -1, atMost: 1 }),
  },
  fields: pairFields("1 where the two belong together, −1 where they do not", "sign"),
  describe: ({ margin }) =>
    `cosine loss of each pair, 1 − cosine where the target is 1 and max(0, cosine − ${margin}) where it is −1, 1e-12 added to each squared norm`,
  open(batch, { rows, own }) {
    const { margin } = batch.options;
    const width = batch.sizes.D!;
    const [left, right, targets] = [rows.left!, rows.right!, rows.targets!];
    const [toLeft, toRight] = [new Float64Array(width), new Float64Array(width)];
    let [leftLength, rightLength, cosine] = [0, 0, 0];
    return {
      loss() {
        leftLength = direct(left, toLeft);
        rightLength = direct(right, toRight);
        let apart = 0;
        cosine = 0;
        for (let k = 0; k < width; k++) {
          const difference = toLeft[k]! - toRight[k]!;
          apart += difference * difference;
          cosine += toLeft[k]! * toRight[k]!;
        }
        if (targets[0] !== 1) return Math.max(0, cosine - margin);
        return (apart + floor / leftLength / leftLength + floor / rightLength / rightLength) / 2;
      },
      gradient() {
        const sign = targets[0] === 1 ? -1 : cosine < margin ? 0 : 1;
        for (let k = 0; k < width; k++) {
          own.left![k] = (sign * (toRight[k]! - cosine * toLeft[k]!)) / leftLength;
          own.right![k] = (sign * (toLeft[k]! - cosine * toRight[k]!)) / rightLength;
        }
      },
    };
  },
});

/** Writes x / √(‖x‖² + 1e-12) and returns the divisor. */
function direct(x: Float64Array, out: Float64Array): number {
  const norm = normOf(x, 0, x.length);
  // Beyond 1e10 the floor is far below the last bit, and the square might overflow.
  const length = norm > 1e10 ? norm : Math.sqrt(norm * norm + floor);
  for (let k = 0; k < x.length; k++) out[k] = x[k]! / length;
  return length;
}
