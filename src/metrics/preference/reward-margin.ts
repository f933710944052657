import { type ChosenFields, definePairMean } from "./pairs.js";

/**
 * How much higher the preferred answer scores, on average: Σ w (chosen − rejected) / Σ w. It grows with the scale of the
 * scores alone: read it beside `pairAccuracy`. NaN for no pair.
 *
 * TRL `rewards/margins`.
 */
export const rewardMargin = /*#__PURE__*/ definePairMean<ChosenFields>({
  name: "rewardMargin",
  summary: "How much higher the preferred answer scores, on average.",
  formula: "Σ w (chosen − rejected) / Σ w",
  source: "TRL rewards/margins",
  sides: ["chosen", "rejected"],
  meanings: ["the score of the preferred answer", "the score of the other answer"],
  infinite: false,
  term: (chosen, rejected) => chosen - rejected,
});
