/** Every metric of this version, by name: what `metricFrom` knows and the main entry exports. */

export { type AccuracyFields, type AccuracyOptions, accuracy } from "./classification/accuracy.js";
