import { type Contract, canonicalText, type Json, type Reduction } from "../../contract/index.js";
import { type Objective, objectiveFrom } from "../../losses/index.js";
import type { AuditedPart, AuditedStep } from "../audited-step.js";
import { agrees, gradientTolerance, lossTolerance, relative } from "../audited-step.js";
import { type Aggregated, type Aggregation, aggregations, type PartSums } from "./aggregations.js";
import { Gradients } from "./gradients.js";
import { reductionCandidates, underReduction } from "./reductions.js";

/** A contract and a way of putting parts together that gives the reported numbers, or comes nearest to them. */
export interface Explanation {
  readonly contract: Contract;
  /** `"whole"`, `"mean of means"`, `"rank mean"`, … */
  readonly aggregation: string;
  /** Changes to the fields before the loss; none in this version's search. */
  readonly transform: readonly Json[];
  readonly relativeError: number;
  readonly gradientError: number | undefined;
  /** Whether loss and gradient are reproduced within the tolerances. */
  readonly fits: boolean;
  /** Whose mistake it is: nobody's, that of the reduction, of the parts, of the ranks. */
  readonly about: "none" | "reduction" | "parts" | "ranks";
  /** What divides, in words. */
  readonly words: string;
  /** What multiplies the gradient of each part's numerator. */
  readonly factors: readonly number[];
  /** The numerator and denominator of each part under this contract. */
  readonly sums: readonly PartSums[];
}

type Unexplained = Omit<AuditedStep, "explanations">;

/**
 * The contracts and aggregations that reproduce reported loss and gradient, simplest first; where none does, the
 * nearest one alone.
 *
 * The gradient of every candidate is a multiple of one of few gradients of numerators, part by part, so each of those
 * is computed once and a candidate costs a handful of dot products already at hand.
 */
export function explain(step: Unexplained): readonly Explanation[] {
  const { declared, objective, record } = step;
  const loss = record.reported.loss;
  if (!declared || !Number.isFinite(declared.value)) return [];
  // Loss or gradient alone can be explained too; with neither there is nothing to explain.
  if (loss === null ? !step.reported : !Number.isFinite(loss)) return [];
  if (step.reported && !step.reported.every((gradients) => gradients.isFinite)) return [];
  // Pieces of rows or of a coupled batch are not tallies of their own: only the whole can be set against the report.
  if (record.context.splitAxis === "sequence" && step.parts.length > 1) return [];
  const search = new Search(step, loss);
  const mine = canonicalText(objective.reduction as unknown as Json);
  search.tryAll(objective.reduction, "the declared denominator", "none");
  // Numbers that are the contract's own need no other explanation, and the search costs a pass for each average.
  if (agrees(step) && search.explained) return search.results();
  const batches = step.parts.map(({ batch }) => batch);
  for (const { reduction, words } of reductionCandidates(objective, batches, declared.denominator)) {
    if (canonicalText(reduction as unknown as Json) !== mine) search.tryAll(reduction, words, "reduction");
  }
  search.tryApart(objective.reduction);
  return search.results();
}

/** The gradients of the parts' numerators under one inner average, and their products with what was reported. */
interface Base {
  readonly numerators: readonly number[];
  /** ⟨reported, g⟩ and ⟨g, g⟩ of each part; undefined where no gradients were recorded. */
  readonly along: readonly number[] | undefined;
  readonly squares: readonly number[] | undefined;
}

class Search {
  private readonly found: Explanation[] = [];
  private readonly bases = new Map<string, Base>();
  private readonly step: Unexplained;
  /** Null where none was recorded: the gradient alone decides. */
  private readonly loss: number | null;
  private readonly reportedSquare: number;
  private readonly declaredSums: readonly PartSums[];

  constructor(step: Unexplained, loss: number | null) {
    this.step = step;
    this.loss = loss;
    this.declaredSums = this.sumsOf(step.objective.reduction).sums;
    this.reportedSquare = step.reported?.reduce((sum, gradients) => sum + gradients.dot(gradients), 0) ?? 0;
  }

  /** Tries a reduction under every aggregation; a constant divides the whole alone. */
  tryAll(reduction: Reduction, words: string, about: "none" | "reduction"): void {
    const { sums, base } = this.sumsOf(reduction);
    for (const aggregation of aggregations(sums)) {
      if (typeof reduction.divideBy === "object" && aggregation.about !== "none") continue;
      const aboutParts = about === "reduction" && this.isHarmless(aggregation) ? "none" : aggregation.about;
      this.judge(reduction, words, about, aggregation.name, aboutParts, sums, aggregation.apply(sums), base);
    }
  }

  /** Tries one aggregation for the loss and another for the gradient: a number logged otherwise than it is trained. */
  tryApart(reduction: Reduction): void {
    const { sums, base } = this.sumsOf(reduction);
    if (this.loss === null || !base.along || this.found.some(({ fits }) => fits)) return;
    const each = aggregations(sums).map((aggregation) => ({ aggregation, result: aggregation.apply(sums) }));
    const byLoss = each.find(({ result }) => this.lossError(result.loss) <= lossTolerance);
    const byGradient = each.find(({ result }) => this.gradientError(result.factors, base)! <= gradientTolerance);
    if (!byLoss || !byGradient) return;
    const name = `${byLoss.aggregation.name} (loss), ${byGradient.aggregation.name} (gradient)`;
    const wrong = [byGradient, byLoss].find(({ aggregation }) => aggregation.about !== "none");
    const both = { loss: byLoss.result.loss, factors: byGradient.result.factors };
    this.judge(
      reduction,
      "the declared denominator",
      "none",
      name,
      wrong?.aggregation.about ?? "none",
      sums,
      both,
      base,
    );
  }

  /** Whether something tried so far fits. */
  get explained(): boolean {
    return this.found.some(({ fits }) => fits);
  }

  /** What fits, in the order tried; the nearest alone when nothing does. */
  results(): readonly Explanation[] {
    const fitting = this.found.filter(({ fits }) => fits);
    if (fitting.length) return fitting;
    const error = ({ relativeError, gradientError = 0 }: Explanation) => Math.max(relativeError, gradientError);
    const nearest = this.found.reduce<Explanation | undefined>(
      (best, next) => (best && error(best) <= error(next) ? best : next),
      undefined,
    );
    return nearest ? [nearest] : [];
  }

  private judge(
    reduction: Reduction,
    words: string,
    about: "none" | "reduction",
    aggregation: string,
    aboutParts: Aggregation["about"],
    sums: readonly PartSums[],
    { loss, factors }: Aggregated,
    base: Base,
  ): void {
    const relativeError = this.lossError(loss);
    const gradientError = this.gradientError(factors, base);
    if (!Number.isFinite(relativeError)) return;
    this.found.push({
      contract: underReduction(this.step.objective.contract, reduction),
      aggregation,
      transform: [],
      relativeError,
      gradientError,
      fits: relativeError <= lossTolerance && (gradientError ?? 0) <= gradientTolerance,
      about: aboutParts === "none" ? about : aboutParts,
      words,
      factors,
      sums,
    });
  }

  private lossError(loss: number): number {
    return this.loss === null ? 0 : relative(loss, this.loss);
  }

  /** Whether an aggregation gives the declared value on these parts: equal micro-batches may well be averaged. */
  private isHarmless(aggregation: Aggregation): boolean {
    const [right] = aggregations(this.declaredSums);
    const [mine, wanted] = [aggregation, right!].map(({ apply }) => apply(this.declaredSums)) as [
      Aggregated,
      Aggregated,
    ];
    const pulls = (part: number) => relative(mine.factors[part]!, wanted.factors[part]!) <= gradientTolerance;
    return (
      relative(mine.loss, wanted.loss) <= lossTolerance &&
      this.declaredSums.every(({ denominator }, part) => denominator === 0 || pulls(part))
    );
  }

  private sumsOf(reduction: Reduction): { sums: PartSums[]; base: Base } {
    const { parts, objective } = this.step;
    const base = this.baseOf(reduction);
    const changed = objectiveFrom(underReduction(objective.contract, reduction));
    const sums = parts.map(({ batch, rank }, i) => {
      const denominator = changed.denominator(batch).value;
      return { numerator: base.numerators[i]!, denominator, rank };
    });
    // A constant divides the whole step once, not each part.
    if (typeof reduction.divideBy !== "object") return { sums, base };
    const { constant } = reduction.divideBy;
    return { sums: sums.map((part, i) => ({ ...part, denominator: i === 0 ? constant : 0 })), base };
  }

  private baseOf({ per, divideBy }: Reduction): Base {
    // Only an average inside sequences changes the direction of the gradient; all else is one factor.
    const inner: Reduction =
      per === "sequence"
        ? { per, divideBy: divideBy === "count" ? "count" : "weight", onEmpty: "zero" }
        : { ...this.unitsAlike(), divideBy: "weight", onEmpty: "zero" };
    const key = canonicalText(inner as unknown as Json);
    const known = this.bases.get(key);
    if (known) return known;
    const { objective, parts, reported } = this.step;
    const changed = objectiveFrom(underReduction(objective.contract, inner));
    const made = parts.map((part, i) => baseOfPart(changed, part, reported?.[i]));
    const base: Base = {
      numerators: made.map(({ numerator }) => numerator),
      along: reported && made.map(({ along }) => along),
      squares: reported && made.map(({ square }) => square),
    };
    this.bases.set(key, base);
    return base;
  }

  private unitsAlike(): Pick<Reduction, "per"> {
    const { unit } = this.step.objective.definition;
    return { per: unit === "position" ? "token" : unit === "element" ? "element" : "sample" };
  }

  /** ‖reported − factor · g‖ / ‖reported‖ over all parts. */
  private gradientError(factors: readonly number[], { along, squares }: Base): number | undefined {
    if (!along || !squares) return undefined;
    let gap = this.reportedSquare;
    for (const [i, factor] of factors.entries()) gap += factor * (factor * squares[i]! - 2 * along[i]!);
    if (this.reportedSquare === 0) return gap === 0 ? 0 : Number.POSITIVE_INFINITY;
    return Math.sqrt(Math.max(gap, 0) / this.reportedSquare);
  }
}

function baseOfPart(objective: Objective, { batch }: AuditedPart, reported: Gradients | undefined) {
  if (!reported) return { numerator: objective.tally(batch).numerator, along: 0, square: 0 };
  // Over a denominator of 1 value and gradients are those of the numerator.
  const { numerator, gradients } = objective.valueAndGradients(batch, { denominator: 1 });
  const own = new Gradients(gradients).like(reported);
  return { numerator, along: own.dot(reported), square: own.dot(own) };
}
