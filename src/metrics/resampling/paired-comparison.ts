import { LosswrightError } from "../../errors/index.js";
import { isTensor } from "../../tensor/index.js";
import type { GivenFields } from "../fields.js";
import { Metric } from "../metric.js";
import { type Bootstrap, type BootstrapOptions, bootstrap, type Uncertain, uncertain } from "./bootstrap.js";
import { type Identified, tagsOf } from "./tags.js";

const where = "pairedComparison";

/** Two models on the same samples. */
export interface Compared {
  readonly left: Uncertain<number>;
  readonly right: Uncertain<number>;
  /** right − left. */
  readonly difference: Uncertain<number>;
  /** Share of replicates in which the right one is higher, ties half. */
  readonly rightHigher: number;
  /** Twice the smaller share of replicates on one side of 0, at least 1/(replicates + 1): two-sided. */
  readonly pValue: number;
}

/** What {@link pairedComparison} is given: the fields of both models, and the names of the samples they share. */
export interface PairedFields<Fields> extends Identified {
  readonly left: Fields;
  readonly right: Fields;
}

/**
 * Compares two models by one metric on the same samples: every replicate draws the same samples for both, so that what
 * makes a sample hard for both cancels. Far sharper than two intervals side by side.
 *
 * @example
 * const comparison = pairedComparison(accuracy(), { seed: 7 });
 * comparison.update({ left: { predictions: a, labels }, right: { predictions: b, labels }, sampleIds });
 * comparison.compute().difference; // right − left, with its interval
 *
 * @throws `argument` for a metric that has seen samples, `option` for values out of range
 */
export function pairedComparison<Fields>(
  metric: Metric<Fields, number>,
  options: Partial<BootstrapOptions> = {},
): PairedComparison<Fields> {
  return new PairedComparison<Fields>(metric, options);
}

/** @see pairedComparison */
export class PairedComparison<Fields> {
  private readonly left: Bootstrap<Fields, number>;
  private readonly right: Bootstrap<Fields, number>;

  constructor(
    private readonly metric: Metric<Fields, number>,
    options: Partial<BootstrapOptions>,
  ) {
    this.left = bootstrap(metric, options);
    this.right = bootstrap(metric, options);
  }

  /** Adds samples that both models have answered. @throws as the metric's update, leaving the comparison as it was */
  update({ left, right, ...ids }: PairedFields<Fields>): this {
    checkSameTruth(left as GivenFields, right as GivenFields);
    // The right side is tried first: the left one must not be ahead when it throws.
    Metric.resample(Metric.emptied(this.metric), right, { tag: tagsOf(where, ids) });
    this.left.update({ ...left, ...ids } as Fields & Identified);
    this.right.update({ ...right, ...ids } as Fields & Identified);
    return this;
  }

  /** Adds what another part of the evaluation has seen; the other is unchanged. */
  merge(other: PairedComparison<Fields>): this {
    this.left.merge(other.left);
    this.right.merge(other.right);
    return this;
  }

  /** Both values, their difference and how sure its sign is. @throws `unsupported` for a metric of several numbers */
  compute(): Compared {
    const [left, right] = [this.left.value(), this.right.value()];
    if (typeof left !== "number" || typeof right !== "number") {
      throw new LosswrightError({
        code: "unsupported",
        where,
        found: "a metric of several numbers",
        expected: "a metric that computes one number",
        fix: "average it, or compare one of its numbers.",
      });
    }
    const { confidence } = this.left.options;
    const [lefts, rights] = [this.left.replicateValues(), this.right.replicateValues()];
    const differences = rights.map((value, replicate) => value - lefts[replicate]!);
    const usable = differences.filter((difference) => !Number.isNaN(difference));
    const count = usable.length;
    const above = usable.filter((difference) => difference > 0).length;
    const below = usable.filter((difference) => difference < 0).length;
    return {
      left: uncertain(where, left, lefts, confidence),
      right: uncertain(where, right, rights, confidence),
      difference: uncertain(where, right - left, differences, confidence),
      rightHigher: (above + (count - above - below) / 2) / count,
      pValue: Math.min(1, (2 * (1 + Math.min(count - above, count - below))) / (count + 1)),
    };
  }
}

/** What both models are judged by. */
const truths = ["labels", "targets", "references", "relevance"] as const;

/** @throws `argument` where the two sides are not judged by the same truth */
function checkSameTruth(left: GivenFields, right: GivenFields): void {
  for (const field of truths) {
    const [mine, theirs] = [left?.[field], right?.[field]];
    if (mine === undefined || theirs === undefined) continue;
    const [one, other] = [isTensor(mine) ? mine.data : mine, isTensor(theirs) ? theirs.data : theirs];
    if (one.length === other.length && !differs(one, other)) continue;
    throw new LosswrightError({
      code: "argument",
      where,
      field,
      found: `other ${field} on the left than on the right`,
      expected: "the same samples in the same order on both sides",
      fix: "align both models' answers by sample before comparing them.",
    });
  }
}

/** Whether two lists differ; integers of two widths are the same number. */
function differs(one: ArrayLike<unknown>, other: ArrayLike<unknown>): boolean {
  for (let i = 0; i < one.length; i++) {
    const [a, b] = [one[i], other[i]];
    if (typeof a === "string" ? a !== b : Number(a) !== Number(b)) return true;
  }
  return false;
}
