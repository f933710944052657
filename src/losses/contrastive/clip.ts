import { similarityModule } from "../../kernels/binaries/similarity.js";
import { runSimilarities } from "../../kernels/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import { Embeddings } from "./embeddings.js";
import { checkIncluded, includedPairs } from "./exclusion.js";
import { type ImageTextBatch, imageTextFields } from "./image-text.js";
import { MutualSearch } from "./key-search.js";
import { scaleOf } from "./log-scale.js";

/** What {@link clip} reads. */
export interface ClipBatch extends ImageTextBatch {
  /** `[]`: log 1/τ, learned; the dot products are multiplied by its exponential. */
  readonly logScale: Tensor<Unlabeled> | number;
}

/**
 * CLIP's loss of image embeddings x_i and text embeddings y_i: which text belongs to an image, and which image to a text.
 *   s_ij           = e^l x_i·y_j,   l = logScale
 *   loss_i         = ½ (−log softmax_j(s_ij)_i) + ½ (−log softmax_j(s_ji)_i)
 *   d loss_i/ds_ij = ½ (softmax_j(s_ij)_j − 1[i = j]), and the same down the column;   g_ij is their sum
 *   d/dx_i         = e^l Σ_j g_ij y_j,   d/dy_j = e^l Σ_i g_ij x_i,   d/dl = Σ_ij g_ij s_ij
 * The unit is a pair: row i of both sides. The loss does not normalize; the encoders do (open_clip
 * `encode_image(normalize=True)`). Both rows of a masked pair stay negatives of the others, and so get a gradient;
 * `excludeMask` removes a pair of rows from both directions. One pair alone has the loss 0.
 * A NaN embedding makes every row NaN, with a note: it is a negative of all. A scale that overflows is an error.
 * Radford et al. 2021, figure 3; open_clip `ClipLoss`, whose `logit_scale` is the exponential.
 */
export const clip = /*#__PURE__*/ defineLoss<object, ClipBatch, "images" | "texts" | "logScale">({
  name: "clip",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  couples: true,
  documentation: {
    summary: "Cross entropy over which text belongs to an image and which image to a text, half of each.",
    formula: "½(−log softmax_j(s_ij)_i) + ½(−log softmax_j(s_ji)_i),  s_ij = exp(logScale)·x_i·y_j",
    gradient: "d/ds_ij = ½(p_ij − 1[i = j]) in each direction; d/dlogScale = Σ (d/ds_ij) s_ij",
    likelihood: { target: "matched pair", distribution: "categorical over the texts and over the images of the batch" },
    pitfalls: [
      "It does not normalize: pass unit rows, or the scale and the norms do the same work twice.",
      "logScale is the logarithm; torch code passes logit_scale.exp(). Clamp a learned one (CLIP: at log 100).",
      "Other captions that fit an image are negatives all the same: remove them with excludeMask.",
      "Micro-batches and ranks have fewer negatives: give ranks a group, and micro-batches to accumulation(objective).gathered.",
    ],
    metric: "recallAtK in both directions",
    source: "Radford et al. 2021; open_clip ClipLoss",
  },
  options: {},
  fields: imageTextFields,
  gathers: () => ["B"],
  describe: () =>
    "CLIP's loss of each image and text pair, half of the cross entropy of each direction over the batch, on dot products times exp(logScale), rows taken as they are (not normalized); rows of a masked pair stay negatives",
  kernel: (batch) => ({
    module: similarityModule,
    kernel: "searchRows",
    outputs: ["images", "texts", "logScale"],
    nanoseconds: 0,
    run(call) {
      const found = runSimilarities(call, {
        kind: "softmax",
        queries: batch.data("images") as Float32Array,
        keys: batch.data("texts") as Float32Array,
        width: batch.sizes.D!,
        normalize: false,
        isMutual: true,
        scale: scaleOf(batch),
        excluded: batch.has("excludeMask") ? batch.data("excludeMask") : undefined,
      });
      if (!found) call.leaveAll();
      else call.outputs[2]?.fill(found.ofLogScale);
    },
  }),
  open(batch, { sums }) {
    const { B: rows, D: width } = batch.sizes as { B: number; D: number };
    const factor = scaleOf(batch);
    const images = new Embeddings(batch.reals("images"), rows, width, false);
    const texts = new Embeddings(batch.reals("texts"), rows, width, false);
    const reads = includedPairs(batch, rows);
    const search = new MutualSearch({ queries: images, keys: texts, reads, scale: (dot) => dot * factor });
    return {
      loss(unit) {
        checkIncluded(batch, reads, unit, unit);
        return search.loss(unit);
      },
      addShared(unit, share) {
        sums.logScale![0]! += search.addGradients(unit, share);
      },
      finish() {
        images.writeGradient(sums.images!);
        texts.writeGradient(sums.texts!);
      },
    };
  },
});
