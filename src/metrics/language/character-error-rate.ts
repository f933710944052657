import { defineErrorRate } from "./error-rate.js";

/**
 * Edits of characters over the characters of the references: Σ w edits / Σ w characters. Characters are Unicode code
 * points, spaces too; compose accents the same way on both sides (`normalize("NFC")`), or they count as edits.
 *
 * torchmetrics `CharErrorRate`.
 */
export const characterErrorRate = /*#__PURE__*/ defineErrorRate({
  name: "characterErrorRate",
  summary: "Insertions, deletions and substitutions of characters, over the characters of the references.",
  formula: "Σ w edits / Σ w code points of the reference",
  source: "torchmetrics CharErrorRate",
  parts: (text) => Array.from(text),
});
