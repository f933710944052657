/** Every objective of this version, by name: what `objectiveFrom` knows and the main entry exports. */

export { type AsymmetricOptions, asymmetric } from "./binary/asymmetric.js";
export { type BinaryCrossEntropyOptions, binaryCrossEntropy } from "./binary/binary-cross-entropy.js";
export { type BinaryFocalOptions, binaryFocal } from "./binary/binary-focal.js";
export { type DiceOptions, dice } from "./binary/dice.js";
export { type HingeBatch, type HingeOptions, hinge } from "./binary/hinge.js";
export { type TverskyOptions, tversky } from "./binary/tversky.js";
export { type BrierOptions, brier } from "./categorical/brier.js";
export { type CrossEntropyOptions, crossEntropy } from "./categorical/cross-entropy.js";
export { type Costs, type ExpectedCostOptions, expectedCost } from "./categorical/expected-cost.js";
export { type FocalOptions, focal } from "./categorical/focal.js";
export {
  type GeneralizedCrossEntropyOptions,
  generalizedCrossEntropy,
} from "./categorical/generalized-cross-entropy.js";
export {
  type LinearCrossEntropyBatch,
  type LinearCrossEntropyOptions,
  linearCrossEntropy,
} from "./categorical/linear-cross-entropy.js";
export { type MultiMarginOptions, multiMargin } from "./categorical/multi-margin.js";
export { type OrdinalOptions, ordinal } from "./categorical/ordinal.js";
export { type PolyOneOptions, polyOne } from "./categorical/poly-one.js";
export { type SymmetricCrossEntropyOptions, symmetricCrossEntropy } from "./categorical/symmetric-cross-entropy.js";
export { type AngularMarginBatch, type AngularMarginOptions, angularMargin } from "./contrastive/angular-margin.js";
export { type ClipBatch, clip } from "./contrastive/clip.js";
export { type CosineEmbeddingOptions, cosineEmbedding } from "./contrastive/cosine-embedding.js";
export { type InfoNceBatch, type InfoNceOptions, infoNce } from "./contrastive/info-nce.js";
export { type NtXentOptions, ntXent } from "./contrastive/nt-xent.js";
export { type PairContrastiveOptions, pairContrastive } from "./contrastive/pair-contrastive.js";
export { type SigLipBatch, sigLip } from "./contrastive/sig-lip.js";
export {
  type SupervisedContrastiveBatch,
  type SupervisedContrastiveOptions,
  supervisedContrastive,
} from "./contrastive/supervised-contrastive.js";
export { type TripletBatch, type TripletOptions, triplet } from "./contrastive/triplet.js";
export { type DistillationBatch, type DistillationOptions, distillation } from "./distribution/distillation.js";
export { type JensenShannonBatch, type JensenShannonOptions, jensenShannon } from "./distribution/jensen-shannon.js";
export { type KlDivergenceBatch, type KlDivergenceOptions, klDivergence } from "./distribution/kl-divergence.js";
export { absoluteError } from "./elementwise/absolute-error.js";
export { type BarronOptions, barron } from "./elementwise/barron.js";
export { type CauchyOptions, cauchy } from "./elementwise/cauchy.js";
export {
  type CosineDistanceBatch,
  type CosineDistanceOptions,
  cosineDistance,
} from "./elementwise/cosine-distance.js";
export { type ExpectileOptions, expectile } from "./elementwise/expectile.js";
export { gammaNll } from "./elementwise/gamma-nll.js";
export { type GaussianNllBatch, type GaussianNllOptions, gaussianNll } from "./elementwise/gaussian-nll.js";
export { type HuberOptions, huber } from "./elementwise/huber.js";
export { type LaplaceNllBatch, type LaplaceNllOptions, laplaceNll } from "./elementwise/laplace-nll.js";
export { logCosh } from "./elementwise/log-cosh.js";
export { type NegativeBinomialNllOptions, negativeBinomialNll } from "./elementwise/negative-binomial-nll.js";
export { type PoissonNllOptions, poissonNll } from "./elementwise/poisson-nll.js";
export { type PseudoHuberOptions, pseudoHuber } from "./elementwise/pseudo-huber.js";
export { type QuantileOptions, quantile } from "./elementwise/quantile.js";
export { type SmoothL1Options, smoothL1 } from "./elementwise/smooth-l1.js";
export { squaredError } from "./elementwise/squared-error.js";
export { squaredLogError } from "./elementwise/squared-log-error.js";
export { type StudentTNllBatch, type StudentTNllOptions, studentTNll } from "./elementwise/student-t-nll.js";
export { type TukeyOptions, tukey } from "./elementwise/tukey.js";
export { type TweedieOptions, tweedie } from "./elementwise/tweedie.js";
export { type UnlikelihoodOptions, unlikelihood } from "./language/unlikelihood.js";
export { type CtcBatch, type CtcOptions, ctc } from "./latent/ctc.js";
export { type LinearChainCrfBatch, linearChainCrf } from "./latent/linear-chain-crf.js";
export { type RnnTransducerBatch, type RnnTransducerOptions, rnnTransducer } from "./latent/rnn-transducer.js";
export { type ApproxNdcgOptions, approxNdcg } from "./preference/approx-ndcg.js";
export { type CpoOptions, cpo } from "./preference/cpo.js";
export { type DpoBatch, type DpoKind, type DpoOptions, dpo } from "./preference/dpo.js";
export { type KtoBatch, type KtoOptions, kto } from "./preference/kto.js";
export { type LambdaRankOptions, lambdaRank } from "./preference/lambda-rank.js";
export type { RankingBatch } from "./preference/list.js";
export { listMle } from "./preference/list-mle.js";
export { listNet } from "./preference/list-net.js";
export { type MarginRankingBatch, type MarginRankingOptions, marginRanking } from "./preference/margin-ranking.js";
export { type OrpoOptions, orpo } from "./preference/orpo.js";
export {
  type PairwiseLogisticBatch,
  type PairwiseLogisticOptions,
  pairwiseLogistic,
} from "./preference/pairwise-logistic.js";
export { type PolicyGradientBatch, type PolicyGradientOptions, policyGradient } from "./preference/policy-gradient.js";
export type { PolicyPairBatch } from "./preference/policy-pair.js";
export { rankingSoftmax } from "./preference/ranking-softmax.js";
export { type SimPoOptions, simPo } from "./preference/sim-po.js";
