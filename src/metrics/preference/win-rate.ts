import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { CommonFields } from "../fields.js";
import { definePairMean } from "./pairs.js";

/** Scores of two models' answers to the same prompts. */
export interface WinFields extends CommonFields {
  readonly left: Tensor<"scores" | "logits" | "logProbabilities" | Unlabeled>;
  readonly right: Tensor<"scores" | "logits" | "logProbabilities" | Unlabeled>;
}

/**
 * How often the left answer wins, ties half: Σ w ([l > r] + [l = r]/2) / Σ w. How sure that is: `bootstrap`. NaN for no
 * pair.
 */
export const winRate = /*#__PURE__*/ definePairMean<WinFields>({
  name: "winRate",
  summary: "How often the left answer wins, ties half.",
  formula: "Σ w ([left > right] + [left = right] / 2) / Σ w",
  source: "ties count half, as in AlpacaEval",
  sides: ["left", "right"],
  meanings: ["the score of the left answer", "the score of the right answer"],
  infinite: true,
  term: (left, right) => (left > right ? 1 : left === right ? 0.5 : 0),
});
