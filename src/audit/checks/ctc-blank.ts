import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/** Classes among which every one is tried as the blank. */
const mostClasses = 256;

/**
 * A blank that is another class than the labels and the decoder take for it, or a label that is the blank.
 *
 * Frameworks differ: torch has 0, TensorFlow's CPU kernel the last class. The class that the loss takes for blank is
 * learned as silence, and the true blank as a letter.
 */
export const ctcBlank: Check = {
  id: "ctc-blank",
  hypotheses(step): readonly Hypothesis[] {
    const { blank } = step.objective.contract.options;
    const logits = firstField(step, "logits") ?? firstField(step, "logProbs");
    if (typeof blank !== "number" || !logits) return [];
    const classes = logits.shape.at(-1)!;
    const others = classes <= mostClasses ? Array.from({ length: classes }, (_, k) => k) : [0, 1, classes - 1];
    // The usual places first.
    const ordered = [...new Set([0, classes - 1, ...others])].filter((k) => k !== blank);
    return ordered.map((k) => ({
      about: "ctc-blank",
      words: `a loss whose blank is class ${k}${k === classes - 1 ? ", the last one" : ""}`,
      contract: withOptions(step, { blank: k }),
      cost: k === 0 || k === classes - 1 ? 1 : 1.2,
    }));
  },
  inspect(step) {
    const explained = findingOfExplanation("ctc-blank", step, ({ contract }) => ({
      cause: `Labels and decoder take class ${String(step.objective.contract.options.blank)} for the blank, the loss took ${String(contract.options.blank)}.`,
      harm: "What the loss takes for blank is learned as silence, and the true blank as a letter: nothing that is decoded is right.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromFields(step);
  },
};

const fixCode =
  "name the blank once, and hand the same number to loss, labels and decoder:\nloss = F.ctc_loss(log_probs, targets, input_lengths,\n                  target_lengths, blank=BLANK)\nassert not (targets == BLANK).any()";

/** What a symbol table calls the blank. */
const blankName = /^[<[({|]?\s*(blank|blk|ctc[-_ ]?blank|eps|epsilon|ε|∅|-)\s*[>\])}|]?$/i;

function fromFields(step: AuditedStep): readonly Finding[] {
  const { blank } = step.objective.contract.options;
  if (typeof blank !== "number") return [];
  for (const [part, { batch }] of step.parts.entries()) {
    const { labels, labelLengths } = batch as Record<string, Tensor | undefined>;
    const context = step.searched[part]?.context ?? step.record.context;
    const at = isTensor(labels) && isTensor(labelLengths) ? blankAmongLabels(labels, labelLengths, blank) : undefined;
    if (at !== undefined) {
      return [
        found(part, `Label ${at.place + 1} of sequence ${at.row + 1} is ${blank}, the blank.`, {
          sequence: at.row + 1,
          place: at.place + 1,
          blank,
        }),
      ];
    }
    const symbols = context.alignment?.symbols;
    const named = symbols?.findIndex((symbol) => blankName.test(symbol) && symbol !== "-");
    if (symbols && named !== undefined && named >= 0 && named !== blank) {
      return [
        found(
          part,
          `The symbol table has its blank at ${named} (${JSON.stringify(symbols[named])}), the contract at ${blank} (${JSON.stringify(symbols[blank] ?? "no symbol")}).`,
          { blank, named },
        ),
      ];
    }
  }
  return [];
}

function found(part: number, message: string, evidence: Finding["evidence"]): Finding {
  return {
    check: "ctc-blank",
    severity: "error",
    message,
    why: "The blank stands for no symbol: collapse removes it, so that a label with its id can never be read out.",
    harm: "The loss of such a sequence is that of another text.",
    evidence: { part: part + 1, ...evidence },
    fix: fixCode,
  };
}

function blankAmongLabels(labels: Tensor, labelLengths: Tensor, blank: number) {
  const padded = labels.shape.length === 2;
  let start = 0;
  for (let row = 0; row < labelLengths.data.length; row++) {
    const count = Math.min(Number(labelLengths.data[row]), labels.data.length - start);
    const from = padded ? row * labels.shape[1]! : start;
    start += count;
    for (let place = 0; place < count; place++) {
      const label = labels.data[from + place];
      if (label !== undefined && Number(label) === blank) return { row, place };
    }
  }
  return undefined;
}
