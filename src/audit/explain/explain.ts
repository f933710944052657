import { type Contract, type ContractInput, canonicalText, type Json, type Reduction } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import type { AnyBatch, Objective } from "../../losses/index.js";
import type { AuditedPart, AuditedStep, SearchedPart } from "../audited-step.js";
import { agrees, relative } from "../audited-step.js";
import { sizeOfStep } from "../facts.js";
import { referenceObjective } from "../reference.js";
import { wholeBatch } from "../sample.js";
import { type Aggregated, type Aggregation, aggregations, type PartSums } from "./aggregations.js";
import { nameOfFactor } from "./factors.js";
import { Gradients } from "./gradients.js";
import type { Hypothesis, Transform } from "./hypothesis.js";
import { namedLoss } from "./named-loss.js";
import { type Probe, pointsAlong, probeOf } from "./probe.js";
import { reductionCandidates, underReduction } from "./reductions.js";
import { transformed } from "./transform.js";

/** A contract and a way of putting parts together that gives the reported numbers, or comes nearest to them. */
export interface Explanation {
  readonly contract: Contract;
  /** `"whole"`, `"mean of means"`, `"rank mean"`, … */
  readonly aggregation: string;
  /** Changes to fields, loss or gradient, in the order in which they act. */
  readonly transform: readonly Transform[];
  readonly relativeError: number;
  readonly gradientError: number | undefined;
  /** Whether loss and gradient are reproduced within the tolerances. */
  readonly fits: boolean;
  /** Whose mistake it is: that of the reduction, of the parts, of the ranks, of a check by its id; nobody's. */
  readonly about: string;
  /** The check behind the hypothesis, where the parts are put together otherwise as well. */
  readonly also: string | undefined;
  /** What divides, in words. */
  readonly words: string;
  /** What was computed instead, in words; empty for the contract's own mathematics. */
  readonly instead: string;
  /** Changes against the declared contract: 0 for the contract itself. */
  readonly cost: number;
  /** What multiplies the gradient of each part's numerator. */
  readonly factors: readonly number[];
  /** The numerator and denominator of each part under this contract. */
  readonly sums: readonly PartSums[];
}

type Unexplained = Omit<AuditedStep, "explanations">;

const declaredWords = "the declared denominator";

/** The contract's own mathematics, whatever divides it. */
const asDeclared: Hypothesis = { about: "none", words: "", cost: 0 };

/**
 * The contracts, transforms and aggregations that reproduce reported loss and gradient, simplest first; where none
 * does, the nearest one alone.
 *
 * One pass over the batch gives the numerators of a hypothesis, the gradients of them, and their products with what was
 * reported; every reduction and aggregation is then a few multiplications on those.
 *
 * @param hypotheses - what to try beside reductions and aggregations; asked for only when these do not fit
 */
export function explain(step: Unexplained, hypotheses: () => Iterable<Hypothesis>): readonly Explanation[] {
  const { declared, record } = step;
  const loss = record.reported.loss;
  if (!declared) return [];
  // Loss or gradient alone can be explained too; with neither there is nothing to explain.
  if (loss === null ? !step.reported : !Number.isFinite(step.loss ?? 0)) return [];
  if (step.reported && !step.reported.every((gradients) => gradients.isFinite)) return [];
  const search = new Search(step);
  if (Number.isFinite(declared.value)) {
    search.tryDeclared();
    // Numbers that are the contract's own need no other explanation.
    if (agrees(step) && search.explained) return search.results();
    search.tryReductions();
    if (search.explained) return search.results();
  }
  for (const hypothesis of hypotheses()) {
    search.tryHypothesis(hypothesis);
    // What else would fit as well is asked for only where it costs little.
    if (search.isLarge && search.explained) break;
  }
  if (Number.isFinite(declared.value)) search.tryFactor();
  return search.results();
}

/** The gradients of the parts' numerators under one inner average, and their products with what was reported. */
interface Base {
  readonly numerators: readonly number[];
  /** ⟨reported, g⟩ and ⟨g, g⟩ of each part; undefined where no gradients were recorded. */
  readonly along: readonly number[] | undefined;
  readonly squares: readonly number[] | undefined;
}

/** A hypothesis on the parts of a step: its objective, and the parts as it has them. */
interface Case {
  readonly hypothesis: Hypothesis;
  readonly objective: Objective;
  readonly parts: readonly SearchedPart[];
  readonly bases: Map<string, Base>;
}

class Search {
  private readonly found: Explanation[] = [];
  private readonly step: Unexplained;
  /** Null where none was recorded: the gradient alone decides. */
  private readonly loss: number | null;
  private readonly reportedSquare: number;
  private readonly own: Case;
  private readonly declaredSums: readonly PartSums[];
  private readonly probe: Probe | undefined;
  /** Numbers that full passes may still read: what a large step has room for. */
  private budget = mostWork;

  constructor(step: Unexplained) {
    this.step = step;
    this.loss = step.loss;
    this.reportedSquare = step.reportedSquare;
    this.own = { hypothesis: asDeclared, objective: step.searchedObjective, parts: step.searched, bases: new Map() };
    this.probe = probeOf(step);
    this.declaredSums = this.sumsOf(this.own, step.searchedObjective.reduction).sums;
  }

  /** The contract's own mathematics and denominator, under every aggregation. */
  tryDeclared(): void {
    this.tryAll(this.own, this.own.objective.reduction, declaredWords, "none");
  }

  /** The contract's own mathematics over other denominators. */
  tryReductions(): void {
    // Where the gradient of a large step is another one, no denominator makes it this one.
    if (this.probe && !this.pointsRight(this.own)) return;
    this.tryCandidates(this.own);
    this.tryApart(this.own);
    // A gradient that points the right way on every row of the probe is the contract's, times a factor.
    if (this.probe && !this.explained) this.tryFactor();
  }

  /** The contract's own mathematics times a factor that is solved for. */
  tryFactor(): void {
    this.tryScaled(this.own);
  }

  /** Another mathematics: over the declared denominator and, where its gradient points the right way, over others. */
  tryHypothesis(hypothesis: Hypothesis): void {
    const opened = this.open(hypothesis);
    if (!opened || !this.isWorthAPass(opened)) return;
    const before = this.fitting.length;
    try {
      if (this.isVacuous(opened)) return;
      this.tryAll(opened, opened.objective.reduction, declaredWords, "none");
      if (this.fitting.length > before) return;
      // Two mistakes at once are believed only where a gradient speaks for both.
      if (!this.step.reported) return;
      this.tryCandidates(opened);
      this.tryApart(opened);
      if (this.fitting.length === before) this.tryScaled(opened);
    } catch (error) {
      // A hypothesis that the fields contradict is none.
      if (!(error instanceof LosswrightError)) throw error;
    }
  }

  /** Whether a pass over the step costs so much that a few rows are asked first. */
  get isLarge(): boolean {
    return this.probe !== undefined;
  }

  /** Whether something tried so far fits. */
  get explained(): boolean {
    return this.found.some(({ fits }) => fits);
  }

  /** What fits, simplest first; the nearest alone when nothing does. */
  results(): readonly Explanation[] {
    const fitting = this.fitting;
    // A sort of the engine is stable: what is as simple stays in the order tried.
    if (fitting.length) return fitting.sort((a, b) => a.cost - b.cost);
    const error = ({ relativeError, gradientError = 0 }: Explanation) => Math.max(relativeError, gradientError);
    const nearest = this.found.reduce<Explanation | undefined>(
      (best, next) => (best && error(best) <= error(next) ? best : next),
      undefined,
    );
    return nearest ? [nearest] : [];
  }

  /** Whether only some units were kept: then other mathematics has no loss of the whole to compare. */
  private get isSample(): boolean {
    return this.step.searched.some(({ denominator }) => denominator !== undefined);
  }

  private get fitting(): Explanation[] {
    return this.found.filter(({ fits }) => fits);
  }

  /** Whether a few rows of a large step leave a hypothesis possible, and there is room for another pass. */
  private isWorthAPass(opened: Case): boolean {
    const transforms = opened.hypothesis.transform ?? [];
    if (this.probe) {
      // A few rows say nothing of numbers that moved between rows, and a pass for each way is too much.
      if (transforms.some(({ apply }) => movesRows.has(apply))) return false;
      if (!this.pointsRight(opened)) return false;
    }
    this.budget -= this.size;
    return this.budget >= 0;
  }

  /** Whether the gradients of a case point where the reported ones do, on the rows of the probe. */
  private pointsRight({ objective, hypothesis }: Case): boolean {
    const alike = referenceObjective(underReduction(objective.contract, innerOf(objective, "weight")));
    const { tolerance } = this.step;
    try {
      return this.probe!.parts.every((part) => {
        const { gradients } = gradientsOfPart(alike, part, hypothesis.transform ?? []);
        return pointsAlong(this.probe!, part.reported, gradients, tolerance.gradient);
      });
    } catch (error) {
      if (error instanceof LosswrightError) return false;
      throw error;
    }
  }

  /** Whether a hypothesis changes nothing on these fields: a mask that leaves every unit, a cast of exact numbers. */
  private isVacuous(opened: Case): boolean {
    const { reduction } = opened.objective;
    const [mine, own] = [this.sumsOf(opened, reduction), this.sumsOf(this.own, reduction)];
    const same = (a: readonly number[] | undefined, b: readonly number[] | undefined) =>
      a === b || (a !== undefined && b !== undefined && a.every((x, i) => Object.is(x, b[i])));
    return (
      same(mine.base.numerators, own.base.numerators) &&
      same(mine.base.along, own.base.along) &&
      same(mine.base.squares, own.base.squares) &&
      mine.sums.every(({ denominator }, i) => denominator === own.sums[i]!.denominator)
    );
  }

  private get size(): number {
    return sizeOfStep(this.step);
  }

  private open(hypothesis: Hypothesis): Case | undefined {
    const { step } = this;
    try {
      const contract = hypothesis.contract ?? (step.searchedObjective.contract as unknown as ContractInput);
      const objective = referenceObjective(contract);
      return { hypothesis, objective, parts: step.searched, bases: new Map() };
    } catch (error) {
      if (!(error instanceof LosswrightError)) throw error;
      return undefined;
    }
  }

  private tryCandidates(opened: Case): void {
    const { declared } = this.step;
    const mine = canonicalText(opened.objective.reduction as unknown as Json);
    const { step } = this;
    // A sample's own shapes are not those of the step.
    const batches = this.isSample
      ? step.parts.map((part) => wholeOf(step, part))
      : opened.parts.map(({ batch }) => batch);
    const counted = declared!.denominator;
    const others = opened === this.own ? {} : { counted };
    for (const { reduction, words } of reductionCandidates(this.isSample ? step.objective : opened.objective, batches, {
      declared: counted,
      ...others,
    })) {
      if (canonicalText(reduction as unknown as Json) !== mine) this.tryAll(opened, reduction, words, "reduction");
    }
  }

  /** Tries a reduction under every aggregation; a constant divides the whole alone. */
  private tryAll(opened: Case, reduction: Reduction, words: string, about: "none" | "reduction"): void {
    const { sums, base } = this.sumsOf(opened, reduction);
    for (const aggregation of aggregations(sums)) {
      if (typeof reduction.divideBy === "object" && aggregation.about !== "none") continue;
      const harmless = about === "reduction" && this.isHarmless(aggregation);
      const aboutParts = harmless ? "none" : aggregation.about;
      this.judge(
        opened,
        { reduction, words, about, aggregation: aggregation.name, aboutParts, sums, base },
        aggregation.apply(sums),
      );
    }
  }

  /** Tries one aggregation for the loss and another for the gradient: a number logged otherwise than it is trained. */
  private tryApart(opened: Case): void {
    const { reduction } = opened.objective;
    const { sums, base } = this.sumsOf(opened, reduction);
    if (this.loss === null || !base.along || this.explained) return;
    const { tolerance } = this.step;
    const each = aggregations(sums).map((aggregation) => ({ aggregation, result: aggregation.apply(sums) }));
    const byLoss = each.find(({ result }) => this.lossError(result.loss) <= tolerance.loss);
    const byGradient = each.find(({ result }) => this.gradientError(result.factors, base)! <= tolerance.gradient);
    if (!byLoss || !byGradient) return;
    const aggregation = `${byLoss.aggregation.name} (loss), ${byGradient.aggregation.name} (gradient)`;
    const wrong = [byGradient, byLoss].find(({ aggregation: { about } }) => about !== "none");
    const both = { loss: byLoss.result.loss, factors: byGradient.result.factors };
    const aboutParts = wrong?.aggregation.about ?? "none";
    this.judge(opened, { reduction, words: declaredWords, about: "none", aggregation, aboutParts, sums, base }, both);
  }

  /** Tries one factor on loss and gradient, or on the gradient alone, solved for. */
  private tryScaled(opened: Case): void {
    const { reduction } = opened.objective;
    const { sums, base } = this.sumsOf(opened, reduction);
    const [right] = aggregations(sums);
    const { loss, factors } = right!.apply(sums);
    const lossFactor = this.loss === null || loss === 0 ? undefined : this.loss / loss;
    const gradientFactor = this.bestScale(factors, base);
    const { tolerance } = this.step;
    const scaled = (by: number) => factors.map((factor) => factor * by);
    // A factor that is no count of the step explains nothing.
    const judgeScale = (transform: Transform, byLoss: number, byGradient: number) => {
      const name = nameOfFactor(this.step, transform.value as number, Math.max(tolerance.loss, 1e-5) * 5);
      if (!name) return;
      const { words, about: kind } = name;
      const about = kind === "none" ? "none" : "reduction";
      const aboutParts = kind === "parts" || kind === "ranks" ? kind : "none";
      const what = { reduction, words, about, aggregation: "whole", aboutParts, sums, base, transform } as const;
      this.judge(opened, what, { loss: loss * byLoss, factors: scaled(byGradient) });
    };
    if (gradientFactor !== undefined && gradientFactor > 0) {
      const apart = lossFactor === undefined ? 0 : relative(lossFactor, gradientFactor);
      // The loss is the sharper measure of a factor on both.
      const both = lossFactor ?? gradientFactor;
      if (apart <= tolerance.gradient) judgeScale({ apply: "scaleLoss", value: both }, both, both);
      else if (relative(lossFactor!, 1) <= tolerance.loss) {
        judgeScale({ apply: "scaleGradient", value: gradientFactor }, 1, gradientFactor);
      }
    } else if (lossFactor !== undefined && lossFactor > 0 && !base.along) {
      judgeScale({ apply: "scaleLoss", value: lossFactor }, lossFactor, lossFactor);
    }
  }

  private judge(
    { hypothesis, objective }: Case,
    what: {
      readonly reduction: Reduction;
      readonly words: string;
      readonly about: "none" | "reduction";
      readonly aggregation: string;
      readonly aboutParts: Aggregation["about"];
      readonly sums: readonly PartSums[];
      readonly base: Base;
      readonly transform?: Transform;
    },
    { loss, factors }: Aggregated,
  ): void {
    const relativeError = hypothesis !== asDeclared && this.isSample ? 0 : this.lossError(loss);
    const gradientError = this.gradientError(factors, what.base);
    if (!Number.isFinite(relativeError)) return;
    const { tolerance } = this.step;
    const { about, aboutParts, transform } = what;
    const own = hypothesis.about;
    const outer = aboutParts === "none" ? about : aboutParts;
    this.found.push({
      contract: referenceObjective(underReduction(objective.contract, what.reduction)).contract,
      aggregation: what.aggregation,
      transform: [...(hypothesis.transform ?? []), ...(transform ? [transform] : [])],
      relativeError,
      gradientError,
      fits: relativeError <= tolerance.loss && (gradientError ?? 0) <= tolerance.gradient,
      about: own === "none" ? outer : own,
      also: own === "none" || outer === "none" ? undefined : outer,
      words: what.words,
      instead: hypothesis.words,
      cost:
        (hypothesis.cost ?? 1) + (about === "none" ? 0 : 1) + (aboutParts === "none" ? 0 : 1) + (transform ? 0.5 : 0),
      factors,
      sums: what.sums,
    });
  }

  private lossError(loss: number): number {
    return this.loss === null ? 0 : relative(loss, this.loss, this.step.leastLoss);
  }

  /** Whether an aggregation gives the declared value on these parts: equal micro-batches may well be averaged. */
  private isHarmless(aggregation: Aggregation): boolean {
    const { tolerance } = this.step;
    const [right] = aggregations(this.declaredSums);
    const [mine, wanted] = [aggregation, right!].map(({ apply }) => apply(this.declaredSums)) as [
      Aggregated,
      Aggregated,
    ];
    const pulls = (part: number) => relative(mine.factors[part]!, wanted.factors[part]!) <= tolerance.gradient;
    return (
      relative(mine.loss, wanted.loss) <= tolerance.loss &&
      this.declaredSums.every(({ denominator }, part) => denominator === 0 || pulls(part))
    );
  }

  private sumsOf(opened: Case, reduction: Reduction): { sums: PartSums[]; base: Base } {
    const base = this.baseOf(opened, reduction);
    const changed = referenceObjective(underReduction(opened.objective.contract, reduction));
    const transforms = opened.hypothesis.transform ?? [];
    const relabeled = transforms.find(({ apply }) => apply === "relabel")?.value as number | undefined;
    const isDeclared =
      canonicalText(reduction as unknown as Json) ===
      canonicalText(this.step.searchedObjective.reduction as unknown as Json);
    const sums = opened.parts.map((part, i) => {
      const { batch } = transformed({ ...part, objective: changed }, transforms);
      const denominator =
        isDeclared && relabeled === undefined && part.denominator !== undefined
          ? part.denominator
          : (part.denominatorUnder?.(reduction, relabeled) ?? changed.denominator(batch).value);
      return { numerator: base.numerators[i]!, denominator, rank: part.rank };
    });
    // A constant divides the whole step once, not each part.
    if (typeof reduction.divideBy !== "object") return { sums, base };
    const { constant } = reduction.divideBy;
    return { sums: sums.map((part, i) => ({ ...part, denominator: i === 0 ? constant : 0 })), base };
  }

  private baseOf(opened: Case, { per, divideBy }: Reduction): Base {
    const { objective } = opened;
    // Only an average inside sequences changes the direction of the gradient; all else is one factor.
    const inner: Reduction =
      per === "sequence"
        ? { per, divideBy: divideBy === "count" ? "count" : "weight", onEmpty: "zero" }
        : { per: unitsAlike(objective), divideBy: "weight", onEmpty: "zero" };
    const key = canonicalText(inner as unknown as Json);
    const known = opened.bases.get(key);
    if (known) return known;
    const { reported } = this.step;
    const changed = referenceObjective(underReduction(objective.contract, inner));
    const made =
      (opened === this.own && this.ownBase(inner)) ||
      opened.parts.map((part) => baseOfPart(changed, part, opened.hypothesis.transform ?? []));
    const base: Base = {
      numerators: made.map(({ numerator }) => numerator),
      along: reported && made.map(({ along }) => along),
      squares: reported && made.map(({ square }) => square),
    };
    opened.bases.set(key, base);
    return base;
  }

  /** The contract's own base from what was declared: its gradients are those of the numerators over its denominator. */
  private ownBase(inner: Reduction) {
    const { declared, reported, searched, searchedObjective: objective, record } = this.step;
    // Pieces of rows are searched as masks over the joined rows, and declared apart.
    if (record.context.splitAxis === "sequence") return undefined;
    const { reduction } = objective;
    const mine = reduction.per === "sequence" ? undefined : innerOf(objective, "weight");
    const same = mine && canonicalText(mine as unknown as Json) === canonicalText(inner as unknown as Json);
    if (!same || !declared || declared.denominator === 0 || searched.length !== declared.gradients.length)
      return undefined;
    if (reported && declared.gradients.some((gradients) => !gradients.isFinite)) return undefined;
    const { denominator } = declared;
    return declared.tallies.map(({ numerator }, i) => {
      if (!reported) return { numerator, along: 0, square: 0 };
      const own = declared.gradients[i]!.like(reported[i]!);
      const [along, square] = [own.dot(reported[i]!), own.dot(own)];
      return { numerator, along: along * denominator, square: square * denominator * denominator };
    });
  }

  /** The factor on the gradient that brings it nearest to what was reported. */
  private bestScale(factors: readonly number[], { along, squares }: Base): number | undefined {
    if (!along || !squares) return undefined;
    let [product, square] = [0, 0];
    for (const [i, factor] of factors.entries()) {
      product += factor * along[i]!;
      square += factor * factor * squares[i]!;
    }
    return square === 0 ? undefined : product / square;
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

/** A part's fields with their whole shapes, where they are a sample. */
function wholeOf({ record }: Unexplained, { batch, context }: AuditedPart): AnyBatch {
  const sampled = context.sampled ?? record.context.sampled;
  return sampled ? wholeBatch(batch, sampled) : batch;
}

/** The average that weighs every unit of an objective alike. */
export function unitsAlike({ definition }: Objective): Reduction["per"] {
  return definition.unit === "position" ? "token" : definition.unit === "element" ? "element" : "sample";
}

/** The reduction that gives numerators: every unit alike, or weighed inside its sequence. */
function innerOf(objective: Objective, divideBy: "weight" | "count"): Reduction {
  return { per: unitsAlike(objective), divideBy, onEmpty: "zero" };
}

/** Transforms that move numbers between rows, so that a few rows say nothing of the whole. */
const movesRows = new Set(["reorder", "reorderLogProbabilities", "reshape", "broadcast", "local"]);

/** Numbers that the passes of a search read at most: a step of 100 MB has room for a few, a small one for all. */
const mostWork = 6e7;

/** The numerator of a part under a hypothesis, and its gradients with respect to the recorded fields. */
function gradientsOfPart(objective: Objective, part: SearchedPart, transforms: readonly Transform[]) {
  const { batch, pull, lossFactor, gradientFactor, rowLoss: name } = transformed({ ...part, objective }, transforms);
  // Over a denominator of 1 value and gradients are those of the numerator.
  const { numerator, gradients } =
    name === undefined
      ? objective.valueAndGradients(batch, { denominator: 1 })
      : namedLoss(objective, batch, name, part.rowsOfParts);
  return { numerator: lossFactor * numerator, gradients: pull(gradients), gradientFactor };
}

function baseOfPart(objective: Objective, part: SearchedPart, transforms: readonly Transform[]) {
  const { reportedGradients: reported, missing = 0 } = part;
  if (!reported && !transforms.some(({ apply }) => apply === "loss")) {
    const { batch, lossFactor } = transformed({ ...part, objective }, transforms);
    return { numerator: lossFactor * objective.tally(batch).numerator + missing, along: 0, square: 0 };
  }
  const { numerator, gradients, gradientFactor } = gradientsOfPart(objective, part, transforms);
  if (!reported) return { numerator: numerator + missing, along: 0, square: 0 };
  const own = new Gradients(gradients).like(reported);
  return {
    numerator: numerator + missing,
    along: gradientFactor * own.dot(reported),
    square: gradientFactor * gradientFactor * own.dot(own),
  };
}
