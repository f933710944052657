import { numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { FieldSpec, UnitFields } from "../definition.js";
import { pointwiseKernel } from "../pointwise-kernel.js";
import { logisticLoss, logisticSlope } from "./logistic.js";

/** Options of {@link pairwiseLogistic}. */
export interface PairwiseLogisticOptions {
  /** ε in [0, 1/2]: the probability that a preference was recorded the wrong way round. Default 0. */
  readonly labelSmoothing: number;
  /** c ≥ 0: adds c · (chosen + rejected)², which keeps rewards around 0. Default 0. */
  readonly centerCoefficient: number;
}

/** What {@link pairwiseLogistic} reads, pair by pair, all of one shape. */
export interface PairwiseLogisticBatch extends UnitFields {
  /** The reward of the preferred item. */
  readonly chosen: Tensor<"scores" | "logits" | "predictions" | Unlabeled>;
  /** The reward of the other. */
  readonly rejected: Tensor<"scores" | "logits" | "predictions" | Unlabeled>;
  /** By how much the chosen reward must win, for pairs whose annotators said so; a constant. */
  readonly margin?: Tensor;
}

const reward = {
  holds: "reals",
  roles: ["scores", "logits", "predictions"],
  shape: ["..."],
  read: "label",
  gradient: "row",
} as const satisfies Omit<FieldSpec, "meaning">;

/**
 * Pairwise logistic loss of a chosen reward s⁺ and a rejected one s⁻, the negative log-likelihood of Bradley and Terry.
 *   z        = s⁺ − s⁻ − m
 *   loss     = (1 − ε) log(1 + e^−z) + ε log(1 + e^z) + c (s⁺ + s⁻)²
 *   d/ds⁺    = −(1 − ε) σ(−z) + ε σ(z) + 2c (s⁺ + s⁻),   d/ds⁻ = the first two terms negated, + 2c (s⁺ + s⁻)
 * m is the pair's margin, 0 without the field. P(chosen wins) = σ(z): only differences are learned, so rewards of
 * different prompts do not compare, and a constant added to all of them changes nothing; c pins their mean to 0.
 * z = +∞ gives 0 (with ε = 0), z = −∞ gives +∞, NaN gives NaN.
 * Bradley and Terry 1952; margin: Touvron et al. 2023, eq. 2; centering: Eisenstein et al. 2023; TRL `RewardTrainer`.
 */
export const pairwiseLogistic = /*#__PURE__*/ defineLoss<
  PairwiseLogisticOptions,
  PairwiseLogisticBatch,
  "chosen" | "rejected"
>({
  name: "pairwiseLogistic",
  family: "preference",
  unit: "pair",
  unitShape: ["..."],
  documentation: {
    summary: "The negative log-likelihood that the chosen of two items wins, from their rewards.",
    formula: "(1 − ε)·log(1 + e^−z) + ε·log(1 + e^z) + c·(chosen + rejected)²;  z = chosen − rejected − margin",
    gradient:
      "d/dchosen = −(1 − ε)·σ(−z) + ε·σ(z) + 2c·(chosen + rejected);  d/drejected has the first two terms negated",
    likelihood: { target: "pair preference", distribution: "Bernoulli with logit chosen − rejected (Bradley–Terry)" },
    pitfalls: [
      "Rewards are free up to a constant for each prompt: absolute values mean nothing without centerCoefficient.",
      "A pair won by far has almost no gradient; one lost by far has a slope of at most 1, so wrong labels pull steadily: labelSmoothing.",
      "The margin is a constant in the unit of the reward: rescaled rewards need a rescaled margin.",
      "A low loss on training pairs is also what overfitting to annotators looks like: hold pairs out.",
    ],
    metric: "pairAccuracy, rewardMargin",
    source: "Bradley and Terry 1952; TRL RewardTrainer",
  },
  options: {
    labelSmoothing: numberOption("the probability that a preference was recorded the wrong way round", 0, {
      atLeast: 0,
      atMost: 0.5,
    }),
    centerCoefficient: numberOption("adds c · (chosen + rejected)², which keeps rewards around 0", 0, { atLeast: 0 }),
  },
  fields: {
    chosen: { ...reward, meaning: "the reward of the preferred item" },
    rejected: { ...reward, meaning: "the reward of the other item" },
    margin: {
      meaning: "by how much the chosen reward must win",
      holds: "reals",
      roles: [],
      shape: ["..."],
      read: "label",
      gradient: "none",
      optional: true,
      domain: "finite",
    },
  },
  describe: ({ labelSmoothing, centerCoefficient }) =>
    [
      "pairwise logistic loss of each pair, −log σ(chosen − rejected − margin), the margin 0 where the batch gives none",
      labelSmoothing > 0 && `a preference taken as reversed with probability ${labelSmoothing}`,
      centerCoefficient > 0 && `plus ${centerCoefficient} times the squared sum of both rewards`,
    ]
      .filter(Boolean)
      .join(", "),
  open({ options }, { rows, own }) {
    const { labelSmoothing, centerCoefficient } = options;
    const [chosen, rejected, margins] = [rows.chosen!, rows.rejected!, rows.margin];
    const margin = () => chosen[0]! - rejected[0]! - (margins?.[0] ?? 0);
    return {
      loss() {
        const loss = logisticLoss(margin(), labelSmoothing);
        // At c = 0 infinite rewards must not turn 0 · ∞ into NaN.
        if (centerCoefficient === 0) return loss;
        const sum = chosen[0]! + rejected[0]!;
        return loss + centerCoefficient * sum * sum;
      },
      gradient() {
        const slope = logisticSlope(margin(), labelSmoothing);
        const center = centerCoefficient === 0 ? 0 : 2 * centerCoefficient * (chosen[0]! + rejected[0]!);
        own.chosen![0] = center + slope;
        own.rejected![0] = center - slope;
      },
    };
  },
  kernel: ({ options: { labelSmoothing, centerCoefficient } }) =>
    pointwiseKernel({
      kernel: "pairwiseLogistic",
      inputs: ["chosen", "rejected", "margin"],
      outputs: ["chosen", "rejected"],
      parameters: [labelSmoothing, centerCoefficient],
      nanoseconds: 20,
    }),
});
