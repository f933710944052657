import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Scores taken as [time, batch, class] that are [batch, time, class], or the reverse.
 *
 * With as many frames as rows nothing fails: every row is made of one frame of each, and the loss is that of noise.
 */
export const ctcLayout: Check = {
  id: "ctc-layout",
  hypotheses(step): readonly Hypothesis[] {
    const { layout } = step.objective.contract.options;
    if (layout !== "TBC" && layout !== "BTC") return [];
    const other = layout === "TBC" ? "BTC" : "TBC";
    const words = `a loss that takes the scores as [${axes(other)}]`;
    const name = step.parts[0]!.batch.logits ? "logits" : "logProbs";
    const scores = step.parts[0]!.batch[name];
    return [
      { about: "ctc-layout", words, contract: withOptions(step, { layout: other }) },
      {
        about: "ctc-layout",
        words: `${words} by a reshape, not a transpose`,
        transform: [{ apply: "reorder", field: name, value: [1, 0, 2] }],
        cost: 1.2,
      },
      ...(isTensor(scores) && scores.shape.length === 3
        ? [
            {
              about: "ctc-layout",
              words: `${words} after a reshape that transposed nothing`,
              contract: withOptions(step, { layout: other }),
              transform: [
                { apply: "reshape", field: name, value: [scores.shape[1]!, scores.shape[0]!, scores.shape[2]!] },
              ],
              cost: 1.1,
            },
          ]
        : []),
    ];
  },
  inspect(step) {
    const explained = findingOfExplanation("ctc-layout", step, () => ({
      cause: "With as many frames as rows the shapes fit both ways.",
      harm: "Each row is made of one frame of every row: the loss is that of noise, and it can even fall.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromShapes(step);
  },
};

const fixCode =
  "transpose where the axes differ, and check it by a shape that is not square:\n# [B, T, C] to the [T, B, C] of F.ctc_loss\nlog_probs = logits.log_softmax(-1).transpose(0, 1)\nassert log_probs.shape[1] == input_lengths.shape[0]";

function axes(layout: string): string {
  return layout === "TBC" ? "time, batch, class" : "batch, time, class";
}

/** Scores that fit the lengths only with their first two axes the other way around. */
function fromShapes(step: AuditedStep): readonly Finding[] {
  const { layout } = step.objective.contract.options;
  if (layout !== "TBC" && layout !== "BTC") return [];
  for (const [part, { batch }] of step.parts.entries()) {
    const { inputLengths, labelLengths } = batch as Record<string, Tensor | undefined>;
    const scores = (batch.logits ?? batch.logProbs) as Tensor | undefined;
    if (!isTensor(scores) || scores.shape.length !== 3 || !isTensor(inputLengths)) continue;
    const rows = inputLengths.data.length;
    const [rowAxis, timeAxis] = layout === "TBC" ? [1, 0] : [0, 1];
    let longest = 0;
    for (const frames of inputLengths.data) longest = Math.max(longest, Number(frames));
    const fits = (row: number, time: number) => scores.shape[row] === rows && longest <= scores.shape[time]!;
    if (fits(rowAxis, timeAxis) || !fits(timeAxis, rowAxis) || labelLengths?.data.length !== rows) continue;
    const other = layout === "TBC" ? "BTC" : "TBC";
    return [
      {
        check: "ctc-layout",
        severity: "error",
        message: `Scores of shape [${scores.shape.join(", ")}] do not fit ${rows} lengths as [${axes(layout)}]; as [${axes(other)}] they do.`,
        why: "The layout decides which axis is time.",
        harm: "The loss fails, or with as many frames as rows is that of noise.",
        evidence: { part: part + 1, rows, longest, layout },
        fix: fixCode,
      },
    ];
  }
  return [];
}
