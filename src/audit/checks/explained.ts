import { type AuditedStep, agrees } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Finding } from "../finding.js";
import { partWord, unitWord } from "../words.js";
import { evidenceOf, harmOf, mismatch, reproduction } from "./aggregation.js";

/** The simplest explanation of a step whose numbers are not those of its contract, when it is about the given thing. */
export function explanationAbout(step: AuditedStep, about: string): Explanation | undefined {
  const [first] = step.explanations;
  return !agrees(step) && first?.fits && (first.about === about || first.also === about) ? first : undefined;
}

/** What a check adds to the numbers of an explanation. */
export interface Told {
  /** Why it goes wrong, one sentence. */
  readonly cause?: string;
  readonly harm?: string;
  readonly fix: string;
}

/** The finding for numbers that a hypothesis of the check reproduces; none where they are explained otherwise. */
export function findingOfExplanation(
  check: string,
  step: AuditedStep,
  tell: (explanation: Explanation) => Told,
): readonly Finding[] {
  const explanation = explanationAbout(step, check);
  if (!explanation) return [];
  const { cause, harm, fix } = tell(explanation);
  const how = explanation.also
    ? `, ${explanation.words === "the declared denominator" ? explanation.aggregation : explanation.words}`
    : "";
  return [
    {
      check,
      severity: "error",
      message: mismatch(step),
      why: [`The numbers are those of ${explanation.instead}${how}.`, cause, reproduction(step, explanation)]
        .filter(Boolean)
        .join(" "),
      harm: harm ?? harmOf(step, partWord(step), unitWord(step)),
      evidence: { ...evidenceOf(step, explanation), instead: explanation.instead },
      fix,
    },
  ];
}
