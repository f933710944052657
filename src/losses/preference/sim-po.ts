import { numberOption } from "../../contract/index.js";
import { type Score, scoreInWords, scoreOption } from "./fields.js";
import { logisticLoss, logisticSlope } from "./logistic.js";
import { definePolicyPairLoss } from "./policy-pair.js";

/** Options of {@link simPo}. */
export interface SimPoOptions {
  /** β > 0: the reward is β times the score. Default 0.1, as in TRL; the paper trains with 2 to 10. */
  readonly beta: number;
  /** γ ≥ 0: by how much the chosen reward must win, in the unit of the reward, after β. Default 0.5. */
  readonly gamma: number;
  /** What the scores are; for the contract, no arithmetic. Default "mean". */
  readonly score: Score;
}

/**
 * Simple preference optimization, from the policy's scores c and r of a chosen and a rejected answer.
 *   z     = β (c − r) − γ
 *   loss  = −log σ(z)
 *   d/dc  = −β σ(−z),   d/dr = β σ(−z)
 * The mean log-probability of an answer is its reward: what the model generates by, with no reference and no preference
 * for length. γ is in the unit of the reward, not of the score (γ/β there).
 * c = +∞ or r = −∞ gives 0, the opposite +∞, both at once NaN. Meng et al. 2024, eq. 6; TRL `CPOTrainer` "simpo".
 */
export const simPo = /*#__PURE__*/ definePolicyPairLoss<SimPoOptions>({
  name: "simPo",
  documentation: {
    summary: "Preference between two answers with the policy's own mean log-probability as reward.",
    formula: "−log σ(β·(chosen − rejected) − γ)",
    gradient: "d/dchosen = −β·σ(−z),  d/drejected = β·σ(−z),  z = β·(chosen − rejected) − γ",
    likelihood: {
      target: "pair preference",
      distribution: "Bradley–Terry with reward β·score, the chosen one handicapped by γ",
    },
    pitfalls: [
      "It is made for mean scores: with sums, length decides again, and beta must be some hundred times smaller.",
      "gamma is in the unit of the reward; papers and trainers also quote gamma / beta.",
      "Nothing holds the policy to a reference: watch the likelihood of chosen answers, which may fall.",
    ],
    metric: "winRate, rewardMargin",
    source: "Meng et al. 2024, eq. 6; TRL CPOTrainer (simpo)",
  },
  options: {
    beta: numberOption("the reward is beta times the score", 0.1, { above: 0 }),
    gamma: numberOption("by how much the chosen reward must win, in the unit of the reward", 0.5, { atLeast: 0 }),
    score: scoreOption("mean"),
  },
  describe: ({ beta, gamma, score }) =>
    `SimPO loss of each pair with beta ${beta} and target margin ${gamma} in reward units, −log σ(β(chosen − rejected) − γ), scores being ${scoreInWords(score)}`,
  loss: (chosen, rejected, { beta, gamma }) => logisticLoss(beta * (chosen - rejected) - gamma),
  chosenSlope: (chosen, rejected, { beta, gamma }) => beta * logisticSlope(beta * (chosen - rejected) - gamma),
  rejectedSlope: (chosen, rejected, { beta, gamma }) => -beta * logisticSlope(beta * (chosen - rejected) - gamma),
});
