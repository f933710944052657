import { numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { exp, expm1 } from "../../numerics/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { expRemainder } from "../categorical/exp-remainder.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, UnitFields } from "../definition.js";

/** Options of {@link policyGradient}. */
export interface PolicyGradientOptions {
  /** ε⁻ ≥ 0: a ratio below 1 − ε⁻ pulls no further down; ∞ for no bound. Default 0.2. */
  readonly clipLow: number;
  /** ε⁺ ≥ 0: a ratio above 1 + ε⁺ pulls no further up; ∞ for no bound. Default 0.2. */
  readonly clipHigh: number;
  /** c ≥ 0: weight of the divergence from the reference policy. Default 0. */
  readonly klCoefficient: number;
}

/** What {@link policyGradient} reads, token by token, `[B, T]`. */
export interface PolicyGradientBatch extends UnitFields {
  /** Log-probabilities of the tokens that were taken, under the policy that learns. */
  readonly logProbs: Tensor<"logProbabilities" | "scores" | Unlabeled>;
  /** The same under the policy that took them; a constant. Without it the policy is that one: on-policy. */
  readonly oldLogProbs?: Tensor<"logProbabilities" | "scores" | Unlabeled>;
  /** The same under the reference policy; a constant. Needed with `klCoefficient`, not read without. */
  readonly referenceLogProbs?: Tensor<"logProbabilities" | "scores" | Unlabeled>;
  /** How much better than expected, `[B]` for a sequence each or `[B, T]`; a constant. */
  readonly advantages: Tensor;
}

const logProbs = {
  holds: "reals",
  roles: ["logProbabilities", "scores"],
  shape: ["..."],
  read: "label",
} as const;

/**
 * Clipped policy gradient of a token's log-probability p, with the log-probability p_old of the policy that acted and
 * the advantage A.
 *   ρ      = exp(p − p_old)
 *   loss   = −min(ρ A, clip(ρ, 1 − ε⁻, 1 + ε⁺) A) + c (e^d − d − 1),   d = p_ref − p
 *   d/dp   = −A ρ  unless the bound cuts (A > 0 and ρ > 1 + ε⁺, or A < 0 and ρ < 1 − ε⁻), then 0;   − c (e^d − 1)
 * Without `oldLogProbs` ρ is exp(p − stop(p)): its value is 1 and its gradient that of p, so the loss is −A with the
 * gradient −A, the plain policy gradient; the value then says nothing, only the gradient does.
 * At the bound itself the gradient passes, as in torch. A = 0 gives 0, also where ρ overflows. The last term, c times the
 * k3 estimate of KL(π ‖ π_ref), is ≥ 0 and computed by its series near d = 0, where the formula cancels.
 *
 * Published trainers differ in the division alone: `per: "token"` (BNPO, PPO over tokens), `per: "sequence"` (GRPO),
 * `divideBy: { constant }` (Dr. GRPO: batch × longest completion; DAPO: tokens of the step).
 * Schulman et al. 2017, eq. 7; Shao et al. 2024, eq. 3–4 (GRPO); Schulman 2020 for k3; TRL `GRPOTrainer`.
 */
export const policyGradient = /*#__PURE__*/ defineLoss<PolicyGradientOptions, PolicyGradientBatch, "logProbs">({
  name: "policyGradient",
  family: "preference",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary:
      "The clipped policy gradient of PPO and GRPO, token by token, with an optional divergence from a reference.",
    formula: "−min(ρ·A, clip(ρ, 1 − ε⁻, 1 + ε⁺)·A) + c·(e^d − d − 1),  ρ = exp(p − p_old),  d = p_ref − p",
    gradient: "d/dp = −A·ρ where the bound does not cut, else 0;  − c·(e^d − 1)",
    likelihood: {
      target: "tokens taken, with the advantage of having taken them",
      distribution: "none: a surrogate whose gradient is that of the expected return",
    },
    pitfalls: [
      "The value is no measure of progress: on-policy it is −mean(A) whatever the policy does. Watch the return.",
      "per and divideBy are the difference between GRPO, BNPO, Dr. GRPO and DAPO: a mean over each sequence favors short answers.",
      "A constant divides after the sum over the whole step: give it the step's numbers, not the micro-batch's.",
      "Advantages normalized inside a micro-batch or a rank are not those of the group: normalize where the group is whole.",
      "oldLogProbs from another engine or precision differ from logProbs before any update: ratios start off 1, some clipped.",
    ],
    metric: "mean return, winRate",
    source: "Schulman et al. 2017, eq. 7; Shao et al. 2024, eq. 3–4; TRL GRPOTrainer",
  },
  options: {
    clipLow: numberOption("a ratio below 1 minus this pulls no further down", 0.2, { atLeast: 0, infinite: true }),
    clipHigh: numberOption("a ratio above 1 plus this pulls no further up", 0.2, { atLeast: 0, infinite: true }),
    klCoefficient: numberOption("weight of the divergence from the reference policy", 0, { atLeast: 0 }),
  },
  fields: {
    logProbs: {
      ...logProbs,
      meaning: "log-probability of each token taken, under the policy that learns",
      gradient: "row",
    },
    oldLogProbs: {
      ...logProbs,
      meaning: "the same under the policy that took them; without it the policy is that one (on-policy)",
      gradient: "none",
      optional: true,
    },
    referenceLogProbs: {
      ...logProbs,
      meaning: "the same under the reference policy; needed with klCoefficient, not read without",
      gradient: "none",
      optional: true,
    },
    advantages: {
      meaning: "how much better than expected a token or its whole sequence was: [B, T] or [B]",
      holds: "reals",
      roles: [],
      shape: ["..."],
      read: "label",
      gradient: "none",
      broadcasts: ["row"],
      domain: "finite",
    },
  },
  describe: ({ clipLow, clipHigh, klCoefficient }) =>
    [
      `policy gradient of each token with its ratio clipped to [1 − ${clipLow}, 1 + ${clipHigh}], the ratio 1 with the gradient of logProbs where the batch gives no oldLogProbs`,
      klCoefficient > 0 && `plus ${klCoefficient} times the k3 estimate of the divergence from the reference`,
    ]
      .filter(Boolean)
      .join(", "),
  units(batch) {
    checkReference(batch);
    return {};
  },
  open({ options }, { rows, own }) {
    const { clipLow, clipHigh, klCoefficient } = options;
    const [policy, old, reference, advantages] = [
      rows.logProbs!,
      rows.oldLogProbs,
      rows.referenceLogProbs,
      rows.advantages!,
    ];
    const ratio = () => (old ? exp(policy[0]! - old[0]!) : exp(policy[0]! - policy[0]!));
    // An advantage of 0 asks for nothing, also where the ratio overflows.
    const scaled = (by: number) => (by === Number.POSITIVE_INFINITY && advantages[0] === 0 ? 0 : by * advantages[0]!);
    const bounded = (free: number) => Math.min(Math.max(free, 1 - clipLow), 1 + clipHigh);
    return {
      loss() {
        const free = ratio();
        const surrogate = Math.min(scaled(free), scaled(bounded(free)));
        return klCoefficient === 0
          ? 0 - surrogate
          : klCoefficient * expRemainder(reference![0]! - policy[0]!) - surrogate;
      },
      gradient() {
        const free = ratio();
        const cut = advantages[0]! > 0 ? free > 1 + clipHigh : free < 1 - clipLow;
        const slope = cut ? 0 : 0 - scaled(free);
        own.logProbs![0] = klCoefficient === 0 ? slope : slope - klCoefficient * expm1(reference![0]! - policy[0]!);
      },
    };
  },
});

/** @throws `missing-field` where the divergence is wanted and the reference is not given */
function checkReference(batch: BatchView<PolicyGradientOptions>): void {
  if (batch.options.klCoefficient === 0 || batch.has("referenceLogProbs")) return;
  throw new LosswrightError({
    code: "missing-field",
    where: batch.where,
    field: "referenceLogProbs",
    found: `none under klCoefficient: ${batch.options.klCoefficient}`,
    expected: "the field referenceLogProbs [B, T]: log-probabilities under the reference policy",
    fix: "give them, or write klCoefficient: 0.",
  });
}
