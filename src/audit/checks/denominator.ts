import type { LosswrightError } from "../../errors/index.js";
import { describeReduction } from "../../losses/index.js";
import type { Check, Finding } from "../finding.js";
import { partWord, unitWord } from "../words.js";
import { evidenceOf, harmOf, mismatch, reproduction } from "./aggregation.js";
import { explanationAbout } from "./explained.js";

/**
 * A sum of losses divided by something else than the contract's denominator: the count where weights should divide,
 * rows for tokens, every position for those that count, a mean inside sequences for one over tokens.
 *
 * It scales or turns the gradient, so the same learning rate takes another step.
 */
export const denominator: Check = {
  id: "denominator",
  inspect(step) {
    if (step.contradiction?.code === "empty") return [emptyStep(step.contradiction)];
    const explanation = explanationAbout(step, "reduction");
    if (!explanation) return [];
    const { objective } = step;
    const parts = explanation.aggregation === "whole" ? "" : ` (${explanation.aggregation})`;
    return [
      {
        check: "denominator",
        severity: "error",
        message: mismatch(step),
        why: `The reported ${step.loss === null ? "gradient" : "loss"} divides by something else: ${explanation.words}${parts}. ${reproduction(step, explanation)}`,
        harm: harmOf(step, partWord(step), unitWord(step)),
        evidence: { ...evidenceOf(step, explanation), divisor: explanation.words },
        fix: `divide as the contract says (${describeReduction(objective.definition.unit, objective.reduction)}), or declare what is meant: reduction ${JSON.stringify(explanation.contract.reduction)}.`,
      },
    ];
  },
};

/** Nothing is counted, and the contract calls that an error. */
function emptyStep({ found, expected, fix }: LosswrightError): Finding {
  return {
    check: "denominator",
    severity: "error",
    message: `The contract has no value on these fields: ${found}.`,
    evidence: { denominator: 0, found, expected },
    fix: fix ?? 'skip steps that count nothing, or declare onEmpty: "zero".',
  };
}
