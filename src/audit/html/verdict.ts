import type { StepAudit } from "../audit.js";
import { agrees } from "../audited-step.js";
import { contradicts, nothingReported } from "../checks/unexplained.js";
import type { Finding, Severity } from "../finding.js";
import { comparison } from "../pull.js";
import { errorInWords, figure, told, unitsInWords } from "./words.js";

/** What a step comes to in one word. */
export type Verdict = "WRONG" | "DOUBT" | "CLEAN" | "NOTE";

/** The sign beside a verdict, so that no color is needed to tell them apart. */
export const signs: Readonly<Record<Verdict, string>> = { WRONG: "✗", DOUBT: "?", CLEAN: "✓", NOTE: "i" };

const gravity: readonly Severity[] = ["error", "warning", "note"];
const verdicts: Readonly<Record<Severity, Verdict>> = { error: "WRONG", warning: "DOUBT", note: "NOTE" };

/** How grave a finding is on this step: numbers that contradict the contract are in doubt, also where no check names the cause. */
export function severityOf({ check, severity }: Finding, { step }: StepAudit): Severity {
  return severity === "note" && check === "unexplained" && contradicts(step) ? "warning" : severity;
}

export function verdictOfFinding(finding: Finding, audit: StepAudit): Verdict {
  return verdicts[severityOf(finding, audit)];
}

/** Findings with the gravest first, in the order of the checks where they are alike. */
export function byGravity(audit: StepAudit): readonly Finding[] {
  return gravity.flatMap((level) => audit.findings.filter((finding) => severityOf(finding, audit) === level));
}

/** WRONG for an error, DOUBT for a warning, CLEAN for numbers that are the contract's, NOTE for what was not compared. */
export function verdictOf(audit: StepAudit): Verdict {
  const [gravest] = byGravity(audit);
  const own = gravest && verdictOfFinding(gravest, audit);
  if (own === "WRONG" || own === "DOUBT") return own;
  const { step } = audit;
  if (step.declared && agrees(step) && !nothingReported(step)) return "CLEAN";
  return contradicts(step) ? "DOUBT" : "NOTE";
}

/** The verdict's one sentence: the gravest finding's, or what agrees. */
export function sentenceOf(audit: StepAudit): string {
  const { step } = audit;
  const [gravest] = byGravity(audit);
  if (verdictOf(audit) !== "CLEAN") {
    return told(gravest?.message ?? "Nothing in this record can be compared with its contract.");
  }
  const { declared, loss, lossError, gradientError } = step;
  const { numerator, denominator, value } = declared!;
  const own = `${figure(numerator)} / ${figure(denominator)} ${unitsInWords(step, denominator)} = ${figure(value)}`;
  const what = loss === null ? `${own}; no loss was reported` : `${own}, as reported (${errorInWords(lossError)})`;
  if (gradientError === undefined) return `${what}. No gradient was recorded.`;
  const { factors = [] } = comparison(step);
  const parts = factors.length > 1 ? `, in each of ${factors.length} parts` : "";
  return `${what}, and the gradient is the contract's${parts} (${errorInWords(gradientError)}).`;
}
