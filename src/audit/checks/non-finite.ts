import { jsonNumber } from "../../contract/index.js";
import type { AuditedStep, Declared } from "../audited-step.js";
import { Gradients } from "../explain/gradients.js";
import type { Check, Finding } from "../finding.js";
import { notesOf } from "../notes.js";
import { short } from "../numbers.js";

/**
 * NaN or infinity in the reported loss or gradients, or in what the contract gives.
 *
 * Where the contract gives a finite number, the way the loss was computed is at fault: a logarithm taken of a
 * probability that underflowed, or a NaN multiplied by a mask of 0 instead of being left out.
 */
export const nonFinite: Check = {
  id: "non-finite",
  inspect(step) {
    const { declared, record } = step;
    const loss = record.reported.loss;
    if (!declared) return [];
    const lossBroken = loss !== null && !Number.isFinite(loss);
    const gradientsBroken = hasBrokenGradients(step);
    const declaredBroken = !Number.isFinite(declared.value);
    if (!lossBroken && !gradientsBroken && !declaredBroken) return [];
    const evidence = {
      declared: jsonNumber(declared.value),
      reported: loss === null ? "not recorded" : jsonNumber(loss),
      gradients: gradientsBroken ? "not finite" : "finite",
    };
    if (declaredBroken) return [fromInputs(step, evidence, lossBroken || gradientsBroken)];
    const { lossScale = 1 } = record.context.computation ?? {};
    if (!lossBroken && lossScale > 1) return [overflow(lossScale, evidence)];
    const what = lossBroken ? `a loss of ${jsonNumber(loss)}` : "gradients that are not finite";
    return [
      {
        check: "non-finite",
        severity: "error",
        message: `The step reports ${what}, but the contract gives ${short(declared.value)} on the same fields.`,
        why: whyLost(step),
        harm: "The parameters take the NaN or infinity over, or the step is skipped without a word.",
        evidence,
        fix: emptyParts(step).length
          ? "count first and divide the sum by the whole count; where that is 0, skip the step."
          : "compute the loss from logits in one step (cross_entropy, binary_cross_entropy_with_logits, log_softmax), and leave masked units out with where(), not by multiplying.",
      },
    ];
  },
};

/** Gradients that a loss scale drove out of half precision: the scaler skips such a step and lowers the scale. */
function overflow(lossScale: number, evidence: Finding["evidence"]): Finding {
  return {
    check: "non-finite",
    severity: "note",
    message: `The gradients are not finite under a loss scale of ${lossScale}: they overflowed, and the step is skipped.`,
    evidence: { ...evidence, lossScale },
    fix: "nothing, where it happens now and then; if every step is skipped, look for an input that is not finite.",
  };
}

/** Whether a recorded gradient of any part holds NaN or infinity. */
export function hasBrokenGradients({ parts }: AuditedStep): boolean {
  return parts.some(({ reported }) => !new Gradients(reported.gradients).isFinite);
}

/** Numbers of the parts that count nothing and may have reported 0 / 0. */
function emptyParts({ declared, parts, record }: AuditedStep): number[] {
  if (Math.abs(record.reported.loss ?? 0) === Number.POSITIVE_INFINITY) return [];
  return parts.flatMap(({ reported }, part) => {
    const { denominator } = declared!.tallies[part]!;
    return denominator.isEmpty && !Number.isFinite(reported.loss ?? Number.NaN) ? [part + 1] : [];
  });
}

function whyLost(step: AuditedStep): string {
  const empty = emptyParts(step);
  if (step.declared!.denominator === 0) return "Nothing is counted in this step, so that its mean is 0 / 0.";
  if (empty.length) return `Nothing is counted in part ${empty.join(", ")}, so that its own mean is 0 / 0.`;
  return "The numbers were lost on the way, not in the inputs: a log of a softmax or sigmoid that underflowed to 0, or a NaN times a mask of 0.";
}

function fromInputs(step: AuditedStep, evidence: Finding["evidence"], seen: boolean): Finding {
  const { declared } = step;
  if (declared!.denominator === 0) return fromNothing(declared!, evidence);
  const notes = notesOf(step);
  const because = notes.length ? ` ${notes[0]!.message}.` : "";
  return {
    check: "non-finite",
    severity: "error",
    message: `The contract gives ${jsonNumber(declared!.value)} on the recorded fields.${because}`,
    ...(!seen && {
      why: "The step reports finite numbers all the same: these are not the fields its loss was computed from.",
    }),
    harm: "One such unit decides the mean of the whole step.",
    evidence: { ...evidence, units: notes.length },
    fix: "find where the input turns NaN or infinite (the message names the unit), or mask units that have no valid input.",
  };
}

/** `onEmpty: "nan"` over a step that counts nothing. */
function fromNothing({ value }: Declared, evidence: Finding["evidence"]): Finding {
  return {
    check: "non-finite",
    severity: "error",
    message: `The contract gives ${jsonNumber(value)} on the recorded fields: nothing is counted, and onEmpty is "nan".`,
    evidence: { ...evidence, units: 0 },
    fix: 'skip steps that count nothing, or declare onEmpty: "zero".',
  };
}
