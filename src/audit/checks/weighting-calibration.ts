import type { Json } from "../../contract/index.js";
import { isTensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis, Transform } from "../explain/hypothesis.js";
import { hasRowLoss } from "../explain/row-losses.js";
import { optionsOf, withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Weights that moved the probabilities, and nothing that brought them back; or weights applied otherwise than declared.
 *
 * Class weights, focal's modulation and posWeight change the objective: its minimum is no longer the probability in the
 * data. A threshold of 0.5, or a calibration error of sigmoid(logits), then judges another world.
 */
export const weightingCalibration: Check = {
  id: "weighting-calibration",
  hypotheses(step): readonly Hypothesis[] {
    const about = "weighting-calibration";
    const options = optionsOf(step);
    const { objective } = step;
    const out: Hypothesis[] = [];
    const add = (words: string, change?: Record<string, unknown>, transform?: readonly Transform[], cost = 1) =>
      out.push({
        about,
        words,
        cost,
        ...(change && { contract: withOptions(step, change) }),
        ...(transform && { transform }),
      });
    for (const name of ["classWeights", "alpha", "posWeight"] as const) {
      const value = options[name];
      if (value === undefined || (name === "alpha" && !isModulated(step))) continue;
      if (value === null) {
        const weights = classCountWeights(step, name);
        if (weights)
          add(`a loss weighted by ${name} of the inverse class frequencies, which the contract does not have`, {
            [name]: weights,
          });
        continue;
      }
      add(`a loss without ${name}`, { [name]: null });
      if (typeof value === "number" && name === "alpha")
        add("a loss with alpha on the negatives and 1 − alpha on the positives", { alpha: 1 - value });
      const list = Array.isArray(value) ? (value as readonly number[]) : [Number(value)];
      const mapped = (change: (x: number) => number) => (Array.isArray(value) ? list.map(change) : change(list[0]!));
      if (name !== "alpha" || Array.isArray(value)) {
        add(`a loss with ${name} applied twice`, { [name]: mapped((x) => x * x) }, undefined, 1.1);
        if (list.every((x) => x > 0))
          add(`a loss with ${name} upside down (1 / weight)`, { [name]: mapped((x) => 1 / x) }, undefined, 1.1);
        if (list.every((x) => x >= 0))
          add(`a loss with the square root of ${name}`, { [name]: mapped(Math.sqrt) }, undefined, 1.2);
        if (list.length > 1)
          add(
            `a loss with ${name} in the reverse order of the classes`,
            { [name]: [...list].reverse() },
            undefined,
            1.2,
          );
        const sum = list.reduce((total, x) => total + x, 0);
        if (list.length > 1 && sum > 0) {
          add(`a loss with ${name} divided by their sum`, { [name]: mapped((x) => x / sum) }, undefined, 1.1);
          add(
            `a loss with ${name} scaled to a mean of 1`,
            { [name]: mapped((x) => (x * list.length) / sum) },
            undefined,
            1.15,
          );
        }
      }
    }
    if (
      options.alpha !== null &&
      options.alpha !== undefined &&
      hasRowLoss(objective, "modulationOfWeightedLoss") &&
      objective.name === "focal"
    ) {
      add(
        "a focal loss whose p_t is exp(−loss) taken after the class weight: p to the power of the weight",
        undefined,
        [{ apply: "loss", value: "modulationOfWeightedLoss" }],
      );
    }
    if (options.posWeight !== null && options.posWeight !== undefined && objective.name === "binaryCrossEntropy") {
      add("a loss with posWeight on the negatives", undefined, [{ apply: "loss", value: "posWeightOnNegatives" }]);
    }
    if (typeof options.gamma === "number" && isModulated(step)) {
      for (const gamma of [0, 1, 2, 3, 5]) {
        if (gamma !== options.gamma) add(`a loss with gamma ${gamma}`, { gamma }, undefined, 1.1);
      }
    }
    if (options.priors !== null && options.priors !== undefined)
      add("a loss without the logit adjustment", { priors: null, logitAdjustment: 0 });
    if (isTensor(step.searched[0]!.batch.weights)) {
      add("a loss without the weights of the batch", undefined, [{ apply: "drop", field: "weights" }], 1.05);
    }
    return out;
  },
  inspect(step) {
    const explained = findingOfExplanation("weighting-calibration", step, () => ({
      cause:
        "Weights belong outside the loss of a unit, once, and as declared: they decide what the probabilities mean.",
      fix: "multiply last, the unweighted p_t inside:\nlog_p = F.log_softmax(logits, -1)\nlog_p = log_p.gather(-1, labels[:, None]).squeeze(-1)\nloss = -alpha[labels] * (1 - log_p.exp()) ** gamma * log_p",
    }));
    return explained.length ? explained : fromContext(step);
  },
};

function isModulated({ objective }: Pick<AuditedStep, "objective">): boolean {
  return "gamma" in objective.contract.options;
}

/** Weights that the class counts of the training set would give, where they are recorded. */
function classCountWeights({ record }: Pick<AuditedStep, "record">, name: string): Json | undefined {
  const counts = record.context.classCounts;
  if (!counts || counts.some((count) => count === 0) || name === "alpha") return undefined;
  const sum = counts.reduce((total, count) => total + count, 0);
  if (name === "posWeight") return undefined;
  return counts.map((count) => sum / (counts.length * count));
}

/** Options that move the probabilities away from those in the data, in words; empty where none does. */
function movers(step: AuditedStep): string[] {
  const { classWeights, alpha, posWeight, gamma, gammaPositive, gammaNegative, clip, priors } = step.objective.contract
    .options as Record<string, Json | undefined>;
  const uneven = (value: Json | undefined, neutral: (x: number) => boolean) => {
    if (value === null || value === undefined) return false;
    if (!Array.isArray(value)) return typeof value === "number" && !neutral(value);
    return new Set(value).size > 1 || value.some((x) => !neutral(Number(x)));
  };
  const name = (told: string, moved: boolean) => (moved ? [told] : []);
  const several = Array.isArray(classWeights) && new Set(classWeights).size > 1;
  return [
    ...name("class weights", several),
    ...name(
      "posWeight",
      uneven(posWeight, (x) => x === 1),
    ),
    ...name(
      "focal's alpha",
      isModulated(step) && uneven(alpha, (x) => (Array.isArray(alpha) ? x === alpha[0] : x === 0.5)),
    ),
    ...name("focal's modulation", typeof gamma === "number" && gamma > 0),
    ...name(
      "the asymmetric modulation",
      [gammaPositive, gammaNegative, clip].some((x) => typeof x === "number" && x > 0),
    ),
    ...name("the priors", priors !== null && priors !== undefined),
  ];
}

/** What reads probabilities as such. */
const readers = /calibration|brier|logloss|log_loss|nll|likelihood|reliability/i;
/** What only asks for an order, which a weight on a class leaves as it is. */
const ranks = /auroc|\bauc\b|roc|average_?precision|ndcg|at_?k\b|@\d|reciprocal|spearman|kendall/i;
/** What decides at a probability unless a threshold is tuned. */
const deciders = /accuracy|precision|recall|f1|f_?beta|f_?score|confusion|matthews|kappa|specificity|sensitivity/i;

/** Probabilities or decisions that the record says were read as if nothing had been weighed. */
function fromContext(step: AuditedStep): readonly Finding[] {
  const { metric, decision } = step.record.context;
  const moved = step.declared ? movers(step) : [];
  if (moved.length === 0 || metric?.correctedForWeights === true) return [];
  const reasons: string[] = [];
  const isBinary = step.objective.definition.unit === "element";
  const untuned =
    decision && decision.tuned !== true && (decision.threshold === undefined || decision.threshold === 0.5);
  if (untuned) reasons.push("decisions are made at a threshold of 0.5 that nobody tuned");
  if (metric && metric.correctedForWeights === false && !ranks.test(metric.name)) {
    reasons.push(`${metric.name} reads ${metric.reads ?? "the probabilities"}, not corrected for the weights`);
  } else if (metric && /sigmoid|softmax|prob/i.test(metric.reads ?? "") && readers.test(metric.name)) {
    reasons.push(`${metric.name} reads ${metric.reads} as they are`);
  } else if (metric && isBinary && decision?.tuned === false && deciders.test(metric.name)) {
    reasons.push(`${metric.name} decides at a threshold that nobody tuned`);
  }
  if (reasons.length === 0) return [];
  const { posWeight } = step.objective.contract.options as { posWeight?: Json };
  const shift = Array.isArray(posWeight) ? posWeight.map((w) => short(Number(w))).join(", ") : posWeight;
  return [
    {
      check: "weighting-calibration",
      severity: "error",
      message: `${moved.join(" and ")} moved the probabilities, and ${reasons.join("; ")}.`,
      why:
        posWeight === null || posWeight === undefined
          ? "A weighted loss is proper for another distribution than that of the data: its probabilities are those of a re-weighted world."
          : `With posWeight w the odds that the model learns are w times those of the data (w: ${String(shift)}).`,
      harm: "Rare classes look far likelier than they are; a threshold of 0.5 and a calibration error judge that world.",
      evidence: {
        moved: moved.join(", "),
        ...(metric && { metric: metric.name }),
        ...(metric?.value !== undefined && { value: metric.value }),
        ...(decision?.threshold !== undefined && { threshold: decision.threshold }),
      },
      fix: "bring the probabilities back before reading them, or tune the threshold on validation data:\n# undoPosWeight(logits, posWeight)\nprobabilities = (logits - pos_weight.log()).sigmoid()\n# class weights: logits - log(w); focal has no formula: fit a\n# temperature, Platt scaling or isotonic regression on held-out data",
    },
  ];
}
