import type { Hypothesis } from "../explain/hypothesis.js";
import { optionsOf, withOptions } from "../facts.js";
import type { Check } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * A focal modulation that was meant to have a gradient and was detached, or the reverse.
 *
 * (1 − p)^γ depends on the logits. Held constant it only reweighs the samples: the value is the same, the gradient is
 * that of another objective.
 */
export const detachedModulation: Check = {
  id: "detached-modulation",
  hypotheses(step): readonly Hypothesis[] {
    const about = "detached-modulation";
    const { reweightOnly } = optionsOf(step);
    if (typeof reweightOnly === "boolean") {
      const words = reweightOnly
        ? "a focal loss with the gradient through its modulation"
        : "a focal loss whose modulation was detached: it weighs the samples and has no gradient";
      return [{ about, words, contract: withOptions(step, { reweightOnly: !reweightOnly }) }];
    }
    const { name } = step.objective;
    if (name !== "binaryFocal" && name !== "asymmetric") return [];
    const words = "a loss whose modulation was detached: it weighs the elements and has no gradient";
    return [{ about, words, transform: [{ apply: "loss", value: "detachedModulation" }] }];
  },
  inspect(step) {
    const declared = optionsOf(step).reweightOnly === true;
    return findingOfExplanation("detached-modulation", step, () => ({
      cause: declared
        ? "The contract holds the modulation constant, the code did not."
        : "p_t under no_grad or .detach() is a number, not a function of the logits.",
      harm: "The loss is the same number; its gradient pulls hard and easy samples otherwise than the declared objective.",
      fix: declared
        ? "detach p_t, as declared, or declare reweightOnly: false."
        : "leave p_t attached, or declare that it only reweighs (reweightOnly: true):\nlog_p = F.log_softmax(logits, -1)\nlog_p = log_p.gather(-1, labels[:, None]).squeeze(-1)\nloss = -(1 - log_p.exp()) ** gamma * log_p  # no detach, no no_grad",
    }));
  },
};
