import type { AuditedStep } from "../audited-step.js";
import type { Check } from "../finding.js";
import { isEvaluation, partWord } from "../words.js";
import { aboutAggregation } from "./aggregation.js";
import { explanationAbout } from "./explained.js";

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
    // Batches of an evaluation accumulate no gradient: their mean of means is a matter of the denominator.
    if (!explanation || isEvaluation(step)) return [];
    return [
      aboutAggregation("accumulation", step, explanation, {
        part: partWord(step),
        fix: `count first, divide each sum by the whole count, not again by ${step.parts.length}:\n${countingCode(step)}`,
      }),
    ];
  },
};

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
