/** Policy-gradient steps: tokens taken, advantages, the bound on ratios, the divergence from a reference. */
import type { Random } from "../instruments/random.js";
import { normals, surroundings, wideOrSingle } from "./chance.js";
import { type Drawn, drawn } from "./drawn.js";
import { times } from "./losses.js";
import type { Precision } from "./rounding.js";
import type { Variable } from "./tape.js";
import { flags, type Part, reals } from "./task.js";

export interface PolicyData {
  readonly shape: readonly [number, number];
  readonly logProbs: readonly number[];
  readonly oldLogProbs?: readonly number[];
  readonly referenceLogProbs?: readonly number[];
  /** One a token, whatever is recorded. */
  readonly advantages: readonly number[];
  readonly mask: readonly number[];
  readonly precision: Precision;
}

export interface PolicyCode {
  readonly clip: number;
  readonly klCoefficient: number;
  /** Which tokens code takes for the answer's. */
  readonly maskOf?: ((data: PolicyData) => readonly number[]) | undefined;
  /** What stands at left-out tokens is read, and multiplied by 0. */
  readonly readsAll?: boolean;
}

function policyPart(data: PolicyData, code: PolicyCode): Part {
  const { shape, logProbs, oldLogProbs, referenceLogProbs, advantages, precision } = data;
  const [rows, length] = shape;
  const mask = code.maskOf?.(data) ?? data.mask;
  const perRow = Array.from({ length: rows }, (_, row) => advantages[row * length]);
  const known = (numbers: readonly number[]) => (code.readsAll ? numbers : numbers.map((x, i) => (mask[i] ? x : 0)));
  return {
    fields: {
      logProbs: reals(logProbs, shape, precision),
      ...(oldLogProbs && { oldLogProbs: reals(oldLogProbs, shape, precision) }),
      ...(referenceLogProbs && { referenceLogProbs: reals(referenceLogProbs, shape, precision) }),
      advantages: reals(perRow, [rows], precision),
      mask: flags(data.mask, shape),
    },
    leaves: ["logProbs"],
    losses(tape, leaves) {
      const own = code.readsAll ? leaves.logProbs : tape.where(mask, leaves.logProbs);
      const fixed = (numbers: readonly number[]): Variable => tape.leaf({ shape, data: known(numbers) });
      const before = oldLogProbs ? fixed(oldLogProbs) : tape.detach(own);
      const ratio = tape.exp(tape.minus(own, before));
      const bounded = tape.clamp(ratio, 1 - code.clip, 1 + code.clip);
      const gain = tape.smaller(times(tape, ratio, advantages), times(tape, bounded, advantages));
      const loss = tape.scale(gain, -1);
      if (!referenceLogProbs || code.klCoefficient === 0) return loss;
      const gap = tape.minus(fixed(referenceLogProbs), own);
      const penalty = tape.shift(tape.minus(tape.exp(gap), gap), -1);
      return tape.plus(loss, tape.scale(penalty, code.klCoefficient));
    },
    weights: [...mask],
    counted: [...mask],
    groups: mask.map((_, i) => Math.floor(i / length)),
  };
}

export type PolicyStep = Drawn<PolicyData, PolicyCode>;

export interface PolicyWishes {
  readonly per?: "token" | "sequence";
  readonly divideBy?: { readonly constant: number };
  readonly kl?: boolean;
  readonly onPolicy?: boolean;
}

/** Answers with one advantage each, under the clipped policy gradient. */
export function policy(random: Random, wishes: PolicyWishes = {}): PolicyStep {
  const { per = random.pick(["token", "sequence"] as const), divideBy = "weight", kl = random.chance(0.4) } = wishes;
  const { onPolicy = random.chance(0.3) } = wishes;
  const shape = [random.integer(2, 5), random.integer(5, 10)] as const;
  const [rows, length] = shape;
  const count = rows * length;
  const logProbs = Array.from(normals(random, count, 1), (x) => Math.fround(-Math.abs(x) - 0.02));
  const near = (size: number) => logProbs.map((x) => Math.fround(Math.min(-0.001, x + random.real(size))));
  const lengths = Array.from({ length: rows }, () => random.integer(2, length - 1));
  const advantages = Array.from({ length: rows }, () => random.real(1) + (random.chance(0.5) ? 0.4 : -0.4));
  const precision = wideOrSingle(random);
  const klCoefficient = kl ? random.pick([0.02, 0.05, 0.1]) : 0;
  const data: PolicyData = {
    shape,
    logProbs,
    ...(!onPolicy && { oldLogProbs: near(0.25) }),
    ...(kl && { referenceLogProbs: near(0.4) }),
    advantages: Array.from({ length: count }, (_, i) => Math.fround(advantages[Math.floor(i / length)])),
    mask: Array.from({ length: count }, (_, i) => Number(i % length < lengths[Math.floor(i / length)])),
    precision,
  };
  return drawn<PolicyData, PolicyCode>(
    policyPart,
    [data],
    { clip: 0.2, klCoefficient },
    {
      intended: {
        objective: "policyGradient",
        options: { clipLow: 0.2, clipHigh: 0.2, ...(kl && { klCoefficient }) },
        reduction: { per, divideBy },
      },
      precision,
      context: surroundings(random, "reward"),
    },
  );
}
