import { numberOption } from "../../contract/index.js";
import { exp, expm1, log, log1p, sigmoid } from "../../numerics/index.js";
import { type Score, scoreInWords, scoreOption } from "./fields.js";
import { logisticLoss } from "./logistic.js";
import { definePolicyPairLoss } from "./policy-pair.js";

/** Options of {@link orpo}. */
export interface OrpoOptions {
  /** β ≥ 0: weight of the odds ratio beside the likelihood (λ in the paper). Default 0.1. */
  readonly beta: number;
  /** What the scores are; for the contract, no arithmetic. Default "mean". */
  readonly score: Score;
}

/**
 * Odds ratio preference optimization, from the policy's scores c and r of a chosen and a rejected answer.
 *   g(x)  = log odds of e^x = x − log(1 − e^x),   z = g(c) − g(r)
 *   loss  = −c − β log σ(z)
 *   d/dc  = −1 − β σ(−z)/(1 − e^c),   d/dr = β σ(−z)/(1 − e^r)
 * Scores are log-probabilities, at most 0. As c → 0 the odds are infinite and the term's slope is −β e^g(r), which
 * the form −β/((1 − e^c) + e^(c − g(r))) reaches without 0 · ∞. r = 0 with c < 0 gives +∞, c = r = 0 and c = r = −∞
 * NaN. Hong et al. 2024, eq. 6–7; TRL `ORPOTrainer`.
 */
export const orpo = /*#__PURE__*/ definePolicyPairLoss<OrpoOptions>({
  name: "orpo",
  documentation: {
    summary: "The likelihood of the chosen answer plus a logistic loss of the odds ratio of both answers.",
    formula: "−chosen − β·log σ(z),  z = log odds(chosen) − log odds(rejected),  odds(x) = e^x / (1 − e^x)",
    gradient: "d/dchosen = −1 − β·σ(−z)/(1 − e^chosen),  d/drejected = β·σ(−z)/(1 − e^rejected)",
    likelihood: {
      target: "the chosen answer and a pair preference",
      distribution: "the policy's own likelihood, times a Bernoulli with the log odds ratio as logit",
    },
    pitfalls: [
      "Scores must be log-probabilities, at most 0; of sums e^x underflows and odds become probabilities: use means.",
      "The trainer it comes from takes the likelihood over the batch's tokens, prompt included; here it is −chosen of each pair (paper, eq. 6).",
      "beta weighs the preference only: the likelihood has weight 1 always.",
    ],
    metric: "winRate",
    source: "Hong et al. 2024, eq. 6–7; TRL ORPOTrainer",
  },
  options: {
    beta: numberOption("weight of the odds ratio beside the likelihood", 0.1, { atLeast: 0 }),
    score: scoreOption("mean"),
  },
  domain: "nonPositive",
  describe: ({ beta, score }) =>
    `ORPO loss of each pair, −chosen − ${beta} · log σ(log odds ratio of chosen over rejected), scores being ${scoreInWords(score)}`,
  loss(chosen, rejected, { beta }) {
    return beta === 0 ? -chosen : beta * logisticLoss(logOdds(chosen) - logOdds(rejected)) - chosen;
  },
  chosenSlope(chosen, rejected, { beta }) {
    return beta === 0 ? -1 : -1 - beta / (exp(chosen - logOdds(rejected)) - expm1(chosen));
  },
  rejectedSlope(chosen, rejected, { beta }) {
    // 0 − expm1 rather than −expm1: at 0 the divisor is +0, and the slope +∞.
    return beta === 0 ? 0 : (beta * sigmoid(logOdds(rejected) - logOdds(chosen))) / (0 - expm1(rejected));
  },
});

/** x − log(1 − e^x) for x ≤ 0: −∞ at −∞, +∞ at 0. The small side of 1 − e^x is formed by expm1, the large by log1p. */
function logOdds(x: number): number {
  return x > -Math.LN2 ? x - log(-expm1(x)) : x - log1p(-exp(x));
}
