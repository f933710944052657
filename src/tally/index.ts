export { checkSameContract, Denominator, type DenominatorJson } from "./denominator.js";
export { addProduct, addWeightedProduct, alignedIntegers, rootOfRatio, roundedRatio } from "./exact-ratio.js";
export { ExactSum, type ExactSumJson, LANES } from "./exact-sum.js";
export type { Exchanged, Group, Traffic } from "./group.js";
export type { Note } from "./note.js";
export { Spread, type SpreadJson } from "./spread.js";
export { type Engine, type MergeOptions, Tally, type TallyJson, type TallyParts, total } from "./tally.js";
