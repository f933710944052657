import type { AuditedStep } from "../audited-step.js";
import { agrees } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Evidence } from "../finding.js";
import { short } from "../numbers.js";
import { comparison } from "../pull.js";

/** The explanation behind a step whose numbers are not those of its contract, when it is about the given thing. */
export function explanationAbout(step: AuditedStep, about: Explanation["about"]): Explanation | undefined {
  const [first] = step.explanations;
  return !agrees(step) && first?.fits && first.about === about ? first : undefined;
}

/** "84.4968 / 219 = 0.3858, but 0.5496 was reported". */
export function mismatch({ declared, record }: AuditedStep): string {
  const { numerator, denominator, value } = declared!;
  return `${short(numerator)} / ${short(denominator)} = ${short(value)}, but ${short(record.reported.loss!)} was reported.`;
}

/** "It reproduces loss and gradient to 2e-7. 0.5496 is 42 % too high." */
export function reproduction({ declared, record }: AuditedStep, { relativeError, gradientError }: Explanation): string {
  const reported = record.reported.loss!;
  const percent = (100 * (reported - declared!.value)) / Math.abs(declared!.value);
  const error = Math.max(relativeError, gradientError ?? 0);
  const what = gradientError === undefined ? "the loss (no gradients were recorded)" : "loss and gradient";
  const off =
    Math.abs(percent) < 0.05
      ? ""
      : ` ${short(reported)} is ${Math.abs(percent).toPrecision(2)} % too ${percent > 0 ? "high" : "low"}.`;
  return `It reproduces ${what} to ${error.toExponential(0)}.${off}`;
}

/** The numbers every finding about a denominator rests on. */
export function evidenceOf(step: AuditedStep, explanation: Explanation): Evidence {
  const { numerator, denominator, value } = step.declared!;
  const { factors, lengthRatio, degrees } = comparison(step);
  return {
    declared: value,
    reported: step.record.reported.loss!,
    numerator,
    denominator,
    relativeError: explanation.relativeError,
    ...(explanation.gradientError !== undefined && { gradientError: explanation.gradientError }),
    ...(factors && { gradientFactors: factors }),
    ...(lengthRatio !== undefined && { gradientLengthRatio: lengthRatio, gradientDegrees: degrees! }),
  };
}

/** What the wrong gradient does, in words; empty where none was recorded. */
export function harmOf(step: AuditedStep, partWord: string, unitWord: string): string {
  const { factors, lengthRatio, degrees } = comparison(step);
  if (!factors || lengthRatio === undefined) return "";
  const parts: string[] = [];
  const usable = factors
    .map((factor, i) => ({ factor, i }))
    .filter(({ factor }) => Number.isFinite(factor) && factor > 0);
  if (usable.length > 1) {
    const strong = usable.reduce((a, b) => (b.factor > a.factor ? b : a));
    const weak = usable.reduce((a, b) => (b.factor < a.factor ? b : a));
    const ratio = strong.factor / weak.factor;
    if (ratio > 1.005) {
      parts.push(
        `A ${unitWord} of ${partWord} ${strong.i + 1} pulls ${ratio.toPrecision(2)}x as hard as one of ${partWord} ${weak.i + 1};`,
      );
    }
  }
  const turned = degrees! >= 0.5 ? ` and ${degrees!.toFixed(0)} degrees off` : "";
  parts.push(`${parts.length ? "the" : "The"} gradient is ${lengthRatio.toPrecision(3)}x as long${turned}.`);
  return parts.join(" ");
}
