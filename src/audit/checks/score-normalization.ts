import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { sequenceScore } from "../explain/transform.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { findingOfExplanation } from "./explained.js";

/** Ways to make one score of a sequence's log-probabilities. */
const kinds = {
  sum: "the sum over the tokens",
  mean: "the mean over the tokens",
  "mean over the padded length": "the mean over the padded length",
  "sum, unmasked": "the sum over every position, padding and prompt included",
  "mean, unmasked": "the mean over every position, padding and prompt included",
} as const;

type Kind = keyof typeof kinds;

/**
 * Sequence scores that are a mean where the contract says sum, or the reverse, or that count padding.
 *
 * A sum favors short answers, since log-probabilities are negative; a mean takes the length out and is another
 * preference. A mean over the padded length is neither: the score depends on the longest answer of the batch.
 */
export const scoreNormalization: Check = {
  id: "score-normalization",
  hypotheses(step): readonly Hypothesis[] {
    const { scores } = step.searched[0]!.context;
    const fields = Object.keys(scores ?? {}).filter((name) => isTensor(step.searched[0]!.batch[name]));
    if (fields.length === 0) return [];
    const about = "score-normalization";
    const of = (names: readonly string[], kind: Kind, which: string): Hypothesis => ({
      about,
      words: `scores that are ${kinds[kind]}${which}`,
      transform: names.map((field) => ({ apply: "score", field, value: kind })),
      cost: names.length === fields.length ? 1 : 1.2,
    });
    const policy = fields.filter((name) => name.startsWith("policy"));
    const reference = fields.filter((name) => name.startsWith("reference"));
    const inside = (by: string): Hypothesis => ({
      about,
      words: `scores taken ${by} inside the loss`,
      transform: fields.map((field) => ({ apply: "scaleScore", field, value: by })),
      cost: 1.1,
    });
    const made = (Object.keys(kinds) as Kind[]).flatMap((kind) => [
      of(fields, kind, ""),
      ...(policy.length && reference.length
        ? [of(policy, kind, ", of the policy alone"), of(reference, kind, ", of the reference alone")]
        : []),
    ]);
    return [...["over the length", "times the length", "over the padded length"].map(inside), ...made];
  },
  inspect(step) {
    const explained = findingOfExplanation("score-normalization", step, () => ({
      cause: "The contract says what the scores are; the loss was computed on others.",
      fix: fixFor(step),
    }));
    return explained.length ? explained : fromScores(step);
  },
};

function declaredKind({ objective }: AuditedStep): Kind {
  return objective.contract.options.score === "mean" ? "mean" : "sum";
}

function fixFor(step: AuditedStep): string {
  const kind = declaredKind(step);
  const by = kind === "sum" ? "" : " / mask.sum(-1)";
  return `make every score as the contract says (score: "${kind}"), over the answer's tokens alone:\nscore = (log_probs * mask).sum(-1)${by}\n# or declare the other: score: "${kind === "sum" ? "mean" : "sum"}"`;
}

/** Fields that are no such score of the recorded tokens. */
function fromScores(step: AuditedStep): readonly Finding[] {
  if (step.contradiction) return [];
  const wanted = declaredKind(step);
  const wrong: { field: string; kind: Kind | undefined; found: number; right: number }[] = [];
  for (const { batch, context } of step.searched) {
    for (const [field, { logProbs, mask }] of Object.entries(context.scores ?? {})) {
      const given = batch[field];
      if (!isTensor(given) || !isTensor(logProbs) || !isTensor(mask) || logProbs.shape.length !== 2) continue;
      if (mask.data.length !== logProbs.data.length || given.data.length !== logProbs.shape[0]) continue;
      const is = (kind: Kind) => isClose(given, sequenceScore(logProbs, mask, kind));
      if (is(wanted)) continue;
      const kind = (Object.keys(kinds) as Kind[]).find(is);
      const right = sequenceScore(logProbs, mask, wanted);
      const at = [...right].findIndex((score, i) => !isCloseNumber(Number(given.data[i]), score));
      wrong.push({ field, kind, found: Number(given.data[at]), right: right[at]! });
    }
  }
  const [first] = wrong;
  if (!first) return [];
  const named = new Set(wrong.map(({ kind }) => kind));
  const what =
    named.size === 1 && first.kind
      ? kinds[first.kind]
      : first.kind
        ? "made in several ways"
        : "not a score of the recorded tokens";
  return [
    {
      check: "score-normalization",
      severity: "error",
      message: `The contract takes ${kinds[wanted]}; ${wrong.map(({ field }) => field).join(", ")} ${wrong.length > 1 ? "are" : "is"} ${what}: ${short(first.found)} where ${short(first.right)} is due.`,
      why: "Sum and mean are different preferences: a sum favors short answers, a mean takes the length out, a mean over the padded length depends on the longest answer of the batch.",
      harm: "The margin, and with it beta, has another scale, and answers are preferred by another rule than declared.",
      evidence: {
        fields: wrong.map(({ field }) => field).join(", "),
        found: first.found,
        due: first.right,
        ...(first.kind && { is: first.kind }),
      },
      fix: fixFor(step),
    },
  ];
}

function isClose(given: Tensor, score: Float64Array): boolean {
  return score.every((x, i) => isCloseNumber(Number(given.data[i]), x));
}

/** Sums of float32 log-probabilities differ by as much. */
function isCloseNumber(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-4 * Math.max(1e-2, Math.abs(b)) || Object.is(a, b);
}
