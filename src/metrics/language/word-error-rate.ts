import { defineErrorRate } from "./error-rate.js";

/**
 * Edits of words over the words of the references: Σ w edits / Σ w words, words being what white space parts. Above 1
 * where more is inserted than the references have. Empty references alone give +∞, with empty predictions NaN.
 *
 * torchmetrics `WordErrorRate`.
 */
export const wordErrorRate = /*#__PURE__*/ defineErrorRate({
  name: "wordErrorRate",
  summary: "Insertions, deletions and substitutions of words, over the words of the references.",
  formula: "Σ w edits / Σ w words of the reference",
  source: "torchmetrics WordErrorRate",
  parts: (text) => text.split(/\s+/u).filter((word) => word !== ""),
});
