import { jsonNumber } from "../../contract/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Check, Finding } from "../finding.js";

/**
 * NaN or infinity in the reported loss or gradients, or in what the contract gives.
 *
 * Where the contract gives a finite number, the way the loss was computed is at fault: a logarithm taken of a
 * probability that underflowed, or a NaN multiplied by a mask of 0 instead of being left out.
 */
export const nonFinite: Check = {
  id: "non-finite",
  inspect(step) {
    const { declared, record, reported } = step;
    const loss = record.reported.loss;
    if (!declared) return [];
    const lossBroken = loss !== null && !Number.isFinite(loss);
    const gradientsBroken = reported !== undefined && !reported.every((gradients) => gradients.isFinite);
    const declaredBroken = !Number.isFinite(declared.value);
    if (!lossBroken && !gradientsBroken && !declaredBroken) return [];
    const evidence = {
      declared: jsonNumber(declared.value),
      reported: loss === null ? "not recorded" : jsonNumber(loss),
      gradients: gradientsBroken ? "not finite" : "finite",
    };
    if (declaredBroken) return [fromInputs(step, evidence, lossBroken || gradientsBroken)];
    const what = lossBroken ? `a loss of ${jsonNumber(loss)}` : "gradients that are not finite";
    return [
      {
        check: "non-finite",
        severity: "error",
        message: `The step reports ${what}, but the contract gives ${declared.value} on the same fields.`,
        why: "The numbers were lost on the way, not in the inputs: a log of a softmax or sigmoid that underflowed to 0, or a NaN times a mask of 0.",
        harm: "The parameters take the NaN or infinity over, or the step is skipped without a word.",
        evidence,
        fix: "compute the loss from logits in one step (cross_entropy, binary_cross_entropy_with_logits, log_softmax), and leave masked units out with where(), not by multiplying.",
      },
    ];
  },
};

function fromInputs(
  { objective, parts, declared }: AuditedStep,
  evidence: Finding["evidence"],
  seen: boolean,
): Finding {
  const notes = parts.flatMap(({ batch }, part) =>
    objective
      .evaluate(batch)
      .notes.map((note) => (parts.length > 1 ? `part ${part + 1}: ${note.message}` : note.message)),
  );
  const because = notes.length ? ` ${notes[0]}.` : "";
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
