import type { Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, type OpenedStep } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { contradictionOf } from "./contradiction.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Labels or targets of a type or range that the loss cannot mean: class labels as floats, scores cast to whole numbers,
 * an ignored label that its type cannot hold.
 */
export const labelDtype: Check = {
  id: "label-dtype",
  hypotheses(step): readonly Hypothesis[] {
    const about = "label-dtype";
    const names = ["targets", "relevance", "weights"].filter((name) => hasFractions(firstField(step, name)));
    return [
      ...names.map((field) => ({
        about,
        words: `${field} cast to whole numbers`,
        transform: [{ apply: "truncate", field }],
      })),
      ...(firstField(step, "labels")
        ? [-1, 1].map((value) => ({
            about,
            words: `labels that are one ${value < 0 ? "lower" : "higher"}: counted from ${value < 0 ? "1" : "0"} and not as the contract does`,
            transform: [{ apply: "add", field: "labels", value }],
            cost: 1.3,
          }))
        : []),
      ...(firstField(step, "labels")
        ? ["float16", "bfloat16"].map((value) => ({
            about,
            words: `labels rounded through ${value}: it holds no whole number above ${value === "float16" ? 2048 : 256} for sure`,
            transform: [{ apply: "cast", field: "labels", value }],
            cost: 1.1,
          }))
        : []),
    ];
  },
  inspect(step) {
    const contradicted = contradictionOf("label-dtype", step);
    if (contradicted.length) return contradicted;
    const explained = findingOfExplanation("label-dtype", step, () => ({
      cause: "An integer type drops what stands behind the point, without a word.",
      harm: "The loss is that of other answers than the data has.",
      fix: "class labels are integers (long), every other target is floating point:\ntargets = torch.tensor(values, dtype=torch.float32)",
    }));
    return explained.length ? explained : fromFields(step);
  },
};

function hasFractions(field: Tensor | undefined): boolean {
  if (!field || (field.dtype !== "float32" && field.dtype !== "float64")) return false;
  return (field.data as Float64Array).some((x) => !Number.isInteger(x) && Number.isFinite(x));
}

/** Objectives whose targets are counts: whole numbers are what they are. */
const counts = new Set(["poissonNll", "negativeBinomialNll"]);

function fromFields(step: AuditedStep): readonly Finding[] {
  return wholeTargets(step) ?? wrappedLabels(step) ?? [];
}

/** Targets of a regression that are stored as integers, under predictions that are none. */
function wholeTargets(step: OpenedStep): readonly Finding[] | undefined {
  const targets = firstField(step, "targets");
  if (step.objective.definition.family !== "elementwise" || counts.has(step.objective.name) || !targets)
    return undefined;
  if (targets.dtype === "float32" || targets.dtype === "float64") return undefined;
  return [
    {
      check: "label-dtype",
      severity: "error",
      message: `The targets of a regression are ${targets.dtype}: whatever stood behind the point is gone.`,
      why: "Class labels are integers; the target of a regression is a real number, and a cast to an integer truncates it.",
      harm: "The model learns scores rounded towards zero, and no metric on the same targets shows it.",
      evidence: { dtype: targets.dtype },
      fix: "keep the targets floating point, whole numbers too:\ntargets = torch.tensor(values, dtype=torch.float32)",
    },
  ];
}

/** −100 in an unsigned byte is 156: a label like any other. */
function wrappedLabels(step: OpenedStep): readonly Finding[] | undefined {
  const labels = firstField(step, "labels");
  const { ignoreIndex } = step.objective.contract.options as { ignoreIndex?: number };
  if (labels?.dtype !== "uint8" || ignoreIndex === undefined || ignoreIndex >= 0) return undefined;
  const wrapped = ((ignoreIndex % 256) + 256) % 256;
  let count = 0;
  for (let i = 0; i < labels.data.length; i++) if (Number(labels.data[i]) === wrapped) count++;
  if (count === 0) return undefined;
  return [
    {
      check: "label-dtype",
      severity: "error",
      message: `${count} labels are ${wrapped}, which is what ${ignoreIndex} becomes in uint8: they are not ignored.`,
      why: 'An unsigned type holds no negative number: the label that says "leave out" wraps around.',
      harm: `Positions that should be left out are learned as class ${wrapped}.`,
      evidence: { dtype: "uint8", wrapped, count },
      fix: "store labels as int64 (torch.long) before −100 is written into them.",
    },
  ];
}
