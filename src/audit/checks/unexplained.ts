import { type AuditedStep, agrees } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import { firstField } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { comparison } from "../pull.js";
import { hasBrokenGradients } from "./non-finite.js";

/** How far rounding to bfloat16 or float16 on the way moves a loss, and a gradient. */
const halfPrecision = { loss: 5e-3, gradient: 1e-2 };

/**
 * Whether the reported numbers are not those of the contract and nothing tried explains them. Such a step is no clean
 * one, whatever the cause.
 */
export function contradicts(step: AuditedStep): boolean {
  return isUnexplained(step) && !isHalfPrecise(step);
}

/** Reported numbers that are not those of the contract, and that nothing tried reproduces: said, not guessed at. */
export const unexplained: Check = {
  id: "unexplained",
  hypotheses(step) {
    const fields = Object.entries(step.objective.definition.fields).filter(
      ([name, { gradient, holds }]) => gradient !== "none" && holds === "reals" && firstField(step, name),
    );
    const round = (value: "float16" | "bfloat16") => ({
      about: "none",
      words: `the contract on ${fields.map(([name]) => name).join(" and ")} rounded to ${value}`,
      transform: fields.map(([field]) => ({ apply: "cast", field, value })),
    });
    return fields.length ? [round("bfloat16"), round("float16")] : [];
  },
  inspect(step) {
    const { contradiction, declared } = step;
    if (contradiction?.code === "unsupported") {
      const message = `The contract cannot be evaluated on these parts: ${contradiction.found}.`;
      return [note(message, contradiction.fix ?? "record the step whole.")];
    }
    if (!declared) return [];
    if (nothingReported(step)) {
      const message = "Neither a loss nor gradients were reported: the contract was computed, and nothing compared.";
      return [note(message, 'record reported: { "loss": …, "gradients": { … } }.')];
    }
    const [first] = step.explanations;
    if (!agrees(step) && first?.fits && first.about === "none") return [harmless(first)];
    if (isUnexplained(step)) return [isHalfPrecise(step) ? halfPrecise(step) : nearest(step)];
    return [];
  },
};

function isUnexplained(step: AuditedStep): boolean {
  const { declared, loss, explanations } = step;
  const finite = declared && Number.isFinite(declared.value) && Number.isFinite(loss ?? 0);
  return Boolean(finite) && !hasBrokenGradients(step) && !agrees(step) && !explanations[0]?.fits;
}

function isHalfPrecise({ lossError, gradientError = 0 }: AuditedStep): boolean {
  return lossError <= halfPrecision.loss && gradientError <= halfPrecision.gradient;
}

/** Whether a record holds no number that could be compared. */
export function nothingReported({ loss, reported }: AuditedStep): boolean {
  return loss === null && !reported;
}

function note(message: string, fix: string, evidence: Finding["evidence"] = {}): Finding {
  return { check: "unexplained", severity: "note", message, evidence, fix };
}

function halfPrecise({ lossError, gradientError = 0 }: AuditedStep): Finding {
  const error = Math.max(lossError, gradientError);
  return note(
    `The reported numbers agree with the contract to ${error.toPrecision(1)} only, as they do after half precision.`,
    "record logits, loss and gradients in float32 to tell rounding from a mistake.",
    { lossError, gradientError },
  );
}

/** Numbers that are the contract's but for a rounding or a loss scale. */
function harmless({ instead, words, relativeError, gradientError = 0 }: Explanation): Finding {
  const error = Math.max(relativeError, gradientError);
  if (!instead) {
    const message = `The gradients are the contract's, ${words}.`;
    return note(message, "record the loss scale: context.computation.lossScale.", { relativeError, gradientError });
  }
  const message = `The numbers are those of ${instead}, to ${error.toExponential(0)}.`;
  return note(message, "nothing, where half precision is meant; record computation.dtype to have it known.", {
    relativeError,
    gradientError,
  });
}

function nearest(step: AuditedStep): Finding {
  const { declared, loss, explanations, lossError, gradientError, tolerance } = step;
  const [best] = explanations;
  const near = best
    ? ` Nearest: ${best.instead || best.words}, ${best.aggregation}, off by ${Math.max(best.relativeError, best.gradientError ?? 0).toPrecision(2)}.`
    : "";
  const gives = `The contract gives ${short(declared!.value)}`;
  const lossAgrees = loss !== null && lossError <= tolerance.loss;
  const what = lossAgrees
    ? `${gives}, as reported, but the gradient is another one: ${gradientInWords(step)}`
    : loss === null
      ? `${gives}, and the reported gradient is another one: ${gradientInWords(step)}`
      : `${gives}, reported was ${short(loss)}`;
  return note(
    `${what}; no contract, transform or aggregation tried comes within ${tolerance.loss} of the loss and ${tolerance.gradient} of the gradient.${near}`,
    lossAgrees
      ? "look at what happens after the loss: a loss scale left in, a sign, an average over ranks, a detached term."
      : "compare what the loss was given with the recorded fields: another input, shift, mask or option than declared.",
    { declared: declared!.value, lossError, ...(gradientError !== undefined && { gradientError }) },
  );
}

function gradientInWords(step: AuditedStep): string {
  const { lengthRatio = Number.NaN, degrees = Number.NaN } = comparison(step);
  return `${lengthRatio.toPrecision(3)}x as long and ${degrees.toFixed(0)} degrees off`;
}
