/** Weights for unbalanced data, and decisions from probabilities. */
export { binaryPriorLogit } from "./binary-prior-logit.js";
export { decide } from "./decide.js";
export { effectiveNumberWeights } from "./effective-number-weights.js";
export { inverseFrequencyWeights } from "./inverse-frequency-weights.js";
export type { Numbers } from "./numbers.js";
export { posWeightFrom } from "./pos-weight-from.js";
export { undoPosWeight } from "./undo-pos-weight.js";
