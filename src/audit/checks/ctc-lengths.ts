import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep, SearchedPart } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { withOptions } from "../facts.js";
import type { Check, Evidence, Finding } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Lengths that leave no alignment, or that are not those of the encoder's output.
 *
 * A label of n with r repeats needs n + r frames: with fewer the loss is infinite, and zeroInfinity hides that the
 * sequence is not learned at all. Lengths of the features, not divided by the encoder's stride, reach into padding.
 */
export const ctcLengths: Check = {
  id: "ctc-lengths",
  hypotheses(step): readonly Hypothesis[] {
    if (step.objective.name !== "ctc") return [];
    const about = "ctc-lengths";
    const { zeroInfinity } = step.objective.contract.options;
    const { alignment } = step.searched[0]!.context;
    return [
      {
        about,
        words: "a loss over every frame, padding included",
        transform: [{ apply: "fullLengths", field: "inputLengths" }],
      },
      {
        about,
        words: "a loss over every label of the padded rows",
        transform: [{ apply: "fullLengths", field: "labelLengths" }],
      },
      {
        about,
        words: zeroInfinity
          ? "a loss that is infinite where no alignment exists"
          : "a loss that counts a sequence without an alignment as 0",
        contract: withOptions(step, { zeroInfinity: !zeroInfinity }),
      },
      ...(isTensor(alignment?.featureLengths)
        ? [
            {
              about,
              words: "a loss over the frames of the features, before the encoder's stride",
              transform: [{ apply: "replace", field: "inputLengths", value: "alignment.featureLengths" }],
            },
          ]
        : []),
    ];
  },
  inspect(step) {
    const explained = findingOfExplanation("ctc-lengths", step, () => ({
      cause: "Lengths say where the encoder's frames and the labels of a row end; what lies beyond is padding.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromFields(step);
  },
};

const fixCode =
  "give the lengths after the encoder's stride, and drop what cannot be aligned:\ninput_lengths = (feature_lengths + stride - 1) // stride\nneeded = label_lengths + repeats   # a blank between equal labels\nkeep = input_lengths >= needed     # count what you drop:\n                                   # zero_infinity hides it";

/** Frames that a row's labels need: one each, and a blank between equal neighbors. */
function framesNeeded(labels: ArrayLike<number | bigint>, from: number, count: number): number {
  let needed = count;
  for (let i = from + 1; i < from + count; i++) if (Number(labels[i]) === Number(labels[i - 1])) needed++;
  return needed;
}

function fromFields(step: AuditedStep): readonly Finding[] {
  if (step.objective.name !== "ctc" && step.objective.name !== "rnnTransducer") return [];
  const { contradiction } = step;
  if (contradiction?.field && /Lengths$/.test(contradiction.field) && contradiction.code === "value") {
    const message = `The lengths do not fit the scores: ${contradiction.field} is ${contradiction.found}, expected ${contradiction.expected}.`;
    return [
      found(0, message, "The loss reads frames or labels that do not exist.", {
        field: contradiction.field,
        found: contradiction.found,
      }),
    ];
  }
  const parts: readonly Pick<SearchedPart, "batch" | "context">[] = step.searched.length
    ? step.searched
    : step.parts.map(({ batch }) => ({ batch, context: step.record.context }));
  for (const [part, { batch, context }] of parts.entries()) {
    const { labels, inputLengths, labelLengths } = batch as Record<string, Tensor | undefined>;
    if (!isTensor(labels) || !isTensor(inputLengths) || !isTensor(labelLengths)) continue;
    const impossible = step.objective.name === "ctc" ? impossibleRows(labels, inputLengths, labelLengths) : [];
    if (impossible.length > 0) {
      const [first] = impossible;
      const zeroed = step.objective.contract.options.zeroInfinity === true;
      const message = `${impossible.length} of ${inputLengths.data.length} sequences have no alignment: sequence ${first!.row + 1} needs ${first!.needed} frames for ${first!.labels} labels with ${first!.needed - first!.labels} repeats, and has ${first!.frames}.`;
      const harm = zeroed
        ? "Their loss counts as 0 and they have no gradient: what looks learned was never tried."
        : "Their loss is infinite, and with it the mean of the step.";
      return [
        found(part, message, harm, {
          sequence: first!.row + 1,
          needed: first!.needed,
          frames: first!.frames,
          impossible: impossible.length,
        }),
      ];
    }
    const wrong = lengthsNotStrided(context.alignment, inputLengths);
    if (wrong)
      return [
        found(
          part,
          wrong.message,
          "The loss reads frames that are padding, and aligns labels to them.",
          wrong.evidence,
        ),
      ];
  }
  return [];
}

function found(part: number, message: string, harm: string, evidence: Evidence): Finding {
  const why =
    "Every label takes a frame, and equal neighbors a blank between them: a path shorter than that does not exist.";
  return {
    check: "ctc-lengths",
    severity: "error",
    message,
    why,
    harm,
    evidence: { part: part + 1, ...evidence },
    fix: fixCode,
  };
}

function impossibleRows(labels: Tensor, inputLengths: Tensor, labelLengths: Tensor) {
  const padded = labels.shape.length === 2;
  let start = 0;
  const out: { row: number; needed: number; labels: number; frames: number }[] = [];
  for (let row = 0; row < labelLengths.data.length; row++) {
    const count = Math.min(Number(labelLengths.data[row]), labels.data.length - start);
    const from = padded ? row * labels.shape[1]! : start;
    start += count;
    const needed = framesNeeded(labels.data, from, Math.min(count, padded ? labels.shape[1]! : count));
    const frames = Number(inputLengths.data[row]);
    if (needed > frames) out.push({ row, needed, labels: count, frames });
  }
  return out;
}

/** Input lengths that are not those of the features over the encoder's stride, however it rounds. */
function lengthsNotStrided(alignment: SearchedPart["context"]["alignment"], inputLengths: Tensor) {
  const { featureLengths, stride } = alignment ?? {};
  if (!isTensor(featureLengths) || stride === undefined || featureLengths.data.length !== inputLengths.data.length)
    return undefined;
  for (let row = 0; row < inputLengths.data.length; row++) {
    const [features, frames] = [Number(featureLengths.data[row]), Number(inputLengths.data[row])];
    // Convolutions without padding lose a few frames; none gains one.
    if (frames <= Math.ceil(features / stride) + 1 && frames >= Math.floor(features / stride) - 4) continue;
    const message = `Sequence ${row + 1} has ${features} frames of features and a stride of ${stride}, so about ${Math.ceil(features / stride)} frames come out of the encoder, but its input length is ${frames}.`;
    return { message, evidence: { sequence: row + 1, features, stride, frames } };
  }
  return undefined;
}
