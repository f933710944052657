/**
 * losswright: the objective of a training run as an object.
 *
 * It computes a loss with its exact gradient, merges its tallies over any split of a step, divides once, and writes
 * the contract down as JSON.
 */
export {
  type AnyCalibrator,
  type Calibrator,
  type CalibratorJson,
  calibratorFrom,
  type IsotonicCalibrationInput,
  type IsotonicCalibrator,
  isotonicCalibration,
  type LabeledLogitsInput,
  type PlattCalibrator,
  type PlattScalingInput,
  plattScaling,
  type TemperatureCalibrator,
  temperatureScaling,
  type VectorCalibrator,
  vectorScaling,
} from "./calibration/index.js";
export type {
  Contract,
  ContractInput,
  DivideBy,
  Json,
  OnEmpty,
  Per,
  Reduction,
} from "./contract/index.js";
export {
  binaryPriorLogit,
  type DecisionCosts,
  decide,
  effectiveNumberWeights,
  inverseFrequencyWeights,
  posWeightFrom,
  type ThresholdCurve,
  type ThresholdFloor,
  type ThresholdGoal,
  type ThresholdOutcomes,
  type TunedThreshold,
  type TuneThresholdInput,
  tuneThreshold,
  undoPosWeight,
} from "./decisions/index.js";
export { type ErrorCode, type ErrorDetails, LosswrightError } from "./errors/index.js";
export {
  type AccumulatedStep,
  type Accumulation,
  accumulation,
  type DividedStep,
  type GatheredCall,
  type GatheredGroupCall,
  type GatheredStep,
  type MemoryCost,
  type MicroBatchCall,
  type MpiOptions,
  mpi,
  type ObjectiveAccumulation,
  type StepAhead,
  type StepDividedLast,
  solo,
  type ThreadsOptions,
  threads,
  type WeightedAccumulation,
} from "./group/index.js";
export { allocate, close, type KernelSource, loadKernels, release, setThreads } from "./kernels/index.js";
export type { Diagnosis, DiagnosisOptions, MetricDiagnosis, Verdict } from "./log/diagnose.js";
export type { MetricGoal, MetricGoals } from "./log/goal.js";
export { type MergedLogs, mergeLogs } from "./log/merge.js";
export { type Mismatch, mismatches, mismatchOf } from "./log/mismatches.js";
export { type GivenEvaluation, type GivenStep, ObjectiveLog, type ObjectiveLogOptions } from "./log/objective-log.js";
export * from "./losses/all.js";
export { hardNegatives } from "./losses/contrastive/hard-negatives.js";
export type {
  AnyBatch,
  CallOptions,
  EvaluateOptions,
  Evaluation,
  EvaluationWithGradients,
  GroupCall,
  GroupEvaluateOptions,
  Objective,
  ObjectiveFactory,
  UncertainEvaluation,
} from "./losses/index.js";
export { type ScoredSequences, type SequenceScoresInput, sequenceScores } from "./losses/language/sequence-scores.js";
export { type Likelihood, likelihoods, type TargetType } from "./losses/likelihoods.js";
export { objectiveFrom, objectiveNames } from "./losses/registry.js";
export {
  type WeightedBatch,
  type WeightedCallOptions,
  WeightedDenominator,
  type WeightedEvaluation,
  type WeightedEvaluationWithGradients,
  type WeightedGroupCall,
  type WeightedPart,
  type WeightedSum,
  type WeightedSumContract,
  WeightedTally,
  weightedSum,
} from "./losses/weighted-sum.js";
export * from "./metrics/index.js";
export {
  type AttentionSpans,
  type CtcAlignable,
  type CtcAlignment,
  type CtcBeamOptions,
  type CtcFrames,
  type CtcGreedyPath,
  type CtcHypothesis,
  type CtcPosterior,
  type CtcReading,
  ctcAlign,
  ctcBeamDecode,
  ctcCollapse,
  ctcGreedyDecode,
  ctcPosterior,
  type Labeling,
  type LinearChainCrfScores,
  type LossMaskInput,
  linearChainCrfDecode,
  lossMaskFrom,
  type MaskedBatch,
  type MaskedLanguageModelInput,
  maskedLanguageModel,
  maskPlan,
  type Overlong,
  type PackedPiece,
  type PackedSequences,
  type PackInput,
  packSequences,
  prefixMask,
  type RnnTransducerAlignable,
  type RnnTransducerAlignment,
  rnnTransducerAlign,
  segmentMask,
  shiftLabels,
  splitNextToken,
  type TokenAccounting,
  unpackSequences,
} from "./sequence/index.js";
export {
  Denominator,
  type Engine,
  type Exchanged,
  type Group,
  type MergeOptions,
  type Note,
  Spread,
  type SpreadJson,
  Tally,
  type TallyJson,
  type Traffic,
  total,
} from "./tally/index.js";
export {
  type Dtype,
  logSoftmax,
  type NestedList,
  type Role,
  sigmoid,
  softmax,
  type Tensor,
  type TensorData,
  tensor,
  type Unlabeled,
} from "./tensor/index.js";
