import { choiceOption, nullableOption, numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { ExactSum } from "../../tally/index.js";
import { Sums } from "../accumulators.js";
import { defineMetric } from "../metric.js";
import { averageClasses, type ClassAverage, mean } from "./average-classes.js";
import { type Bounded, roundingSlack, walkBuckets } from "./buckets.js";
import { readScores, type Scored, type ScoredClasses, type ScoreFields } from "./class-scores.js";
import {
  openSummary,
  type ScoreSummary,
  type ScoreSummaryFactory,
  type ScoreSummaryOptions,
  type ScoreSummaryState,
  scoreSummary,
  scoreSummaryOptions,
} from "./score-summary.js";
import { walkThresholds } from "./thresholds.js";

/** Options of {@link auroc}. */
export interface AurocOptions extends ScoreSummaryOptions {
  /** Each class against the rest (default), or each against each other one (Hand and Till 2001). */
  readonly multiClass: "ovr" | "ovo";
  /** The area up to this false positive rate alone, standardized to 0.5 for guessing (McClish 1989); null for all. */
  readonly maxFalsePositiveRate: number | null;
}

/**
 * The area under the ROC curve: how likely a positive scores higher than a negative, ties half, by weight. NaN where
 * there are no positives or no negatives; a mean over classes is then NaN too.
 *
 * With `resolutionBits` scores that share their leading bits count as ties: the area is off by at most half the weight of
 * pairs within one bucket, Σ_b P_b N_b / (2 P N), which the bounds say.
 *
 * Hanley and McNeil 1982; scikit-learn `roc_auc_score` (NaN where it throws or warns).
 */
export const auroc: ScoreSummaryFactory<AurocOptions> = /*#__PURE__*/ defineMetric<
  ScoreFields,
  AurocOptions,
  ScoreSummaryState,
  ScoreSummary
>({
  name: "auroc",
  documentation: {
    summary: "How likely a positive scores higher than a negative: the area under the ROC curve.",
    formula: "Σ w⁺ w⁻ ([s⁺ > s⁻] + [s⁺ = s⁻]/2) / (Σ w⁺ Σ w⁻)",
    source: "Hanley and McNeil 1982; Hand and Till 2001; McClish 1989; scikit-learn roc_auc_score",
    goal: "maximize",
  },
  options: {
    ...scoreSummaryOptions,
    multiClass: choiceOption("each class against the rest, or against each other one", "ovr", ["ovr", "ovo"]),
    maxFalsePositiveRate: nullableOption(
      numberOption("the area up to this false positive rate alone, standardized", 1, { above: 0, atMost: 1 }),
    ),
  },
  ...scoreSummary,
  open: (fields, state, options) => {
    checkOptions(options);
    return openSummary("auroc", fields, state, options);
  },
  compute: ({ held }, options) => {
    checkOptions(options);
    if (held instanceof Sums) return boundedArea(held);
    const scored = readScores("auroc", held);
    const limit = options.maxFalsePositiveRate;
    const of = (one: Scored) => (limit === null ? area(one) : partialArea(one, limit));
    if (scored.classes > 1 && options.multiClass === "ovo") return againstEachOther(scored, options.average, of);
    return averageClasses(scored, options.average, of);
  },
}) as ScoreSummaryFactory<AurocOptions>;

/** @throws `option` for options that do not go together */
function checkOptions({ multiClass, average, multilabel, maxFalsePositiveRate, resolutionBits }: AurocOptions): void {
  const wrong = (field: string, found: string, expected: string) => {
    throw new LosswrightError({ code: "option", where: "auroc", field, found, expected });
  };
  if (multiClass === "ovo" && multilabel) wrong("multiClass", '"ovo" beside multilabel', '"ovr" for flags');
  if (multiClass === "ovo" && average !== "macro" && average !== "weighted") {
    wrong("average", `"${average}" beside multiClass: "ovo"`, '"macro" or "weighted"');
  }
  if (resolutionBits !== null && maxFalsePositiveRate !== null) {
    wrong("resolutionBits", "resolutionBits beside maxFalsePositiveRate", "one of the two");
  }
}

/** The area by trapezoids over the distinct scores: twice the area is a whole number without weights. */
function area(scored: Scored): number {
  const twice = new ExactSum();
  let [allPositives, allNegatives] = [0, 0];
  walkThresholds(scored, (_, above, below, positives, negatives) => {
    twice.add(negatives * (2 * allPositives + positives));
    [allPositives, allNegatives] = [above, below];
  });
  return Math.min(1, twice.value / (2 * allPositives * allNegatives));
}

/** The area up to a false positive rate, 0.5 for guessing and 1 for the best. */
function partialArea(scored: Scored, limit: number): number {
  let [positives, negatives] = [0, 0];
  walkThresholds(scored, (_, above, below) => {
    [positives, negatives] = [above, below];
  });
  const end = limit * negatives;
  const sum = new ExactSum();
  let [lastAbove, lastBelow] = [0, 0];
  walkThresholds(scored, (_, above, below) => {
    if (lastBelow < end) {
      const share = below <= end ? 1 : (end - lastBelow) / (below - lastBelow);
      const reached = lastAbove + share * (above - lastAbove);
      sum.add((Math.min(below, end) - lastBelow) * (lastAbove + reached));
    }
    [lastAbove, lastBelow] = [above, below];
  });
  if (limit === 1) return sum.value / (2 * positives * negatives);
  const part = sum.value / (2 * positives * negatives);
  const least = (limit * limit) / 2;
  return (1 + (part - least) / (limit - least)) / 2;
}

/** The mean over pairs of classes of how well each is told from the other (Hand and Till 2001). */
function againstEachOther(scored: ScoredClasses, average: ClassAverage, of: (one: Scored) => number): number {
  const { classes, rows } = scored;
  const labels = Int32Array.from({ length: rows }, (_, row) => scored.labelOf(row));
  const pairs: [value: number, weight: number][] = [];
  for (let a = 0; a < classes; a++) {
    for (let b = a + 1; b < classes; b++) {
      const of2 = [a, b].map((positive) => of(amongTwo(scored.of(positive), labels, a, b)));
      const weight = new ExactSum();
      for (let row = 0; row < rows; row++) if (labels[row] === a || labels[row] === b) weight.add(scored.weightOf(row));
      pairs.push([(of2[0]! + of2[1]!) / 2, average === "macro" ? 1 : weight.value]);
    }
  }
  return mean(pairs.length, (i) => pairs[i]!);
}

/** The rows of two classes alone. */
function amongTwo({ scores, positive, weights }: Scored, labels: Int32Array, a: number, b: number): Scored {
  const has = (_: unknown, row: number) => labels[row] === a || labels[row] === b;
  return { scores: scores.filter(has), positive: positive.filter(has), weights: weights?.filter(has) };
}

function boundedArea(sums: Sums): Bounded & { readonly [name: string]: number } {
  const [twice, within] = [new ExactSum(), new ExactSum()];
  let [positives, negatives] = [0, 0];
  const [allPositives, allNegatives] = [new ExactSum(), new ExactSum()];
  let isWhole = true;
  walkBuckets(sums, (above, below) => {
    const [ties, before] = [above * below, 2 * positives * below];
    twice.add(ties);
    twice.add(before);
    within.add(ties);
    isWhole &&= Number.isInteger(above) && Number.isInteger(below);
    allPositives.add(above);
    allNegatives.add(below);
    [positives, negatives] = [allPositives.value, allNegatives.value];
  });
  const all = 2 * positives * negatives;
  const value = Math.min(1, twice.value / all);
  // Of whole weights every product is exact, and a quotient rounded once keeps its place; others have room for rounding.
  const slack = isWhole && Number.isSafeInteger(all) ? 0 : roundingSlack;
  const [least, most] = [new ExactSum().merge(twice), new ExactSum().merge(twice).merge(within)];
  least.add(-within.value);
  return {
    value,
    lower: Math.max(0, (least.value / all) * (1 - slack) - slack),
    upper: Math.min(1, (most.value / all) * (1 + slack)),
  };
}
