import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { tokenFacts } from "../token-facts.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Labels compared with the wrong logits: shifted twice, not at all, the wrong way, or around the end of the row.
 *
 * Without a shift a causal model learns to copy its input and the loss falls to nothing; shifted twice it learns to
 * skip a token. Both train without a word.
 */
export const labelShift: Check = {
  id: "label-shift",
  hypotheses(step): readonly Hypothesis[] {
    const labels = firstField(step, "labels");
    const { objective } = step;
    const shift = Number(objective.contract.options.labelShift ?? Number.NaN);
    if (!labels || Number.isNaN(shift)) return [];
    const about = "label-shift";
    const words = (by: number) =>
      by === 0
        ? "labels that are not shifted"
        : `labels shifted by ${by}, each scored ${by} positions after its logits`;
    const others = [0, 1, 2, 3].filter((by) => by !== shift);
    if (step.searched.some(({ relabel }) => relabel)) {
      return others.map((by) => ({ about, words: words(by), transform: [{ apply: "relabel", value: by }] }));
    }
    if (step.searched[0]!.pieces && shift > 0) {
      const words = "each piece shifted on its own: the first label of every piece but the first is lost";
      return [{ about, words, transform: [{ apply: "mask", value: "scored inside its piece" }] }];
    }
    if (labels.shape.length !== 2 || step.record.context.splitAxis === "sequence") return [];
    const unshifted = withOptions(step, { labelShift: 0 });
    return [
      ...others
        .filter((by) => by < labels.shape[1]!)
        .map((by) => ({
          about,
          words: words(by),
          contract: withOptions(step, { labelShift: by }),
          cost: by > 2 ? 1.2 : 1,
        })),
      ...[-1, 1].map((by) => ({
        about,
        words:
          by === 1
            ? "labels shifted the wrong way: each position scored against the token before it"
            : "labels rolled around the end of the row: its last position is scored against its first label",
        contract: unshifted,
        transform: [
          by === 1 ? { apply: "shift", field: "labels", value: 1 } : { apply: "roll", field: "labels", value: -1 },
        ],
        cost: 1.1,
      })),
    ];
  },
  inspect(step) {
    const explained = findingOfExplanation("label-shift", step, () => ({
      cause: "The label of a position must be scored by logits that have not seen it: those of the position before.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromTokens(step);
  },
};

const fixCode =
  "shift once, in one place:\nloss = F.cross_entropy(logits[:, :-1].reshape(-1, V),\n                       labels[:, 1:].reshape(-1),\n                       ignore_index=-100)\n# Hugging Face models shift inside: pass labels=input_ids, unshifted";

/** Labels that stand at the wrong distance from the tokens the model read. */
function fromTokens(step: AuditedStep): readonly Finding[] {
  for (const { part, offset, decoderOffset, shift } of tokenFacts(step)) {
    const against = decoderOffset ?? offset;
    if (against === undefined) continue;
    const distance = shift + against;
    if (distance === 1) continue;
    const where = decoderOffset === undefined ? "inputIds" : "decoderInputIds";
    const learns =
      distance === 0
        ? "its own input: it learns to copy"
        : distance > 1
          ? `the token ${distance} ahead`
          : `the token ${1 - distance} behind its next one`;
    return [
      {
        check: "label-shift",
        severity: "error",
        message: `Each position is scored against ${learns}: labels[t] is ${where}[t${signed(against)}], and the loss shifts by ${shift}.`,
        why: "A causal model at t is asked for the token at t + 1: labels that are shifted already must not be shifted again, and unshifted ones must be.",
        harm:
          distance === 0
            ? "The answer is in the input: the loss falls to nothing, and the model predicts nothing."
            : "The model learns to skip tokens; its loss looks plausible and its text does not.",
        evidence: { part: part + 1, labelOffset: against, labelShift: shift, distance },
        fix: fixCode,
      },
    ];
  }
  return [];
}

function signed(offset: number): string {
  return offset === 0 ? "" : offset > 0 ? ` + ${offset}` : ` − ${-offset}`;
}
