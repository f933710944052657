import type { LosswrightError } from "../../errors/index.js";
import { describeReduction } from "../../losses/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { isEvaluation, partWord, unitWord } from "../words.js";
import { aboutAggregation, evidenceOf, harmOf, mismatch, reproduction } from "./aggregation.js";
import { explanationAbout } from "./explained.js";

/**
 * A sum of losses divided by something else than the contract's denominator: the count where weights should divide,
 * rows for tokens, every position for those that count, a mean inside sequences for one over tokens.
 *
 * It scales or turns the gradient, so the same learning rate takes another step.
 */
export const denominator: Check = {
  id: "denominator",
  inspect(step) {
    if (step.contradiction?.code === "empty") return [emptyStep(step.contradiction)];
    const parts = isEvaluation(step) ? explanationAbout(step, "parts") : undefined;
    if (parts) return [ofBatches(step, parts)];
    const explanation = explanationAbout(step, "reduction");
    if (!explanation) return fromMetric(step);
    const { objective } = step;
    const how = explanation.aggregation === "whole" ? "" : ` (${explanation.aggregation})`;
    return [
      {
        check: "denominator",
        severity: "error",
        message: mismatch(step),
        why: `The reported ${step.loss === null ? "gradient" : "loss"} divides by something else: ${explanation.words}${how}. ${reproduction(step, explanation)}`,
        harm: harmOf(step, partWord(step), unitWord(step)),
        evidence: { ...evidenceOf(step, explanation), divisor: explanation.words },
        fix: `divide as the contract says (${describeReduction(objective.definition.unit, objective.reduction)}), or declare what is meant: reduction ${JSON.stringify(explanation.contract.reduction)}.`,
      },
    ];
  },
};

/** Nothing is counted, and the contract calls that an error. */
function emptyStep({ found, expected, fix }: LosswrightError): Finding {
  return {
    check: "denominator",
    severity: "error",
    message: `The contract has no value on these fields: ${found}.`,
    evidence: { denominator: 0, found, expected },
    fix: fix ?? 'skip steps that count nothing, or declare onEmpty: "zero".',
  };
}

/** The mean of an evaluation's batches, each divided by its own count. */
function ofBatches(step: AuditedStep, explanation: Explanation): Finding {
  return aboutAggregation("denominator", step, explanation, {
    part: partWord(step),
    cause: "Every batch weighs alike, the short last one as much as the others.",
    fix: "add up sums and counts over the batches, and divide once:\ntotal += loss_sum.item()\ncount += n.item()\nmean = total / count",
  });
}

/** Metrics that no mean over batches gives, weighed or not: they are not means of their samples. */
const notMeans =
  /perplexity|auroc|auc|average_?precision|f_?1|f_?beta|f_?score|precision|recall|matthews|kappa|r2|r_squared|pearson|spearman|kendall|root|rmse|bleu|rouge|error_?rate|bits|calibration|ndcg_corpus|median|max_?error|geometric/i;

/** An epoch's metric that is a mean over batches of unequal size, or a mean of what has none. */
function fromMetric(step: AuditedStep): readonly Finding[] {
  const { metric } = step.record.context;
  const updates = metric?.updates ?? [];
  if (!metric || updates.length < 2) return [];
  const finite = updates.every(({ value, count }) => Number.isFinite(value) && count >= 0);
  const counts = updates.reduce((sum, { count }) => sum + count, 0);
  if (!finite || counts === 0) return [];
  const plain = updates.reduce((sum, { value }) => sum + value, 0) / updates.length;
  const weighed = updates.reduce((sum, { value, count }) => sum + value * count, 0) / counts;
  const { value = metric.averaging === "batches" ? plain : undefined, averaging } = metric;
  if (value === undefined || averaging === "accumulated") return [];
  const is = (mean: number) => Math.abs(value - mean) <= 1e-4 * Math.max(Math.abs(mean), 1e-6);
  const told = `${metric.name} of ${short(value)}`;
  const evidence = {
    metric: metric.name,
    value,
    meanOfBatches: plain,
    meanOfSamples: weighed,
    batches: updates.length,
  };
  if (is(plain) && !is(weighed)) {
    return [
      {
        check: "denominator",
        severity: "error",
        message: `The epoch's ${told} is the mean of ${updates.length} batch values; weighed by their counts it is ${short(weighed)}.`,
        why: "Batches of unequal size weigh alike: samples of the short last batch count for more than all others.",
        harm: "The number changes with the batch size, and runs cannot be compared by it.",
        evidence,
        fix: "accumulate numerator and denominator over the epoch, and divide once:\ntotal += value * count\ncount_all += count\nmetric = total / count_all",
      },
    ];
  }
  const spread = updates.some((update) => update.value !== updates[0]!.value);
  if (notMeans.test(metric.name) && spread && (is(plain) || is(weighed))) {
    return [
      {
        check: "denominator",
        severity: "warning",
        message: `The epoch's ${told} is a mean of batch values, and ${metric.name} is no mean over samples.`,
        why: "The metric of all samples together is another number than any average of the metrics of their batches.",
        harm: "The number depends on how the samples were batched.",
        evidence,
        fix: "accumulate what the metric is made of (counts, sums, scores) over the epoch, and compute it once.",
      },
    ];
  }
  return [];
}
