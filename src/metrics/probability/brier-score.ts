import { choiceOption, flagOption, nullableOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import { Samples } from "../accumulators.js";
import { ignoreIndexOption } from "../classification/labels.js";
import { defineMetric, type NarrowFactory } from "../metric.js";
import { type ProbabilityFields, probabilityFields, readProbabilities } from "./probability-fields.js";

const parts = ["score", "reliability", "resolution", "uncertainty"] as const;
type Part = (typeof parts)[number];

/** Options of {@link brierScore}. */
export interface BrierScoreOptions {
  /** One number of the four; null (default) gives them all. */
  readonly part: Part | null;
  /** Whether the sum over classes is halved; null halves it for two classes, where it is then (p − y)² of class 1. */
  readonly scaleByHalf: boolean | null;
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

interface BrierState {
  /** `code` is twice the class, plus 1 where it is the label's. */
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

/** Result of {@link brierScore}: the score is reliability − resolution + uncertainty. */
export type BrierParts = { readonly [P in Part]: number };

/** Makes metrics of all parts, or of one number where `part` names it. */
type BrierFactory = NarrowFactory<
  ProbabilityFields,
  BrierScoreOptions,
  number | BrierParts,
  {
    readonly special: { readonly part: Part };
    readonly specially: number;
    readonly usual: { readonly part?: null };
    readonly usually: BrierParts;
  }
>;

/**
 * The mean squared error of probabilities, and what it is made of (Murphy 1973), over the distinct forecasts f:
 *   reliability = Σ_f w_f (f − ȳ_f)² / Σ w     how far forecasts are from what happens when they are made
 *   resolution  = Σ_f w_f (ȳ_f − ȳ)² / Σ w     how far outcomes differ between forecasts
 *   uncertainty = ȳ (1 − ȳ)                    what no forecast changes
 * Of several classes each is the sum over classes, each against the rest. NaN for no sample.
 *
 * Brier 1950; Murphy 1973; scikit-learn `brier_score_loss`.
 */
export const brierScore: BrierFactory = /*#__PURE__*/ defineMetric<
  ProbabilityFields,
  BrierScoreOptions,
  BrierState,
  number | BrierParts
>({
  name: "brierScore",
  documentation: {
    summary: "The mean squared error of probabilities, with its reliability, resolution and uncertainty.",
    formula: "Σ w Σ_k (p_k − y_k)² / Σ w = reliability − resolution + uncertainty",
    source: "Brier 1950; Murphy 1973; scikit-learn brier_score_loss",
    goal: "minimize",
  },
  options: {
    part: nullableOption(choiceOption("one number of the four", "score", parts)),
    scaleByHalf: nullableOption(
      flagOption("whether the sum over classes is halved; null halves it for two classes", true),
    ),
    ignoreIndex: ignoreIndexOption,
  },
  fields: (_, given) => probabilityFields(given),
  forms: () => [["probabilities", "labels"]],
  ignored: "labels",
  state: () => ({ samples: new Samples(["probability", "code"]) }),
  open: (fields, { samples }) => {
    const { classes, label, probability } = readProbabilities(fields);
    return (sample, weight) => {
      const actual = label(sample);
      if (classes === 1) samples.add(weight, probability(sample, 0), 2 + actual);
      else
        for (let k = 0; k < classes; k++)
          samples.add(weight, probability(sample, k), 4 + 2 * k + (k === actual ? 1 : 0));
    };
  },
  compute: ({ samples }, { part, scaleByHalf }) => {
    const classes = classesOf(samples);
    const halved = scaleByHalf ?? classes <= 2;
    // Of class 1 alone the sum over both classes is twice what is kept.
    const scale = (classes === 1 ? 2 : 1) * (halved ? 0.5 : 1);
    const found = decomposed(samples);
    const scaled = Object.fromEntries(parts.map((name) => [name, scale * found[name]])) as BrierParts;
    return part === null ? scaled : scaled[part];
  },
}) as BrierFactory;

/**
 * How many classes the samples have: 1 where class 1 alone is given, of codes 2 and 3; classes of a list begin at 4.
 *
 * @throws `argument` where updates had different numbers of classes
 */
function classesOf(samples: Samples): number {
  const counts: number[] = [];
  for (const code of samples.column("code")) counts[code >> 1] = (counts[code >> 1] ?? 0) + 1;
  const held = counts.filter((count) => count > 0);
  if (held.every((count) => count === held[0]) && (counts[1] === undefined || held.length === 1)) {
    return Math.max(1, held.length);
  }
  throw new LosswrightError({
    code: "argument",
    where: "brierScore",
    field: "probabilities",
    found: "updates of different numbers of classes",
    expected: "one number of classes in all updates",
  });
}

/** The parts, class by class, over the distinct forecasts of each. */
function decomposed(samples: Samples): BrierParts {
  const [probabilities, codes, { weights }] = [samples.column("probability"), samples.column("code"), samples];
  const weightOf = (i: number) => weights?.[i] ?? 1;
  const order = sortedOrder(probabilities);
  const whole = new Map<number, { readonly weight: ExactSum; readonly positive: ExactSum }>();
  const score = new ExactSum();
  for (const [i, code] of codes.entries()) {
    const index = code >> 1;
    if (!whole.has(index)) whole.set(index, { weight: new ExactSum(), positive: new ExactSum() });
    const of = whole.get(index)!;
    const outcome = code & 1;
    of.weight.add(weightOf(i));
    if (outcome) of.positive.add(weightOf(i));
    const error = probabilities[i]! - outcome;
    score.add(weightOf(i) * error * error);
  }
  const [reliability, resolution, uncertainty] = [new ExactSum(), new ExactSum(), new ExactSum()];
  const all = whole.values().next().value?.weight.value ?? 0;
  for (const [index, { weight, positive }] of whole) {
    const base = positive.value / weight.value;
    uncertainty.add(weight.value * base * (1 - base));
    let [held, hits] = [new ExactSum(), new ExactSum()];
    const own = order.filter((i) => codes[i]! >> 1 === index);
    for (const [place, i] of own.entries()) {
      held.add(weightOf(i));
      if (codes[i]! & 1) hits.add(weightOf(i));
      const next = own[place + 1];
      if (next !== undefined && probabilities[next] === probabilities[i]) continue;
      const rate = hits.value / held.value;
      const [miss, gain] = [probabilities[i]! - rate, rate - base];
      reliability.add(held.value * miss * miss);
      resolution.add(held.value * gain * gain);
      [held, hits] = [new ExactSum(), new ExactSum()];
    }
  }
  return {
    score: score.value / all,
    reliability: reliability.value / all,
    resolution: resolution.value / all,
    uncertainty: uncertainty.value / all,
  };
}
