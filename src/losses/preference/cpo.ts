import { numberOption } from "../../contract/index.js";
import { type Score, scoreInWords, scoreOption } from "./fields.js";
import { logisticLoss, logisticSlope } from "./logistic.js";
import { definePolicyPairLoss } from "./policy-pair.js";

/** Options of {@link cpo}. */
export interface CpoOptions {
  /** β > 0: scales the difference of the two scores. Default 0.1. */
  readonly beta: number;
  /** What the scores are; for the contract, no arithmetic. Default "mean". */
  readonly score: Score;
}

/**
 * Contrastive preference optimization, from the policy's scores c and r of a chosen and a rejected answer.
 *   z     = β (c − r)
 *   loss  = −log σ(z) − c
 *   d/dc  = −β σ(−z) − 1,   d/dr = β σ(−z)
 * DPO with a uniform reference, plus the negative log-likelihood of the chosen answer, −c, which keeps the policy from
 * lowering both scores. Only c = r = −∞ and NaN give NaN.
 * Xu et al. 2024, "Contrastive preference optimization"; TRL `CPOTrainer` with `cpo_alpha` 1.
 */
export const cpo = /*#__PURE__*/ definePolicyPairLoss<CpoOptions>({
  name: "cpo",
  documentation: {
    summary: "Preference between two answers without a reference model, plus the likelihood of the chosen one.",
    formula: "−log σ(β·(chosen − rejected)) − chosen",
    gradient: "d/dchosen = −β·σ(−z) − 1,  d/drejected = β·σ(−z),  z = β·(chosen − rejected)",
    likelihood: {
      target: "pair preference and the chosen answer",
      distribution: "Bradley–Terry with reward β·score, times the policy's own likelihood of the chosen answer",
    },
    pitfalls: [
      "The likelihood term has the slope −1 whatever beta is: with small beta it dominates.",
      "With summed scores the likelihood term grows with length: on means it is a per-token loss, and score says which.",
      "The trainer it comes from averages the likelihood over the batch's tokens, here it is of each pair: lengths weigh differently.",
    ],
    metric: "winRate, rewardMargin",
    source: "Xu et al. 2024; TRL CPOTrainer",
  },
  options: {
    beta: numberOption("scales the difference of the two scores", 0.1, { above: 0 }),
    score: scoreOption("mean"),
  },
  describe: ({ beta, score }) =>
    `CPO loss of each pair with beta ${beta}, −log σ(β(chosen − rejected)) − chosen, scores being ${scoreInWords(score)}`,
  loss: (chosen, rejected, { beta }) => logisticLoss(beta * (chosen - rejected)) - chosen,
  chosenSlope: (chosen, rejected, { beta }) => beta * logisticSlope(beta * (chosen - rejected)) - 1,
  rejectedSlope: (chosen, rejected, { beta }) => -beta * logisticSlope(beta * (chosen - rejected)),
});
