/** Weights for unbalanced data, and decisions from probabilities; how calibration reads its samples too. */
export { binaryPriorLogit } from "./binary-prior-logit.js";
export { decide } from "./decide.js";
export { effectiveNumberWeights } from "./effective-number-weights.js";
export { inverseFrequencyWeights } from "./inverse-frequency-weights.js";
export { type Numbers, readTensor, wrong } from "./numbers.js";
export { posWeightFrom } from "./pos-weight-from.js";
export {
  type BinarySamples,
  checkBothClasses,
  outOfRange,
  readBinarySamples,
  readLike,
  readSampleWeights,
  type SampleWeights,
} from "./samples.js";
export {
  type DecisionCosts,
  type ThresholdCurve,
  type ThresholdFloor,
  type ThresholdGoal,
  type ThresholdOutcomes,
  type TunedThreshold,
  type TuneThresholdInput,
  tuneThreshold,
} from "./tune-threshold.js";
export { undoPosWeight } from "./undo-pos-weight.js";
