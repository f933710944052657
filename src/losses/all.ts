/** Every objective of this version, by name: what `objectiveFrom` knows and the main entry exports. */
export { type BinaryCrossEntropyOptions, binaryCrossEntropy } from "./binary/binary-cross-entropy.js";
export { type CrossEntropyOptions, crossEntropy } from "./categorical/cross-entropy.js";
export { type InfoNceBatch, type InfoNceOptions, infoNce } from "./contrastive/info-nce.js";
export { absoluteError } from "./elementwise/absolute-error.js";
export { type HuberOptions, huber } from "./elementwise/huber.js";
export { type SmoothL1Options, smoothL1 } from "./elementwise/smooth-l1.js";
export { squaredError } from "./elementwise/squared-error.js";
