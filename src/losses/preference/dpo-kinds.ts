import { exp, log, log1p, log1pExp, sigmoid } from "../../numerics/index.js";
import { divergencePart } from "../distribution/divergence.js";
import { logisticLoss, logisticSlope } from "./logistic.js";

/** The options that the kinds read. */
export interface DpoKindOptions {
  /** β > 0: scales log ratios to rewards. Default 0.1. */
  readonly beta: number;
  /** ε: the probability that a preference was recorded the wrong way round. Default 0. */
  readonly labelSmoothing: number;
  /** τ > 0 of `discopop`: how sharply it changes from logistic to exponential. Default 0.05. */
  readonly discopopTau: number;
}

/** What policy and reference say of a pair. */
export interface PairRatios {
  /** h: (log π(chosen) − log π(rejected)) minus the same of the reference. */
  margin: number;
  /** log π/π_ref of the chosen and of the rejected answer; margin = chosen − rejected. */
  chosen: number;
  rejected: number;
}

/** The loss of a pair and its derivatives by the policy's two scores. */
export interface PairLoss {
  loss(ratios: PairRatios): number;
  chosenSlope(ratios: PairRatios): number;
  rejectedSlope(ratios: PairRatios): number;
}

/** A kind of the loss: whether it smooths labels, what it says of itself, and its mathematics under some options. */
export interface DpoKindSpec {
  readonly smooths?: boolean;
  /** Completes "… of each pair", in terms of z = βh and of the rewards β log π/π_ref. */
  readonly words: string;
  /** Whether pairs are matched by rank over the batch first, and which numbers are. */
  readonly matches?: "pairs" | "answers";
  open(options: DpoKindOptions): PairLoss;
}

/**
 * Every kind, with h the margin, c and r the log ratios, z = βh, ε the label smoothing.
 *
 * Sums of σ are written with the sign that keeps small values: 1 − σ(x) is σ(−x).
 */
export const dpoKinds = {
  /** −log σ(z); conservative DPO under smoothing: (1 − ε)(−log σ(z)) + ε(−log σ(−z)). Rafailov et al. 2023, eq. 7. */
  sigmoid: { smooths: true, words: "−log σ(z)", open: logistic },
  /** max(0, 1 − z); slope 0 at the corner. Zhao et al. 2023 (SLiC). */
  hinge: {
    words: "max(0, 1 − z)",
    open: ({ beta }) =>
      ofMargin({
        loss: (h) => Math.max(0, 1 - beta * h),
        slope: (h) => (beta * h < 1 ? -beta : beta * h >= 1 ? 0 : Number.NaN),
      }),
  },
  /** (h − 1/(2β))²: the margin of the scores given has a target, and does not grow forever. Azar et al. 2023, eq. 17. */
  ipo: {
    words: "(h − 1/(2β))², on the scores as they are given",
    open: ({ beta }) =>
      ofMargin({
        loss: (h) => (h - 1 / (2 * beta)) * (h - 1 / (2 * beta)),
        slope: (h) => 2 * (h - 1 / (2 * beta)),
      }),
  },
  /**
   * [(1 − ε)(−log σ(z)) − ε(−log σ(−z))]/(1 − 2ε), unbiased when a share ε of labels is reversed; written as
   * −log σ(z) − εz/(1 − 2ε), which is what remains after −log σ(−z) = z − log σ(z). Chowdhury et al. 2024.
   */
  robust: {
    smooths: true,
    words: "[(1 − ε)(−log σ(z)) − ε(−log σ(−z))]/(1 − 2ε)",
    open: ({ beta, labelSmoothing }) => {
      const tilt = labelSmoothing / (1 - 2 * labelSmoothing);
      return ofMargin({
        loss: (h) => (tilt === 0 ? log1pExp(-beta * h) : log1pExp(-beta * h) - tilt * beta * h),
        slope: (h) => -beta * (sigmoid(-beta * h) + tilt),
      });
    },
  },
  /**
   * KL(Bernoulli(σ(z)) ‖ Bernoulli(1 − ε)), the reverse divergence: 0 where σ(z) = 1 − ε, both outcomes as parts that are
   * never negative. Its derivative by z is σ(z) σ(−z)(z − log((1 − ε)/ε)). Ji et al. 2024, eq. 16.
   */
  exoPair: {
    smooths: true,
    words: "KL(σ(z) ‖ 1 − ε)",
    open: ({ beta, labelSmoothing }) => {
      const [right, wrong] = [log1p(-labelSmoothing), log(labelSmoothing)];
      return ofMargin({
        loss: (h) => {
          const z = beta * h;
          const chosenPart = divergencePart(sigmoid(z), 1 - labelSmoothing, right + log1pExp(-z));
          return chosenPart + divergencePart(sigmoid(-z), labelSmoothing, wrong + log1pExp(z));
        },
        slope: (h) => {
          const z = beta * h;
          const spread = sigmoid(z) * sigmoid(-z);
          return spread === 0 ? 0 : beta * spread * (z - (right - wrong));
        },
      });
    },
  },
  /** −log σ(βc) − ½ log σ(−βc) − ½ log σ(−βr). Chen et al. 2024 (noise contrastive alignment). */
  ncaPair: {
    words: "−log σ(βc) − ½ log σ(−βc) − ½ log σ(−βr)",
    open: ({ beta }) => ({
      loss: ({ chosen, rejected }) =>
        log1pExp(-beta * chosen) + 0.5 * log1pExp(beta * chosen) + 0.5 * log1pExp(beta * rejected),
      chosenSlope: ({ chosen }) => beta * (0.5 * sigmoid(beta * chosen) - sigmoid(-beta * chosen)),
      rejectedSlope: ({ rejected }) => beta * 0.5 * sigmoid(beta * rejected),
    }),
  },
  /** (c − 1/(2β))² + (r + 1/(2β))². Wu et al. 2024, with hard win rates. */
  sppoHard: {
    words: "(c − 1/(2β))² + (r + 1/(2β))²",
    open: ({ beta }) => ({
      loss: ({ chosen, rejected }) => {
        const [up, down] = [chosen - 0.5 / beta, rejected + 0.5 / beta];
        return up * up + down * down;
      },
      chosenSlope: ({ chosen }) => 2 * (chosen - 0.5 / beta),
      rejectedSlope: ({ rejected }) => 2 * (rejected + 0.5 / beta),
    }),
  },
  /** −log σ(z) of quantiles: policy margins against reference margins of the same rank. Melnyk et al. 2024. */
  aot: {
    smooths: true,
    matches: "pairs",
    words:
      "−log σ(z) where h is the policy's part of a margin c − r minus the reference's part of the same rank in the batch",
    open: logistic,
  },
  /** The same of chosen against rejected log ratios. Melnyk et al. 2024. */
  aotUnpaired: {
    smooths: true,
    matches: "answers",
    words: "−log σ(z) where h is the chosen answer's c minus the rejected answer's r of the same rank in the batch",
    open: logistic,
  },
  /** 1 − σ(βc) + σ(βr): chosen up, rejected down, each for itself. D'Oosterlinck et al. 2024, eq. 7. */
  apoZero: {
    words: "1 − σ(βc) + σ(βr)",
    open: ({ beta }) => ({
      loss: ({ chosen, rejected }) => sigmoid(-beta * chosen) + sigmoid(beta * rejected),
      chosenSlope: ({ chosen }) => -beta * bump(beta * chosen),
      rejectedSlope: ({ rejected }) => beta * bump(beta * rejected),
    }),
  },
  /** σ(βc) + 1 − σ(βc − βr): both down, rejected further. D'Oosterlinck et al. 2024, eq. 8. */
  apoDown: {
    words: "σ(βc) + 1 − σ(z)",
    open: ({ beta }) => ({
      loss: ({ chosen, margin }) => sigmoid(beta * chosen) + sigmoid(-beta * margin),
      chosenSlope: ({ chosen, margin }) => beta * (bump(beta * chosen) - bump(beta * margin)),
      rejectedSlope: ({ margin }) => beta * bump(beta * margin),
    }),
  },
  /** (1 − m)(−log σ(z)) + m e^−z with m = σ(z/τ): logistic below 0, exponential above. Lu et al. 2024 (DiscoPOP). */
  discopop: { words: "(1 − m)(−log σ(z)) + m·e^−z with m = σ(z/τ)", open: discoveredLoss },
  /** −log σ(βc) − log σ(−βr), without the running mean of rewards as a shift. Jung et al. 2024. */
  bcoPair: {
    words: "−log σ(βc) − log σ(−βr), with no running mean of rewards",
    open: ({ beta }) => ({
      loss: ({ chosen, rejected }) => log1pExp(-beta * chosen) + log1pExp(beta * rejected),
      chosenSlope: ({ chosen }) => -beta * sigmoid(-beta * chosen),
      rejectedSlope: ({ rejected }) => beta * sigmoid(beta * rejected),
    }),
  },
} as const satisfies Record<string, DpoKindSpec>;

/** A loss of the margin alone pulls both answers with the same strength, in opposite directions. */
function ofMargin({ loss, slope }: { loss(h: number): number; slope(h: number): number }): PairLoss {
  return {
    loss: ({ margin }) => loss(margin),
    chosenSlope: ({ margin }) => slope(margin),
    rejectedSlope: ({ margin }) => -slope(margin),
  };
}

function logistic({ beta, labelSmoothing }: DpoKindOptions): PairLoss {
  return ofMargin({
    loss: (h) => logisticLoss(beta * h, labelSmoothing),
    slope: (h) => beta * logisticSlope(beta * h, labelSmoothing),
  });
}

function discoveredLoss({ beta, discopopTau: tau }: DpoKindOptions): PairLoss {
  // m e^−z in one exponential, since e^−z alone overflows where m has long been 0. Below 0, with log m = z/τ − log(1 +
  // e^(z/τ)), the exponent is z(1/τ − 1) minus a logarithm: no ∞ − ∞ at z = −∞.
  const rate = 1 / tau - 1;
  const exponential = (z: number) =>
    z < 0 ? exp((rate === 0 ? 0 : rate * z) - log1pExp(z / tau)) : exp(-z - log1pExp(-z / tau));
  /** x y where 0 wins over ∞: a factor that has died out. */
  const damped = (factor: number, value: number) => (factor === 0 ? 0 : factor * value);
  return ofMargin({
    loss: (h) => {
      const z = beta * h;
      return damped(sigmoid(-z / tau), log1pExp(-z)) + exponential(z);
    },
    slope: (h) => {
      const z = beta * h;
      const left = sigmoid(-z / tau);
      const right = sigmoid(z / tau);
      const logisticPart = -left * sigmoid(-z) - damped((left * right) / tau, log1pExp(-z));
      return beta * (logisticPart + exponential(z) * (left / tau - 1));
    },
  });
}

/** The derivative of σ, σ(x) σ(−x). */
function bump(x: number): number {
  return sigmoid(x) * sigmoid(-x);
}
