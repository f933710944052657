import { exp, log } from "../../numerics/index.js";
import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis, Transform } from "../explain/hypothesis.js";
import { firstField, type OpenedStep, optionsOf, solvedFor, withOptions } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { findingOfExplanation } from "./explained.js";

const about = "temperature";

/**
 * A temperature that is missing, applied twice, or not undone: T² of distillation, the scale of contrastive logits.
 *
 * The temperature scales the logits and, with them, the gradient. Without T² the soft part of a distillation shrinks by
 * T² against the hard one; a contrastive loss at another temperature sees other negatives.
 */
export const temperature: Check = {
  id: about,
  hypotheses(step): readonly Hypothesis[] {
    const options = optionsOf(step);
    if ("scaleByTemperatureSquared" in options) return ofDistillation(step);
    return [...ofOption(step, "temperature"), ...ofOption(step, "beta"), ...ofLogScale(step), ...ofNormalization(step)];
  },
  inspect(step) {
    const explained = findingOfExplanation(about, step, ({ contract }) => {
      const distilled = "scaleByTemperatureSquared" in contract.options;
      return {
        cause: distilled
          ? "The gradient of a softened loss is T² times too small beside the hard one: T² brings it back."
          : "The temperature scales the logits once; it decides which pairs weigh, and scales the gradient by 1/T.",
        fix: distilled
          ? 'soften both sides, take the divergence, multiply by T²:\nsoft = F.kl_div(F.log_softmax(student / T, -1), F.softmax(teacher / T, -1), reduction="batchmean") * T * T\nloss = alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)'
          : "divide once, where the logits are made:\nq, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)\nlogits = q @ k.T / temperature      # nowhere else",
      };
    });
    return explained.length ? explained : saturation(step);
  },
};

function ofDistillation(step: OpenedStep): Hypothesis[] {
  const {
    temperature: declared,
    scaleByTemperatureSquared: scaled,
    alpha,
  } = optionsOf(step) as {
    temperature: number;
    scaleByTemperatureSquared: boolean;
    alpha: number | null;
  };
  const out: Hypothesis[] = [];
  const add = (words: string, change: Record<string, unknown>, transform: readonly Transform[] = [], cost = 1) =>
    out.push({ about, words, contract: withOptions(step, change), transform, cost });
  const squared = (words: string, change: Record<string, unknown>, transform: readonly Transform[] = [], cost = 1) => {
    add(words, change, transform, cost);
    if (declared !== 1) {
      const other = scaled ? " and without T²" : " and times T²";
      add(words + other, { ...change, scaleByTemperatureSquared: !scaled }, transform, cost + 0.3);
    }
  };
  // The soft part times another factor than the contract's, as one distillation times a factor.
  const share = firstField(step, "labels") && typeof alpha === "number" ? alpha : 1;
  const softTimes = (
    words: string,
    factor: number,
    change: Record<string, unknown>,
    transform: readonly Transform[],
    cost: number,
  ) => {
    const sum = share * factor + 1 - share;
    const weights = share === 1 ? {} : { alpha: (share * factor) / sum };
    add(
      words,
      { ...change, ...weights, scaleByTemperatureSquared: false },
      [...transform, { apply: "scaleLoss", value: sum }],
      cost,
    );
  };
  if (declared !== 1) {
    add(scaled ? "a distillation without T²" : "a distillation times T²", { scaleByTemperatureSquared: !scaled });
    squared("a distillation that is not softened (temperature 1)", { temperature: 1 }, [], 1.1);
    squared("a distillation softened twice (temperature T²)", { temperature: declared * declared }, [], 1.1);
    const teacher = (value: number): Transform[] => [{ apply: "multiply", field: "teacherLogits", value }];
    squared("a distillation whose teacher is not softened", {}, teacher(declared), 1.1);
    squared("a distillation whose teacher is softened twice", {}, teacher(1 / declared), 1.2);
    // At temperature 1 a teacher that was softened before stands beside a student that is not.
    for (const [factor, how] of [
      [1, ", without T²"],
      [declared * declared, ", times T²"],
    ] as const) {
      softTimes(
        `a distillation whose student is not softened${how}`,
        factor,
        { temperature: 1 },
        teacher(1 / declared),
        1.15,
      );
    }
    softTimes("a distillation times T in place of T²", declared, {}, [], 1.2);
    softTimes("a distillation divided by T²", 1 / (declared * declared), {}, [], 1.3);
    softTimes("a distillation times T² twice", declared * declared * declared * declared, {}, [], 1.3);
  }
  if (typeof alpha === "number" && alpha !== 0.5)
    add("a distillation with alpha on the hard part", { alpha: 1 - alpha }, [], 1.2);
  return out;
}

/** A temperature, or the beta of a preference loss, of another value. */
function ofOption(step: OpenedStep, name: "temperature" | "beta"): Hypothesis[] {
  const declared = optionsOf(step)[name];
  const { family } = step.objective.definition;
  if (typeof declared !== "number" || !(declared > 0) || (name === "beta" && family !== "preference")) return [];
  const by = (value: number, words: string, cost = 1): Hypothesis => ({
    about,
    words,
    contract: withOptions(step, { [name]: value }),
    cost,
  });
  const usual =
    declared === 1
      ? []
      : [
          by(1, `a loss without its ${name} (${name} 1)`),
          by(declared * declared, `a loss with its ${name} applied twice`),
          by(1 / declared, `a loss that multiplies where ${name} divides`, 1.1),
        ];
  const known = new Set([declared, 1, declared * declared, 1 / declared]);
  const solved = solvedFor(step, declared, (value) => withOptions(step, { [name]: value }))
    .filter((value) => [...known].every((each) => Math.abs(each - value) > 1e-6 * each))
    .map((value) => by(value, `a loss at ${name} ${short(value)}`, 1.4));
  return [...usual, ...solved];
}

/** The learned scale of CLIP and SigLIP, which is an exponential. */
function ofLogScale(step: OpenedStep): Hypothesis[] {
  if (!firstField(step, "logScale")) return [];
  const field = "logScale";
  return [
    {
      about,
      words: "a loss whose scale is logScale itself, not its exponential",
      transform: [{ apply: "log", field }],
    },
    { about, words: "a loss without its scale", transform: [{ apply: "multiply", field, value: 0 }] },
    { about, words: "a loss scaled twice", transform: [{ apply: "multiply", field, value: 2 }], cost: 1.1 },
    {
      about,
      words: "a loss that divides by its scale",
      transform: [{ apply: "multiply", field, value: -1 }],
      cost: 1.1,
    },
  ];
}

function ofNormalization(step: OpenedStep): Hypothesis[] {
  const { normalize } = optionsOf(step);
  if (typeof normalize !== "boolean") return [];
  const words = normalize
    ? "a loss on dot products: rows were not normalized"
    : "a loss on cosines: rows were normalized";
  return [{ about, words, contract: withOptions(step, { normalize: !normalize }), cost: 1.1 }];
}

/** Work, in multiplications, that a note is worth. */
const mostWork = 5e7;

/** A note where contrastive logits are so sharp, or so flat, that nothing is learned from them. */
function saturation(step: AuditedStep): readonly Finding[] {
  const { objective, searched } = step;
  if (objective.name !== "infoNce" || step.contradiction) return [];
  const { batch } = searched[0]!;
  const { queries, keys, labels } = batch as Record<string, Tensor | undefined>;
  const option = optionsOf(step).temperature;
  const tau = typeof option === "number" ? option : Number((batch.temperature as Tensor | undefined)?.data[0]);
  if (!isTensor(queries) || !isTensor(keys) || batch.positiveMask || !(tau > 0)) return [];
  const [rows, columns] = [queries.shape[0]!, keys.shape[0]!];
  // Few keys are easily told apart, or all alike.
  if (columns < 8 || queries.data.length * columns > mostWork) return [];
  const normalized = optionsOf(step).normalize === true;
  const [q, k] = [rowsOf(queries, normalized), rowsOf(keys, normalized)];
  const positives: number[] = [];
  let entropy = 0;
  for (let row = 0; row < rows; row++) {
    const scores = k.map((key) => key.reduce((sum, x, d) => sum + x * q[row]![d]!, 0) / tau);
    const top = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    const weights = scores.map((s) => exp(s - top));
    const sum = weights.reduce((total, w) => total + w, 0);
    positives.push(weights[labels ? Number(labels.data[row]) : row]! / sum);
    for (const w of weights) if (w > 0) entropy -= (w / sum) * log(w / sum);
  }
  const median = positives.sort((a, b) => a - b)[Math.floor(rows / 2)]!;
  const share = entropy / rows / log(columns);
  const note = (message: string, fix: string): Finding => ({
    check: about,
    severity: "note",
    message,
    evidence: { medianPositive: median, entropyShare: share, temperature: tau },
    fix,
  });
  if (median > 0.999) {
    return [
      note(
        `The positives' median probability is ${median.toPrecision(4)}: at temperature ${tau} there is nothing left to learn from these negatives.`,
        "raise the temperature, or find harder negatives.",
      ),
    ];
  }
  if (share > 0.99) {
    return [
      note(
        `The distribution over ${columns} keys is flat (entropy ${(100 * share).toFixed(1)} % of its most): at temperature ${tau} negatives are not told apart.`,
        "lower the temperature.",
      ),
    ];
  }
  return [];
}

function rowsOf({ data, shape }: Tensor, normalized: boolean): number[][] {
  const [rows, width] = shape as [number, number];
  return Array.from({ length: rows }, (_, row) => {
    const own = Array.from({ length: width }, (_, d) => Number(data[row * width + d]));
    const norm = normalized ? Math.sqrt(own.reduce((sum, x) => sum + x * x, 0)) : 1;
    return own.map((x) => x / (norm || 1));
  });
}
