import { numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { sigmoid } from "../../numerics/index.js";
import type { Tensor } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, UnitFields } from "../definition.js";
import { type Score, type SequenceScores, scoreInWords, scoreOption, sequenceField } from "./fields.js";

/** Options of {@link kto}. */
export interface KtoOptions {
  /** β > 0: scales the log ratio of policy and reference. Default 0.1. */
  readonly beta: number;
  /** Factor on desirable answers, never in the denominator. Default 1. */
  readonly desirableWeight: number;
  /** Factor on undesirable answers, never in the denominator. Default 1. */
  readonly undesirableWeight: number;
  /** What the scores are; for the contract, no arithmetic. Default "sum". */
  readonly score: Score;
}

/** What {@link kto} reads, answer by answer, `[B]`; no pairs are needed. */
export interface KtoBatch extends UnitFields {
  readonly policy: SequenceScores;
  /** The reference model's score; a constant. */
  readonly reference: SequenceScores;
  /** 1 where an answer is desirable, 0 where it is not. */
  readonly desirable: Tensor;
  /** `[]`: an estimate of KL(policy ‖ reference), from answers that do not belong to their prompts; a constant. */
  readonly klEstimate: Tensor | number;
}

/**
 * Kahneman–Tversky optimization of single answers, each called desirable or not.
 *   h     = policy − reference,   k = max(klEstimate, 0)      (k has no gradient)
 *   loss  = w⁺ σ(−β (h − k))  for a desirable answer,   w⁻ σ(β (h − k))  for another
 *   d/dh  = ∓ w β σ(β (h − k)) σ(−β (h − k))
 * Written as 1 − σ(±β (h − k)) in the paper; σ of the opposite sign keeps its digits where that difference cancels.
 * The gradient vanishes on both sides: an answer far from the reference point, right or wrong, is let go.
 * h = ±∞ gives 0 or w; NaN gives NaN. Ethayarajh et al. 2024; TRL `KTOTrainer`.
 */
export const kto = /*#__PURE__*/ defineLoss<KtoOptions, KtoBatch, "policy">({
  name: "kto",
  family: "preference",
  unit: "row",
  unitShape: ["B"],
  documentation: {
    summary: "One minus the prospect-theoretic value of single answers, each desirable or not.",
    formula:
      "w·σ(∓β·(h − k)),  h = policy − reference,  k = max(klEstimate, 0);  − for desirable answers, + for others",
    gradient: "d/dpolicy = ∓w·β·σ(β·(h − k))·σ(−β·(h − k));  none through klEstimate",
    likelihood: {
      target: "answer called desirable or not",
      distribution: "none: a bounded utility, not a log-likelihood",
    },
    pitfalls: [
      "klEstimate is one number for the whole step: gather it over ranks and micro-batches, or each part has its own loss.",
      "It comes from mismatched prompts and answers, scored without gradient; the batch's own log ratios bias it.",
      "Unbalanced data wants desirableWeight · desirables about equal to undesirableWeight · undesirables.",
      "The two weights scale the loss and do not divide: doubling both doubles the gradient.",
    ],
    metric: "winRate, rewardMargin",
    source: "Ethayarajh et al. 2024; TRL KTOTrainer",
  },
  options: {
    beta: numberOption("scales the log ratio of policy and reference", 0.1, { above: 0 }),
    desirableWeight: numberOption("factor on desirable answers, not in the denominator", 1, { atLeast: 0 }),
    undesirableWeight: numberOption("factor on undesirable answers, not in the denominator", 1, { atLeast: 0 }),
    score: scoreOption("sum"),
  },
  fields: {
    policy: sequenceField("the policy's score of each answer", "row"),
    reference: sequenceField("the reference model's score of each answer; a constant", "none"),
    desirable: {
      meaning: "1 where an answer is desirable, 0 where it is not",
      holds: "flags",
      roles: [],
      shape: ["B"],
      read: "label",
      gradient: "none",
    },
    klEstimate: {
      meaning: "an estimate of KL(policy ‖ reference) over the step; taken as 0 below 0, a constant",
      holds: "reals",
      roles: [],
      shape: [],
      read: "whole",
      gradient: "none",
    },
  },
  describe: ({ beta, desirableWeight, undesirableWeight, score }) =>
    [
      `KTO loss of each answer with beta ${beta} against the step's KL estimate, which is taken as 0 below 0 and has no gradient`,
      (desirableWeight !== 1 || undesirableWeight !== 1) &&
        `desirable answers times ${desirableWeight}, others times ${undesirableWeight} (not in the denominator)`,
      `scores being ${scoreInWords(score)}`,
    ]
      .filter(Boolean)
      .join(", "),
  open(batch, { rows, own }) {
    const { beta, desirableWeight, undesirableWeight } = batch.options;
    const [policy, reference, desirable] = [rows.policy!, rows.reference!, rows.desirable!];
    const point = Math.max(0, klEstimate(batch));
    const sign = () => (desirable[0] ? -1 : 1);
    const weight = () => (desirable[0] ? desirableWeight : undesirableWeight);
    const z = () => sign() * beta * (policy[0]! - reference[0]! - point);
    return {
      loss: () => weight() * sigmoid(z()),
      gradient() {
        own.policy![0] = sign() * weight() * beta * sigmoid(z()) * sigmoid(-z());
      },
    };
  },
});

/** @throws `value` for an estimate that is no finite number: the clamp at 0 would hide a NaN below it. */
function klEstimate(batch: BatchView<KtoOptions>): number {
  const found = batch.scalar("klEstimate");
  if (Number.isFinite(found)) return found;
  throw new LosswrightError({
    code: "value",
    where: batch.where,
    field: "klEstimate",
    found: String(found),
    expected: "a finite number",
    fix: "give the mean log ratio of mismatched prompts and answers over the step, or 0 to leave the reference point out.",
  });
}
