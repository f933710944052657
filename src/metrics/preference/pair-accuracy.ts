import { type ChosenFields, definePairMean } from "./pairs.js";

/**
 * How often the preferred answer scores higher: Σ w [chosen > rejected] / Σ w; a tie is wrong. Hold out pairs that the
 * reward was not fitted to, and some of other annotators. NaN for no pair.
 *
 * TRL `rewards/accuracies`.
 */
export const pairAccuracy = /*#__PURE__*/ definePairMean<ChosenFields>({
  name: "pairAccuracy",
  summary: "How often the preferred answer scores higher; a tie is wrong.",
  formula: "Σ w [chosen > rejected] / Σ w",
  source: "TRL rewards/accuracies",
  sides: ["chosen", "rejected"],
  meanings: ["the score of the preferred answer", "the score of the other answer"],
  infinite: true,
  term: (chosen, rejected) => (chosen > rejected ? 1 : 0),
});
