import type { AuditedStep } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Check } from "../finding.js";
import { short } from "../numbers.js";
import { partWord, unitWord } from "../words.js";
import {
  evidenceOf,
  explanationAbout,
  harmOf,
  isLoggedOnly,
  loggedOnly,
  mismatch,
  reproduction,
} from "./aggregation.js";

/**
 * Micro-batches put together otherwise than as one numerator over one denominator.
 *
 * A mean of means weighs a unit by how few others its micro-batch has; sums of means grow with the number of
 * micro-batches. Nothing fails and the loss still falls, on another objective.
 */
export const accumulation: Check = {
  id: "accumulation",
  inspect(step) {
    const explanation = explanationAbout(step, "parts");
    if (!explanation) return [];
    if (isLoggedOnly(explanation)) return [loggedOnly("accumulation", step, explanation)];
    return [
      {
        check: "accumulation",
        severity: "error",
        message: mismatch(step),
        why: `${arithmetic(step, explanation)} ${reproduction(step, explanation)}`,
        harm: harmOf(step, partWord(step), unitWord(step)),
        evidence: { ...evidenceOf(step, explanation), aggregation: explanation.aggregation, parts: step.parts.length },
        fix: `count first, divide each sum by the whole count, not again by ${step.parts.length}:\n${countingCode(step)}`,
      },
    ];
  },
};

/** The reported number spelled out: "0.5496 = (1.1589 + 0.4590) / 2: a mean of means." */
export function arithmetic({ record, parts }: AuditedStep, { aggregation, sums }: Explanation): string {
  const { loss } = record.reported;
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

/** How to count the units that the contract averages over, in PyTorch. */
export function countingCode({ objective, parts }: AuditedStep): string {
  const {
    ignoreIndex,
    labelShift = 0,
    classWeights,
  } = objective.contract.options as Record<string, number> & {
    classWeights?: unknown;
  };
  const fields = parts[0]!.batch;
  if (fields.labels && ignoreIndex !== undefined) {
    const labels = labelShift ? `y[:, ${labelShift}:]` : "y";
    const counted = classWeights
      ? `kept = [${labels}[${labels} != ${ignoreIndex}] for y in micro_batch_labels]\nn = sum(class_weights[y].sum() for y in kept)`
      : `n = sum((${labels} != ${ignoreIndex}).sum() for y in micro_batch_labels)`;
    return `${counted}\n(loss_sum / n).backward()`;
  }
  const counted = fields.weights
    ? "w.sum() for w in micro_batch_weights"
    : fields.mask
      ? "m.sum() for m in micro_batch_masks"
      : "t.numel() for t in micro_batch_targets";
  return `n = sum(${counted})\n(loss_sum / n).backward()`;
}
