import { similarityModule } from "../../kernels/binaries/similarity.js";
import { runSimilarities } from "../../kernels/index.js";
import { log1pExp, sigmoid } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import { Embeddings } from "./embeddings.js";
import { checkIncluded, includedPairs } from "./exclusion.js";
import { type ImageTextBatch, imageTextFields } from "./image-text.js";
import { scaleOf } from "./log-scale.js";

/** What {@link sigLip} reads. */
export interface SigLipBatch extends ImageTextBatch {
  /** `[]`: the logarithm of the factor on dot products, learned; starts at log 10. */
  readonly logScale: Tensor<Unlabeled> | number;
  /** `[]`: added to every score, learned; starts at −10, against the many negatives. */
  readonly bias: Tensor<Unlabeled> | number;
}

/**
 * SigLIP's loss of image embeddings x_i and text embeddings y_j: each pair on its own, matched or not.
 *   z_ij     = e^l x_i·y_j + b,   t_ij = 1 where i = j, −1 elsewhere
 *   loss_i   = Σ_j log(1 + exp(−t_ij z_ij))
 *   g_ij     = d/dz_ij = −t_ij σ(−t_ij z_ij)
 *   d/dx_i   = e^l Σ_j g_ij y_j,   d/dy_j = e^l Σ_i g_ij x_i,   d/dl = Σ_ij g_ij e^l x_i·y_j,   d/db = Σ_ij g_ij
 * The unit is an image with all texts of its batch: the sum over them, not their mean, so that the mean over units is
 * the sum over all pairs divided by B. Nothing is normalized. A masked image is not read; its text stays a negative of
 * the others. `excludeMask` removes a pair.
 * Each term keeps its digits at any z (softplus is never log(1 − σ)); z = ±∞ gives 0 or +∞, NaN gives NaN, with a note.
 * Zhai et al. 2023, algorithm 1; open_clip `SigLipLoss`, whose `logit_scale` is the exponential.
 */
export const sigLip = /*#__PURE__*/ defineLoss<object, SigLipBatch, "images" | "texts" | "logScale" | "bias">({
  name: "sigLip",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  couples: true,
  documentation: {
    summary: "Binary cross entropy of every image and text pair of the batch: matched on the diagonal, not elsewhere.",
    formula: "Σ_j log(1 + exp(−t_ij z_ij)),  z_ij = exp(logScale)·x_i·y_j + bias,  t_ij = 1 where i = j, −1 elsewhere",
    gradient: "d/dz_ij = −t_ij σ(−t_ij z_ij); d/dbias their sum, d/dlogScale = Σ (d/dz_ij)(z_ij − bias)",
    likelihood: { target: "matched or not, of each pair", distribution: "Bernoulli, independent for each pair" },
    pitfalls: [
      "A row is the sum over its texts: the value grows with the batch, and the pairs are divided by B, not by B².",
      "Start the bias near −log B (the paper: −10), or the first steps go into unlearning the many negatives.",
      "It does not normalize: pass unit rows. logScale is the logarithm.",
      "Over ranks every image must meet every rank's texts, as it does in a group; each rank's own pairs alone are another objective.",
    ],
    metric: "recallAtK in both directions",
    source: "Zhai et al. 2023, algorithm 1; open_clip SigLipLoss",
  },
  options: {},
  fields: {
    ...imageTextFields,
    images: { ...imageTextFields.images, ownRows: true },
    excludeMask: { ...imageTextFields.excludeMask, ownRows: true },
    bias: {
      meaning: "added to every score; a learned scalar",
      holds: "reals",
      roles: [],
      shape: [],
      read: "whole",
      gradient: "shared",
    },
  },
  gathers: () => ["B"],
  describe: () =>
    "SigLIP's loss of each image, the sum (no mean) over the texts of its batch of the binary cross entropy of matched or not, on dot products times exp(logScale) plus bias, rows taken as they are (not normalized); the text of a masked image stays a negative",
  kernel: (batch) => ({
    module: similarityModule,
    kernel: "sigmoidRows",
    outputs: ["images", "texts", "logScale", "bias"],
    nanoseconds: 0,
    run(call) {
      const found = runSimilarities(call, {
        kind: "sigmoid",
        queries: batch.data("images") as Float32Array,
        keys: batch.data("texts") as Float32Array,
        width: batch.sizes.D!,
        normalize: false,
        isMutual: false,
        scale: scaleOf(batch),
        bias: batch.scalar("bias"),
        excluded: batch.has("excludeMask") ? batch.data("excludeMask") : undefined,
      });
      if (!found) call.leaveAll();
      else {
        call.outputs[2]?.fill(found.ofLogScale);
        call.outputs[3]?.fill(found.ofBias);
      }
    },
  }),
  open(batch, { sums }) {
    const { B: rows, D: width } = batch.sizes as { B: number; D: number };
    const factor = scaleOf(batch);
    const bias = batch.scalar("bias");
    const images = new Embeddings(batch.reals("images"), rows, width, false);
    const texts = new Embeddings(batch.reals("texts"), rows, width, false);
    const reads = includedPairs(batch, rows);
    const scaled = new Float64Array(rows);
    return {
      loss(unit) {
        checkIncluded(batch, reads, unit, unit);
        let loss = 0;
        for (let j = 0; j < rows; j++) {
          if (!reads(unit, j)) continue;
          scaled[j] = factor * images.dot(unit, texts, j);
          const z = scaled[j]! + bias;
          loss += log1pExp(j === unit ? -z : z);
        }
        return loss;
      },
      addShared(unit, share) {
        for (let j = 0; j < rows; j++) {
          if (!reads(unit, j)) continue;
          const z = scaled[j]! + bias;
          const slope = share * (j === unit ? -sigmoid(-z) : sigmoid(z));
          images.addGradient(unit, slope * factor, texts, j);
          texts.addGradient(j, slope * factor, images, unit);
          sums.logScale![0]! += slope * scaled[j]!;
          sums.bias![0]! += slope;
        }
      },
      finish() {
        images.writeGradient(sums.images!);
        texts.writeGradient(sums.texts!);
      },
    };
  },
});
