/** Every metric of this version, by name: what `metricFrom` knows and the main entry exports. */

export { type AccuracyOptions, accuracy } from "./classification/accuracy.js";
export { type BalancedAccuracyOptions, balancedAccuracy } from "./classification/balanced-accuracy.js";
export type { ClassFields } from "./classification/class-fields.js";
export type { ClassScore, ClassScoreOptions } from "./classification/class-score.js";
export { type CohenKappaOptions, cohenKappa } from "./classification/cohen-kappa.js";
export type { ConfusionOptions } from "./classification/confusion.js";
export { type ConfusionMatrixOptions, confusionMatrix } from "./classification/confusion-matrix.js";
export { type FBetaOptions, fBeta } from "./classification/f-beta.js";
export { type HammingLossOptions, hammingLoss } from "./classification/hamming-loss.js";
export { jaccard } from "./classification/jaccard.js";
export { matthewsCorrelation } from "./classification/matthews-correlation.js";
export { precision } from "./classification/precision.js";
export { recall } from "./classification/recall.js";
export { type ZeroOneLossOptions, zeroOneLoss } from "./classification/zero-one-loss.js";
export { type BitsPerByteFields, type BitsPerByteOptions, bitsPerByte } from "./language/bits-per-byte.js";
export { characterErrorRate } from "./language/character-error-rate.js";
export { type ExactMatchFields, type ExactMatchOptions, exactMatch } from "./language/exact-match.js";
export { type PerplexityFields, type PerplexityOptions, perplexity } from "./language/perplexity.js";
export { type TokenAccuracyFields, type TokenAccuracyOptions, tokenAccuracy } from "./language/token-accuracy.js";
export { wordErrorRate } from "./language/word-error-rate.js";
export {
  type BradleyTerryFields,
  type BradleyTerryOptions,
  bradleyTerryScores,
} from "./preference/bradley-terry-scores.js";
export { pairAccuracy } from "./preference/pair-accuracy.js";
export type { ChosenFields } from "./preference/pairs.js";
export { rewardMargin } from "./preference/reward-margin.js";
export { type WinFields, winRate } from "./preference/win-rate.js";
export type { BinOptions } from "./probability/bins.js";
export { type BrierParts, type BrierScoreOptions, brierScore } from "./probability/brier-score.js";
export {
  type ExpectedCalibrationErrorOptions,
  expectedCalibrationError,
} from "./probability/expected-calibration-error.js";
export { type LogLossOptions, logLoss } from "./probability/log-loss.js";
export { maximumCalibrationError } from "./probability/maximum-calibration-error.js";
export type { ProbabilityFields } from "./probability/probability-fields.js";
export { type ReliabilityCurve, reliabilityCurve } from "./probability/reliability-curve.js";
export type { ExplainedOptions } from "./regression/explained.js";
export { explainedVariance } from "./regression/explained-variance.js";
export { type KendallTauOptions, kendallTau } from "./regression/kendall-tau.js";
export { maxError } from "./regression/max-error.js";
export { meanAbsoluteError } from "./regression/mean-absolute-error.js";
export { meanAbsolutePercentageError } from "./regression/mean-absolute-percentage-error.js";
export { meanSquaredError } from "./regression/mean-squared-error.js";
export { medianAbsoluteError } from "./regression/median-absolute-error.js";
export { pearson } from "./regression/pearson.js";
export { type PinballOptions, pinball } from "./regression/pinball.js";
export { r2 } from "./regression/r2.js";
export type { Outputs, OutputsOption, RegressionFields } from "./regression/regression-fields.js";
export { rootMeanSquaredError } from "./regression/root-mean-squared-error.js";
export { spearman } from "./regression/spearman.js";
export { hitRate } from "./retrieval/hit-rate.js";
export { meanAveragePrecision } from "./retrieval/mean-average-precision.js";
export { meanReciprocalRank } from "./retrieval/mean-reciprocal-rank.js";
export { type NdcgOptions, ndcg } from "./retrieval/ndcg.js";
export { precisionAtK } from "./retrieval/precision-at-k.js";
export type { RetrievalFields, RetrievalOptions } from "./retrieval/ranking.js";
export { recallAtK } from "./retrieval/recall-at-k.js";
export { type AurocOptions, auroc } from "./scored/auroc.js";
export type { ClassAverage } from "./scored/average-classes.js";
export { averagePrecision } from "./scored/average-precision.js";
export type { Bounded } from "./scored/buckets.js";
export type { ClassScoresOptions, ScoreFields } from "./scored/class-scores.js";
export type { CurveOptions } from "./scored/curve.js";
export { type PrecisionRecallCurve, precisionRecallCurve } from "./scored/precision-recall-curve.js";
export { type RocCurve, rocCurve } from "./scored/roc-curve.js";
export type { ScoreSummaryOptions } from "./scored/score-summary.js";
