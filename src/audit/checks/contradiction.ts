import type { ContractInput } from "../../contract/index.js";
import type { ErrorCode, LosswrightError } from "../../errors/index.js";
import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, type OpenedStep, withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { ctcBlank } from "./ctc-blank.js";
import { ctcLayout } from "./ctc-layout.js";
import { ctcLengths } from "./ctc-lengths.js";
import { findingOfExplanation } from "./explained.js";

/** What the fields can contradict a contract in, by the code of the error. */
const kinds: Readonly<Partial<Record<ErrorCode, "shape" | "label-dtype">>> = {
  shape: "shape",
  "missing-field": "shape",
  unknown: "shape",
  argument: "shape",
  option: "shape",
  merge: "shape",
  dtype: "label-dtype",
  role: "label-dtype",
  value: "label-dtype",
};

/** Checks that know more of a contradiction than the error that names it. */
const finer: readonly Check[] = [ctcLayout, ctcBlank, ctcLengths];

function contradictionOf(id: "shape" | "label-dtype", step: AuditedStep): readonly Finding[] {
  const { contradiction } = step;
  if (!contradiction || kinds[contradiction.code] !== id) return [];
  if (finer.some((check) => check.inspect(step).length > 0)) return [];
  return [findingOf(id, contradiction)];
}

function findingOf(check: string, error: LosswrightError): Finding {
  return {
    check,
    severity: "error",
    message: `The fields contradict the contract: ${[error.where, error.field].filter(Boolean).join(": ")}: found ${error.found}, expected ${error.expected}.`,
    evidence: {
      field: error.field ?? "",
      found: error.found,
      expected: error.expected,
      ...(error.index && { index: error.index }),
    },
    fix: error.fix ?? `give ${error.field ?? "the fields"} as ${error.expected}.`,
  };
}

/**
 * Shapes that do not fit each other or the contract, and what a framework broadcasts or reshapes without a word.
 *
 * A column of predictions against a row of targets is a table of all differences; scores reshaped without moving the
 * class axis mix positions and classes. Both give one number and a gradient.
 */
export const shape: Check = {
  id: "shape",
  hypotheses(step): readonly Hypothesis[] {
    const about = "shape";
    const out: Hypothesis[] = [];
    // The units of a sample have lost the shape that could have been mistaken.
    if (step.searched.some(({ denominator }) => denominator !== undefined)) return [];
    const scores = firstField(step, "logits");
    const answers = firstField(step, "labels") ?? firstField(step, "targets");
    const isCtc = step.objective.definition.family === "latent";
    const axis = Number(step.objective.contract.options.classAxis ?? -1);
    if (scores && axis > 0 && axis < scores.shape.length - 1 && !isCtc) {
      const value = [...scores.shape.filter((_, at) => at !== axis), scores.shape[axis]!];
      const words = `scores [${scores.shape.join(", ")}] reshaped to [${value.join(", ")}] without moving the class axis`;
      out.push({
        about,
        words,
        contract: withOptions(step, { classAxis: -1 }),
        transform: [{ apply: "reshape", field: "logits", value }],
      });
    }
    if (scores && scores.shape.length === 3 && !isCtc) {
      for (const axes of [
        [0, 2, 1],
        [1, 0, 2],
        [2, 0, 1],
        [1, 2, 0],
        [2, 1, 0],
      ]) {
        const words = `scores with their axes taken in the order ${axes.join(", ")}, reshaped without moving them`;
        out.push({
          about,
          words,
          transform: [{ apply: "reorder", field: "logits", value: axes }],
          cost: axes[0] === 0 ? 1 : 1.1,
        });
        const contract = overCount(step);
        if (contract && firstField(step, "labels")) {
          out.push({
            about,
            words: `log-probabilities with their axes taken in the order ${axes.join(", ")}: the softmax is right, the labels pick from a reshape that moved nothing`,
            contract,
            transform: [{ apply: "reorderLogProbabilities", field: "labels", value: axes }],
            cost: axes[0] === 0 ? 1.1 : 1.2,
          });
        }
      }
    }
    for (const [name, field] of [
      ["logits", scores],
      ["labels", firstField(step, "labels")],
      ["targets", firstField(step, "targets")],
      ["mask", step.searched[0]!.batch.mask],
    ] as const) {
      if (!isTensor(field) || field.shape.length !== 2 || isCtc || Math.min(...field.shape) < 2) continue;
      if (name === "logits" && answers?.shape.length === 2 && step.objective.definition.unit === "position") continue;
      const words = `${name} transposed by a reshape: rows and columns mixed`;
      out.push({ about, words, transform: [{ apply: "reorder", field: name, value: [1, 0] }], cost: 1.1 });
    }
    const { targets } = step.searched[0]!.batch as Record<string, Tensor | undefined>;
    for (const field of ["predictions", "logits"]) {
      const values = firstField(step, field);
      if (!isTensor(targets) || values?.data.length !== targets.data.length || targets.data.length > 2048) continue;
      if (values.data.length < 2 || Math.max(...values.shape) !== values.data.length) continue;
      const words = `every entry of ${field} against every target: a column against a row broadcasts to a table`;
      out.push({ about, words, transform: [{ apply: "broadcast", field }], cost: 1.05 });
    }
    return out;
  },
  inspect(step) {
    const contradicted = contradictionOf("shape", step);
    if (contradicted.length) return contradicted;
    return findingOfExplanation("shape", step, ({ transform }) => {
      const table = transform.some(({ apply }) => apply === "broadcast");
      return {
        cause: table
          ? "Shapes [N, 1] and [N] broadcast to [N, N], and the mean over the table is a number like any other."
          : "A reshape keeps the order of the numbers: it does not move an axis.",
        harm: table
          ? "The best prediction is the mean of all targets: the model learns no difference between inputs."
          : "Scores of one position are taken for classes of another: what is learned is noise.",
        fix: table
          ? "give both the same shape:\nloss = F.mse_loss(prediction.squeeze(-1), target)"
          : "move the axis, then reshape:\n# [B, K, T] to [B*T, K]\nlogits = logits.permute(0, 2, 1).reshape(-1, num_classes)\nloss = F.cross_entropy(logits, labels.reshape(-1))",
      };
    });
  },
};

/** Plain cross entropy over the number of units that count: where targets stand in for labels, no unit is left out. */
function overCount(step: OpenedStep): ContractInput | undefined {
  const { objective, declared } = step;
  const { classWeights, labelSmoothing } = objective.contract.options;
  if (objective.name !== "crossEntropy" || classWeights !== null || labelSmoothing !== 0 || !declared?.count)
    return undefined;
  const contract = withOptions(step, { labelShift: 0 });
  return { ...contract, reduction: { ...contract.reduction, divideBy: { constant: declared.count } } };
}

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
