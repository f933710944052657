import type { ContractInput } from "../../contract/index.js";
import { isTensor, type Tensor } from "../../tensor/index.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, type OpenedStep, withOptions } from "../facts.js";
import type { Check } from "../finding.js";
import { contradictionOf } from "./contradiction.js";
import { findingOfExplanation } from "./explained.js";

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
