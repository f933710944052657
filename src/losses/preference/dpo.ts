import { choiceOption, flagOption, numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, Workspace } from "../definition.js";
import { pointwiseKernel } from "../pointwise-kernel.js";
import { type DpoKindOptions, type DpoKindSpec, dpoKinds, type PairRatios } from "./dpo-kinds.js";
import { type Score, type SequenceScores, scoreInWords, scoreOption, sequenceField } from "./fields.js";
import type { PolicyPairBatch } from "./policy-pair.js";
import { placeSorter } from "./sort.js";

/** Which loss of a pair's log ratios. */
export type DpoKind = keyof typeof dpoKinds;

/** Options of {@link dpo}. */
export interface DpoOptions extends DpoKindOptions {
  /** Which loss of the log ratios; described one by one in `losswright losses dpo`. Default "sigmoid". */
  readonly kind: DpoKind;
  /** Whether the policy's scores stand alone: the reference counts as equal for both answers. Default false. */
  readonly referenceFree: boolean;
  /** What the scores are; for the contract, no arithmetic. Default "sum". */
  readonly score: Score;
}

/** What {@link dpo} reads, pair by pair, `[B]`: scores of whole answers, not of tokens. */
export interface DpoBatch extends PolicyPairBatch {
  /** The reference model's score of the preferred answer; a constant. Not read with `referenceFree`. */
  readonly referenceChosen?: SequenceScores;
  /** The reference model's score of the other; a constant. Not read with `referenceFree`. */
  readonly referenceRejected?: SequenceScores;
}

/**
 * Direct preference optimization, from scores of a chosen and a rejected answer under policy π and reference π_ref.
 *   c = log π/π_ref of the chosen, r = of the rejected answer, h = c − r, z = β h
 *   loss (kind "sigmoid")   = −log σ(z)
 *   d/dpolicyChosen         = −β σ(−z),   d/dpolicyRejected = β σ(−z);   none for the reference
 * βc and βr are rewards that the policy implies, and −log σ(z) is the likelihood of the preference under Bradley and
 * Terry. The other kinds take other functions of c, r and h; they are written down one by one in `dpo-kinds.ts`.
 *
 * h is formed as (policy's difference) − (reference's difference), which is exact while both are close.
 * The kinds `aot` and `aotUnpaired` sort over the live pairs of the batch and compare equal ranks: the r-th live pair of
 * the batch stands for the r-th rank from below, so there an entry of `perUnit` or `weights` belongs to a rank.
 * h = +∞ gives 0, h = −∞ gives +∞ (kind "sigmoid"), NaN gives NaN. Rafailov et al. 2023, eq. 7; TRL `DPOTrainer`.
 */
export const dpo = /*#__PURE__*/ defineLoss<DpoOptions, DpoBatch, "policyChosen" | "policyRejected">({
  name: "dpo",
  family: "preference",
  unit: "pair",
  unitShape: ["B"],
  couples: ({ kind }) => matchesOf(kind) !== undefined,
  documentation: {
    summary: "Preference between two answers, the reward being how far the policy moved from a reference.",
    formula: [
      "sigmoid: −log σ(z);  z = β·h,  h = c − r,  c and r = log π/π_ref of the chosen and the rejected answer",
      ...Object.entries(dpoKinds)
        .filter(([kind]) => kind !== "sigmoid")
        .map(([kind, { words }]) => `${kind}: ${words}`),
    ].join(";  "),
    gradient:
      "sigmoid: d/dpolicyChosen = −β·σ(−z), d/dpolicyRejected = β·σ(−z);  every kind by its own derivative, none for the reference",
    likelihood: {
      target: "pair preference",
      distribution:
        "sigmoid: Bradley–Terry with reward β·log π/π_ref; robust: the same, corrected for reversed labels; the others: none",
    },
    pitfalls: [
      "Sums of token log-probabilities favor short answers, means weaken length: score says in the contract which they are.",
      "The loss also falls when both answers lose probability: watch rewards of chosen answers, not the margin alone.",
      "Scores must come from one mask: prompt tokens in the policy's score and not in the reference's shift every reward.",
      "ipo works on the scores given: with sums its target margin 1/(2β) is for the whole answer, with means for a token.",
      "The aot kinds sort over the batch: micro-batches and ranks give another loss unless the scores are gathered first.",
    ],
    metric: "winRate, rewardMargin, pairAccuracy",
    source: "Rafailov et al. 2023, eq. 7; TRL DPOTrainer",
  },
  options: {
    beta: numberOption("scales log ratios to rewards", 0.1, { above: 0 }),
    kind: choiceOption<DpoKind>("which loss of the log ratios", "sigmoid", Object.keys(dpoKinds) as DpoKind[]),
    labelSmoothing: numberOption(
      "the probability that a preference was recorded the wrong way round; in sigmoid, robust, exoPair and the aot kinds",
      0,
      { atLeast: 0, atMost: 0.5 },
    ),
    referenceFree: flagOption("the policy's scores stand alone", false),
    discopopTau: numberOption("how sharply discopop changes from logistic to exponential", 0.05, { above: 0 }),
    score: scoreOption("sum"),
  },
  fields: {
    // Shared, since the aot kinds let a unit pull on the scores of another.
    policyChosen: sequenceField("the policy's score of the preferred answer, one a pair", "shared"),
    policyRejected: sequenceField("the policy's score of the other answer, one a pair", "shared"),
    referenceChosen: {
      ...sequenceField("the reference model's score of the preferred answer; a constant", "none"),
      optional: true,
    },
    referenceRejected: {
      ...sequenceField("the reference model's score of the other answer; a constant", "none"),
      optional: true,
    },
  },
  settle(options) {
    checkSmoothing(options);
    return options;
  },
  describe({ kind, beta, labelSmoothing, referenceFree, discopopTau, score }) {
    const ratios = referenceFree ? "the policy's scores, with no reference," : "the log ratios of policy to reference";
    return [
      `DPO loss (${kind}) of each pair, ${dpoKinds[kind].words}, z = βh with β = ${beta}`,
      `${matchesOf(kind) ? "" : "h = c − r, "}c and r being ${ratios} of the chosen and the rejected answer`,
      labelSmoothing > 0 && `labels smoothed by ${labelSmoothing}`,
      kind === "discopop" && `τ = ${discopopTau}`,
      matchesOf(kind) && "an entry of weights or perUnit belonging to a rank of the batch, not to a pair",
      `scores being ${scoreInWords(score)}`,
    ]
      .filter(Boolean)
      .join(", ");
  },
  units(batch) {
    checkReference(batch);
    return {};
  },
  open(batch, work) {
    const { kind } = batch.options;
    const math = (dpoKinds[kind] as DpoKindSpec).open(batch.options);
    const pairs = matchesOf(kind) ? matchedPairs(batch, work) : ownPairs(batch, work);
    const { ratios } = pairs;
    const { policyChosen, policyRejected } = work.sums;
    return {
      loss(unit) {
        pairs.read(unit);
        return math.loss(ratios);
      },
      addShared(unit, factor) {
        policyChosen![pairs.chosenOwner(unit)]! += factor * math.chosenSlope(ratios);
        policyRejected![pairs.rejectedOwner(unit)]! += factor * math.rejectedSlope(ratios);
      },
    };
  },
  kernel({ options: { kind, beta, labelSmoothing, referenceFree } }) {
    const place = ["sigmoid", "hinge", "ipo"].indexOf(kind);
    if (place < 0) return `no kernel computes the kind ${kind}`;
    const reference = referenceFree ? [] : ["referenceChosen", "referenceRejected"];
    return pointwiseKernel({
      kernel: "dpo",
      inputs: ["policyChosen", "policyRejected", ...reference],
      outputs: ["policyChosen", "policyRejected"],
      parameters: [labelSmoothing, beta, place],
      nanoseconds: 20,
    });
  },
});

/** Where the log ratios of a unit come from, and whose scores they are. */
interface Pairs {
  /** Those of the unit read last. */
  readonly ratios: PairRatios;
  read(unit: number): void;
  chosenOwner(unit: number): number;
  rejectedOwner(unit: number): number;
}

/** Each unit is its own pair. */
function ownPairs({ options }: BatchView<DpoOptions>, { rows }: Workspace): Pairs {
  const [chosen, rejected] = [rows.policyChosen!, rows.policyRejected!];
  const none = new Float64Array(1);
  const referenceChosen = options.referenceFree ? none : rows.referenceChosen!;
  const referenceRejected = options.referenceFree ? none : rows.referenceRejected!;
  const ratios = { margin: 0, chosen: 0, rejected: 0 };
  return {
    ratios,
    read() {
      ratios.margin = chosen[0]! - rejected[0]! - (referenceChosen[0]! - referenceRejected[0]!);
      ratios.chosen = chosen[0]! - referenceChosen[0]!;
      ratios.rejected = rejected[0]! - referenceRejected[0]!;
    },
    chosenOwner: (unit) => unit,
    rejectedOwner: (unit) => unit,
  };
}

/**
 * Two numbers a live unit, each sorted over the batch, equal ranks compared: the policy's margins with the reference's
 * (`"pairs"`), or log ratios of chosen answers with those of rejected ones (`"answers"`).
 */
function matchedPairs(batch: BatchView<DpoOptions>, { isLive }: Workspace): Pairs {
  const { kind, referenceFree } = batch.options;
  const byPair = matchesOf(kind) === "pairs";
  const count = batch.unitShape[0]!;
  const live = Int32Array.from({ length: count }, (_, unit) => unit).filter(isLive);
  const rankOf = new Int32Array(count);
  for (let rank = 0; rank < live.length; rank++) rankOf[live[rank]!] = rank;
  const scores = (field: string): ArrayLike<number> => batch.reals(field);
  const none = new Float64Array(count);
  const [chosen, rejected] = [scores("policyChosen"), scores("policyRejected")];
  const referenceChosen = referenceFree ? none : scores("referenceChosen");
  const referenceRejected = referenceFree ? none : scores("referenceRejected");
  const [plus, minus] = byPair
    ? [differences(chosen, rejected), differences(referenceChosen, referenceRejected)]
    : [differences(chosen, referenceChosen), differences(rejected, referenceRejected)];
  const [plusOrder, minusOrder] = [live.slice(), live.slice()];
  placeSorter(plus)(plusOrder);
  placeSorter(minus)(minusOrder);
  const ratios = { margin: 0, chosen: 0, rejected: 0 };
  const chosenOwner = (unit: number) => plusOrder[rankOf[unit]!]!;
  const rejectedPartner = (unit: number) => minusOrder[rankOf[unit]!]!;
  return {
    ratios,
    read(unit) {
      ratios.margin = plus[chosenOwner(unit)]! - minus[rejectedPartner(unit)]!;
    },
    chosenOwner,
    rejectedOwner: byPair ? chosenOwner : rejectedPartner,
  };
}

function differences(left: ArrayLike<number>, right: ArrayLike<number>): Float64Array {
  return Float64Array.from(left, (entry, i) => entry - right[i]!);
}

function matchesOf(kind: DpoKind): DpoKindSpec["matches"] {
  return (dpoKinds[kind] as DpoKindSpec).matches;
}

/** @throws `option` for smoothing in a kind without it, and for values a kind cannot take */
function checkSmoothing({ kind, labelSmoothing }: DpoOptions): void {
  const wrong = (found: string, expected: string, fix: string) =>
    new LosswrightError({ code: "option", where: "dpo", field: "labelSmoothing", found, expected, fix });
  const found = `${labelSmoothing} in kind "${kind}"`;
  if (labelSmoothing > 0 && !(dpoKinds[kind] as DpoKindSpec).smooths) {
    const smoothing = Object.entries(dpoKinds).filter(([, spec]) => (spec as DpoKindSpec).smooths);
    throw wrong(found, "0", `label smoothing acts in ${smoothing.map(([name]) => name).join(", ")}.`);
  }
  if (kind === "exoPair" && labelSmoothing === 0) {
    throw wrong(found, "above 0: it is the target's share of the rejected answer", "write labelSmoothing: 0.001.");
  }
  if (kind === "robust" && labelSmoothing === 0.5) {
    throw wrong(
      found,
      "below 0.5: the loss divides by 1 − 2ε",
      "with labels reversed half of the time nothing is left to learn.",
    );
  }
}

/** @throws `missing-field` where the reference is needed and not given */
function checkReference(batch: BatchView<DpoOptions>): void {
  if (batch.options.referenceFree) return;
  for (const field of ["referenceChosen", "referenceRejected"]) {
    if (batch.has(field)) continue;
    throw new LosswrightError({
      code: "missing-field",
      where: batch.where,
      field,
      found: "none",
      expected: `the field ${field} [B]: the reference model's scores`,
      fix: "give the reference's scores, or write referenceFree: true so that the contract says there is none.",
    });
  }
}
