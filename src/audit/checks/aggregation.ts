import type { AuditedStep } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Evidence, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { comparison } from "../pull.js";
import { unitWord } from "../words.js";

/**
 * The finding for parts put together otherwise than as one numerator over one denominator: what was reported, which
 * arithmetic gives it, what it does to the gradient, and what to do.
 *
 * @param told - what a part is called, the cause where the arithmetic does not say it, and the fix
 */
export function aboutAggregation(
  check: string,
  step: AuditedStep,
  explanation: Explanation,
  { part, cause, fix }: { readonly part: string; readonly cause?: string; readonly fix: string },
): Finding {
  if (isLoggedOnly(explanation)) return loggedOnly(check, step, explanation);
  return {
    check,
    severity: "error",
    message: mismatch(step),
    why: [arithmetic(step, explanation), cause, reproduction(step, explanation)].filter(Boolean).join(" "),
    harm: harmOf(step, part, unitWord(step)),
    evidence: { ...evidenceOf(step, explanation), aggregation: explanation.aggregation, parts: step.parts.length },
    fix,
  };
}

/** The reported number spelled out: "0.5496 = (1.1589 + 0.4590) / 2: a mean of means." */
function arithmetic({ loss, parts }: AuditedStep, { aggregation, sums, transform, words }: Explanation): string {
  const scale = transform.at(-1);
  if (scale?.apply === "scaleLoss") return `Loss and gradient are ${words}.`;
  if (scale?.apply === "scaleGradient") return `The gradient, not the loss, is ${words}.`;
  const means = sums.map(({ numerator, denominator }) => (denominator === 0 ? 0 : numerator / denominator));
  const spelled = (numbers: readonly number[]) =>
    numbers.length <= 8 ? numbers.map(short).join(" + ") : `${short(numbers[0]!)} + … ${numbers.length} in all`;
  if (loss === null) return `The gradient is that of ${inWords(aggregation)}.`;
  if (aggregation.includes("(loss)")) return `Loss and gradient follow two rules: ${aggregation}.`;
  const reported = short(loss);
  if (aggregation === "mean of means") {
    return `${reported} = (${spelled(means)}) / ${parts.length}: a mean of means.`;
  }
  if (aggregation === "sum of means") return `${reported} = ${spelled(means)}: a sum of means.`;
  if (aggregation === "sum of sums") {
    return `${reported} = ${spelled(sums.map(({ numerator }) => numerator))}: a sum of sums, divided by nothing.`;
  }
  return `${reported} is ${inWords(aggregation)}.`;
}

function inWords(aggregation: string): string {
  return `${aggregation.startsWith("whole") ? "the" : "a"} ${aggregation}`;
}

/** Whether the gradient is the contract's and only the number reported for the step is put together otherwise. */
function isLoggedOnly({ aggregation }: Explanation): boolean {
  return aggregation.endsWith(", whole (gradient)");
}

/** The finding for a step that trains on its contract and logs another number. */
function loggedOnly(check: string, step: AuditedStep, explanation: Explanation): Finding {
  const logged = explanation.aggregation.slice(0, explanation.aggregation.indexOf(" (loss)"));
  return {
    check,
    severity: "warning",
    message: mismatch(step),
    why: `The logged number is a ${logged}; the gradient is the contract's. ${reproduction(step, explanation)}`,
    harm: "Training is right; the loss curve shows another number, and runs of other batch sizes cannot be compared.",
    evidence: { ...evidenceOf(step, explanation), aggregation: explanation.aggregation, parts: step.parts.length },
    fix: "log the sum of all parts' losses divided by the whole count.",
  };
}

/** "84.4968 / 219 = 0.3858, but 0.5496 was reported". */
export function mismatch({ declared, loss, lossError, tolerance }: AuditedStep): string {
  const { numerator, denominator, value } = declared!;
  const own = `${short(numerator)} / ${short(denominator)} = ${short(value)}`;
  if (loss === null) return `${own}; no loss was reported, and the gradient is not that of this one.`;
  if (lossError <= tolerance.loss) return `${own} was reported, but the gradient is not that of this loss.`;
  return `${own}, but ${short(loss)} was reported.`;
}

/** "It reproduces loss and gradient to 2e-7. 0.5496 is 42 % too high." */
export function reproduction(step: AuditedStep, explanation: Explanation): string {
  const { declared, loss } = step;
  const { relativeError, gradientError } = explanation;
  const error = Math.max(relativeError, gradientError ?? 0);
  const alike = othersThatFit(step, explanation);
  const what =
    loss === null
      ? "the gradient"
      : gradientError === undefined
        ? "the loss (no gradients were recorded)"
        : "loss and gradient";
  const how = error === 0 ? "exactly" : `to ${error.toExponential(0)}`;
  return `It reproduces ${what} ${how}.${loss === null ? "" : howFarOff(loss, declared!.value)}${alike}`;
}

/** Other mistakes that give the same numbers: said, so that nobody takes the first for the only one. */
function othersThatFit({ explanations }: AuditedStep, { about }: Explanation): string {
  const others = explanations.filter(({ fits, about: other }) => fits && other !== about && other !== "none");
  const [first] = others;
  if (!first) return "";
  const words = first.instead || `${first.words}, ${first.aggregation}`;
  return ` Other mistakes fit as well: ${words}${others.length > 1 ? `, and ${others.length - 1} more` : ""}.`;
}

function howFarOff(reported: number, declared: number): string {
  const percent = (100 * (reported - declared)) / Math.abs(declared);
  if (!Number.isFinite(percent) || Math.abs(percent) < 0.05) return "";
  const size = Number(Math.abs(percent).toPrecision(2));
  return ` ${short(reported)} is ${size} % too ${percent > 0 ? "high" : "low"}.`;
}

/** The numbers every finding about a denominator rests on. */
export function evidenceOf(step: AuditedStep, explanation: Explanation): Evidence {
  const { numerator, denominator, value } = step.declared!;
  const { factors, lengthRatio, degrees } = comparison(step);
  return {
    declared: value,
    reported: step.loss ?? "not recorded",
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
  if (!factors || lengthRatio === undefined || !Number.isFinite(lengthRatio)) return "";
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
