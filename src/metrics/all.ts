/** Every metric of this version, by name: what `metricFrom` knows and the main entry exports. */

export { type AccuracyFields, type AccuracyOptions, accuracy } from "./classification/accuracy.js";
export { type BitsPerByteFields, type BitsPerByteOptions, bitsPerByte } from "./language/bits-per-byte.js";
export { characterErrorRate } from "./language/character-error-rate.js";
export { type ExactMatchFields, type ExactMatchOptions, exactMatch } from "./language/exact-match.js";
export { type PerplexityFields, type PerplexityOptions, perplexity } from "./language/perplexity.js";
export { type TokenAccuracyFields, type TokenAccuracyOptions, tokenAccuracy } from "./language/token-accuracy.js";
export { wordErrorRate } from "./language/word-error-rate.js";
