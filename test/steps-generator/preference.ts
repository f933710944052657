/** Preference steps: scores of answers, summed or averaged over their tokens, and the losses of pairs. */
import type { ScoreContext } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { surroundings, wideOrSingle } from "./chance.js";
import { type Drawn, drawn, type Frame } from "./drawn.js";
import type { Precision } from "./rounding.js";
import type { Tape, Variable } from "./tape.js";
import { flags, type Leaves, type Part, reals } from "./task.js";

/** The tokens of one answer of each pair: log-probabilities and which of them belong to it. */
export interface AnswerTokens {
  readonly logProbs: readonly number[];
  readonly mask: readonly number[];
  readonly width: number;
}

export type ScoreKind = "sum" | "mean" | "mean over the width";

/** Scores of sequences, one a pair. */
export function scoresOf({ logProbs, mask, width }: AnswerTokens, kind: ScoreKind): number[] {
  return Array.from({ length: mask.length / width }, (_, row) => {
    let [sum, count] = [0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      sum += mask[i] * logProbs[i];
      count += mask[i];
    }
    return Math.fround(kind === "sum" ? sum : sum / (kind === "mean" ? count : width));
  });
}

/** How many tokens the answer of each pair has. */
export function tokenCounts({ mask, width }: AnswerTokens): number[] {
  return Array.from({ length: mask.length / width }, (_, row) =>
    mask.slice(row * width, (row + 1) * width).reduce((sum, m) => sum + m, 0),
  );
}

export interface PreferenceData {
  readonly scores: Readonly<Record<string, readonly number[]>>;
  readonly precision: Precision;
}

export interface PreferenceCode {
  readonly loss: (tape: Tape, leaves: Leaves, constants: Readonly<Record<string, Variable>>) => Variable;
  /** What code makes of a score before the loss. */
  readonly before?: ((tape: Tape, score: Variable, name: string) => Variable) | undefined;
  readonly learned: readonly string[];
}

function preferencePart({ scores, precision }: PreferenceData, code: PreferenceCode): Part {
  const [first] = Object.values(scores);
  const count = first.length;
  return {
    fields: Object.fromEntries(Object.entries(scores).map(([name, own]) => [name, reals(own, [count], precision)])),
    leaves: code.learned,
    losses(tape, leaves) {
      const ready = (name: string, score: Variable) => code.before?.(tape, score, name) ?? score;
      const learned = Object.fromEntries(Object.entries(leaves).map(([name, leaf]) => [name, ready(name, leaf)]));
      const constants = Object.fromEntries(
        Object.keys(scores)
          .filter((name) => !leaves[name])
          .map((name) => [name, ready(name, tape.leaf({ shape: [count], data: scores[name] }))]),
      );
      return code.loss(tape, learned, constants);
    },
    weights: first.map(() => 1),
    counted: first.map(() => 1),
    groups: first.map((_, i) => i),
  };
}

export interface PreferenceStep extends Drawn<PreferenceData, PreferenceCode> {
  readonly objective: "dpo" | "simPo" | "cpo";
  readonly declared: "sum" | "mean";
  readonly tokens: Readonly<Record<string, AnswerTokens>>;
}

export interface PreferenceWishes {
  readonly objective?: PreferenceStep["objective"];
  /** What the contract says the scores are. */
  readonly declared?: "sum" | "mean";
  /** What they are. */
  readonly scores?: ScoreKind;
  /** Whether the tokens behind the scores are recorded. */
  readonly told?: boolean;
  readonly context?: Frame["context"];
}

/** Pairs of answers under DPO, SimPO or CPO. */
export function preference(random: Random, wishes: PreferenceWishes = {}): PreferenceStep {
  const { objective = random.pick(["dpo", "dpo", "simPo", "cpo"] as const), told = true } = wishes;
  const declared = wishes.declared ?? (objective === "dpo" ? "sum" : "mean");
  const kind = wishes.scores ?? declared;
  const [pairs, width, precision] = [random.integer(3, 7), random.integer(5, 9), wideOrSingle(random)];
  const names = [
    "policyChosen",
    "policyRejected",
    ...(objective === "dpo" ? ["referenceChosen", "referenceRejected"] : []),
  ];
  const drawMask = () =>
    Array.from({ length: pairs }, () => random.integer(2, width)).flatMap((n) =>
      Array.from({ length: width }, (_, t) => Number(t < n)),
    );
  const masks: Record<string, number[]> = { Chosen: drawMask(), Rejected: drawMask() };
  const tokens: Record<string, AnswerTokens> = {};
  for (const name of names) {
    const mask = masks[name.endsWith("Chosen") ? "Chosen" : "Rejected"];
    const base = tokens[name.replace("reference", "policy")]?.logProbs;
    // A reference is the policy a little earlier.
    const logProbs = mask.map((m, i) =>
      m === 0 ? 0 : base ? Math.min(-0.001, base[i] + random.real(0.3)) : -Math.abs(random.real(0.9)) - 0.01,
    );
    tokens[name] = { logProbs: logProbs.map(Math.fround), mask, width };
  }
  const scores = Object.fromEntries(names.map((name) => [name, scoresOf(tokens[name], kind)]));
  const [options, loss] = lossOf(random, objective, declared);
  const shape = [pairs, width];
  const scoreContext = (own: AnswerTokens): ScoreContext => ({
    logProbs: reals(own.logProbs, shape),
    mask: flags(own.mask, shape),
  });
  const context = told && {
    scores: Object.fromEntries(names.map((name) => [name, scoreContext(tokens[name])])),
  };
  const step = drawn<PreferenceData, PreferenceCode>(
    preferencePart,
    [{ scores, precision }],
    { loss, learned: ["policyChosen", "policyRejected"] },
    {
      intended: {
        objective,
        options: { ...options, score: declared },
        reduction: { per: "sample", divideBy: "weight" },
      },
      precision,
      context: { ...surroundings(random, "winRate"), ...context, ...wishes.context },
    },
  );
  return { ...step, objective, declared, tokens };
}

type Loss = PreferenceCode["loss"];

function lossOf(
  random: Random,
  objective: PreferenceStep["objective"],
  declared: "sum" | "mean",
): [Record<string, unknown>, Loss] {
  const logistic = (tape: Tape, z: Variable) => tape.softplus(tape.scale(z, -1));
  const beta = declared === "sum" ? random.pick([0.1, 0.2, 0.3]) : random.pick([1, 2]);
  if (objective === "simPo") {
    const gamma = random.pick([0.2, 0.5]);
    const loss: Loss = (tape, { policyChosen, policyRejected }) =>
      logistic(tape, tape.shift(tape.scale(tape.minus(policyChosen, policyRejected), beta), -gamma));
    return [{ beta, gamma }, loss];
  }
  if (objective === "cpo") {
    const loss: Loss = (tape, { policyChosen, policyRejected }) =>
      tape.minus(logistic(tape, tape.scale(tape.minus(policyChosen, policyRejected), beta)), policyChosen);
    return [{ beta }, loss];
  }
  const kind = random.pick(["sigmoid", "sigmoid", "hinge", "ipo"]);
  const loss: Loss = (tape, { policyChosen, policyRejected }, { referenceChosen, referenceRejected }) => {
    const margin = tape.minus(tape.minus(policyChosen, policyRejected), tape.minus(referenceChosen, referenceRejected));
    if (kind === "ipo") return tape.power(tape.shift(margin, -1 / (2 * beta)), 2);
    if (kind === "hinge") return tape.clamp(tape.shift(tape.scale(margin, -beta), 1), 0, Number.POSITIVE_INFINITY);
    return logistic(tape, tape.scale(margin, beta));
  };
  return [{ kind, beta }, loss];
}
