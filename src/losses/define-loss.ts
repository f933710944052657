import {
  type Contract,
  contractOf,
  inWords,
  type Reduction,
  resolveOptions,
  resolveReduction,
} from "../contract/index.js";
import { checkObject, closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  checkSameContract,
  Denominator,
  type Engine,
  ExactSum,
  type Group,
  type Note,
  type Spread,
  Tally,
} from "../tally/index.js";
import { type Tensor, type Unlabeled, view } from "../tensor/index.js";
import type { AnyBatch, BoundBatch } from "./batch.js";
import { type CheckedCall, checkCall, checkGroup, gradientBuffers, gradientsInPlace, worldNote } from "./call.js";
import { couplesBatch, type LossDefinition } from "./definition.js";
import { describeObjective } from "./describe.js";
import { type Counted, countWeights, type Divisor, divisorOf } from "./divisor.js";
import { nameByForeignName } from "./foreign-names.js";
import { GroupStep, type JoinedBatch } from "./group-step.js";
import {
  checkEngine,
  engineNotes,
  exactSummer,
  type GradientPlan,
  kernelFor,
  type ReadyKernel,
  walkWithKernel,
} from "./kernel-walk.js";
import { LastForm } from "./last-form.js";
import type {
  CallOptions,
  EvaluateOptions,
  Evaluation,
  EvaluationWithGradients,
  GroupCall,
  GroupEvaluateOptions,
  Objective,
  UncertainEvaluation,
} from "./objective.js";
import { type OpenUnits, openUnits } from "./open-units.js";
import { Pass } from "./pass.js";
import { spreadOf } from "./spread-of.js";
import type { Units } from "./units.js";

/** Makes objectives of one loss. */
export interface ObjectiveFactory<Options extends object, Batch extends object, Name extends string> {
  /** Options of the loss and of the reduction, flat in one object, all of them optional. */
  (options?: Partial<Options> & Partial<Reduction>): Objective<Batch, Name>;
  /** The same from the two parts of a contract. */
  from(options: object, reduction: object): Objective<Batch, Name>;
  readonly definition: LossDefinition<Options>;
}

/**
 * Turns the definition of a loss into the factory of its objectives.
 *
 * The definition gives options, fields and one row of mathematics; everything else (checks, masks, weights, ignored
 * labels, shift, class axis, groups, exact sums, denominators, empty batches, output buffers) happens here, once.
 */
export function defineLoss<Options extends object, Batch extends object, Name extends string>(
  definition: LossDefinition<Options>,
): ObjectiveFactory<Options, Batch, Name> {
  const from = (given: object, chosen: object) => {
    const resolved = resolveOptions(definition.name, definition.options, given);
    const options = definition.settle?.(resolved) ?? resolved;
    const reduction = resolveReduction(definition.name, definition.unit, chosen);
    return new DefinedObjective(definition as never, options, reduction) as unknown as Objective<Batch, Name>;
  };
  const known = [...Object.keys(definition.options), "per", "divideBy", "onEmpty"];
  const make = (given: Partial<Options> & Partial<Reduction> = {}) => {
    checkObject(definition.name, "options", given);
    rejectUnknown(definition.name, "option", given, known, (name) =>
      name === "reduction"
        ? 'per and divideBy say it: a "sum" is divideBy: { constant: 1 }, "none" is perUnit(batch), "mean" the default.'
        : nameByForeignName(name, known),
    );
    const { per, divideBy, onEmpty, ...options } = given;
    return from(options, { per, divideBy, onEmpty });
  };
  return Object.assign(make, { from, definition });
}

/** A batch with what its constants decide, and the kernel that computes it, if one does. */
interface Opened extends OpenUnits {
  readonly counted: Counted;
  readonly kernel: ReadyKernel | undefined;
}

/** What one walk finds. */
interface Walked {
  readonly tally: Tally;
  readonly ranBy: Engine;
  readonly notes: readonly Note[];
}

type Gradients = EvaluationWithGradients["gradients"];

const noGroups: ReadonlyMap<string, ExactSum> = /*#__PURE__*/ new Map();

class DefinedObjective implements Objective {
  readonly name: string;
  readonly contract: Contract;
  readonly definition: LossDefinition<object>;
  readonly reduction: Reduction;
  readonly couples: boolean;
  readonly options: object;
  private readonly engine: Engine | undefined;
  private readonly lastForm = new LastForm();

  constructor(definition: LossDefinition<object>, options: object, reduction: Reduction, engine?: Engine) {
    this.name = definition.name;
    this.definition = definition;
    this.options = options;
    this.engine = engine;
    this.reduction = reduction;
    this.couples = couplesBatch(definition, options);
    this.contract = contractOf(definition.name, options, reduction);
  }

  evaluate(
    given: AnyBatch,
    options: GroupEvaluateOptions & { readonly standardError: true },
  ): Promise<UncertainEvaluation>;
  evaluate(given: AnyBatch, options: GroupEvaluateOptions): Promise<Evaluation>;
  evaluate(given: AnyBatch, options: { readonly standardError: true }): UncertainEvaluation;
  evaluate(given: AnyBatch, options?: EvaluateOptions): Evaluation;
  evaluate(
    given: AnyBatch,
    options: EvaluateOptions | GroupEvaluateOptions = {},
  ): Evaluation | UncertainEvaluation | Promise<Evaluation | UncertainEvaluation> {
    const group = checkGroup(this.name, (options as { readonly group?: unknown } | null)?.group);
    if (group) return this.evaluateOver(group, given, options);
    const standardError = wantsStandardError(this.name, options);
    const opened = this.open(given);
    const walked = this.walk(opened);
    const { tally } = walked;
    const evaluation = this.evaluation(walked, tally.numerator, tally.denominator.value);
    return standardError ? withSpread(evaluation, this.spread(opened)) : evaluation;
  }

  valueAndGradients(given: AnyBatch, call: GroupCall): Promise<EvaluationWithGradients>;
  valueAndGradients(given: AnyBatch, call?: CallOptions): EvaluationWithGradients;
  valueAndGradients(
    given: AnyBatch,
    call: CallOptions | GroupCall = {},
  ): EvaluationWithGradients | Promise<EvaluationWithGradients> {
    const group = checkGroup(this.name, (call as GroupCall | null)?.group);
    if (group) return this.differentiateOver(group, given, call as GroupCall);
    const checked = checkCall(this.name, call);
    const opened = this.open(given, checked.engine ?? this.engine);
    const { counted, units } = opened;
    const gradients = this.gradients(opened.batch, checked, !opened.kernel);
    const divisor = divisorOf(this.name, checked.denominator, counted, units.groups?.keys);
    const walked = this.differentiate(opened, gradients, divisor, checked.scale);
    const step = checked.denominator instanceof Denominator ? checked.denominator : walked.tally.denominator;
    return { ...this.evaluation(walked, walked.tally.numeratorOver(step), divisor.value), gradients };
  }

  /** Where a call's gradients go. */
  private gradients(batch: BoundBatch<object>, { inPlace, into }: CheckedCall, isZeroed: boolean): Gradients {
    const { fields } = this.definition;
    return inPlace ? gradientsInPlace(batch, fields) : gradientBuffers(batch, fields, into, isZeroed);
  }

  /** Walks over the units, with their gradients by what divides. */
  private differentiate(opened: Opened, gradients: Gradients, divisor: Divisor, scale: number): Walked {
    if (divisor.value === 0) {
      const walked = this.walk(opened);
      const rest = this.reduction.onEmpty === "nan" ? Number.NaN : 0;
      for (const { data } of Object.values(gradients)) data.fill(rest);
      return walked;
    }
    const { groups } = opened.units;
    const averagesInside = this.reduction.per === "sequence";
    const factor = (weight: number, group: number) => {
      if (!groups) return (weight / divisor.value) * scale;
      const inner = divisor.inner(group);
      // A group without weight is no group: its units pull nowhere.
      if (inner === 0) return 0;
      return (weight / (averagesInside ? inner * divisor.value : divisor.value)) * scale;
    };
    return this.walk(opened, { gradients, factor });
  }

  private async evaluateOver(group: Group, given: AnyBatch, options: EvaluateOptions | GroupEvaluateOptions) {
    const { standardError = false } = options;
    const step = new GroupStep(group, this, { by: "evaluate", standardError });
    // Checked inside the first reduction, so that what is wrong on one rank is told to all.
    const check = () => wantsStandardError(this.name, options);
    const joined = this.couples ? await step.join(given, check) : undefined;
    const { opened, denominator } = await step.open(given, () => {
      check();
      return this.openPart(given, joined, this.engine);
    });
    const walked = await step.walk(denominator, () => this.walk(opened));
    const evaluation = this.evaluation(walked, walked.tally.numerator, denominator.value);
    return standardError ? withSpread(evaluation, await step.addUp(() => this.spread(opened))) : evaluation;
  }

  private async differentiateOver(group: Group, given: AnyBatch, call: GroupCall): Promise<EvaluationWithGradients> {
    const { scale: asked = 1, local: isCut = false } = call;
    const step = new GroupStep(group, this, { by: "valueAndGradients", scale: asked, local: isCut });
    let checked: CheckedCall | undefined;
    const check = () => {
      checked ??= this.checkGroupCall(call);
      return checked;
    };
    let own: Gradients | undefined;
    const joined = this.couples
      ? await step.join(given, (local) => {
          own = this.gradients(local, check(), false);
        })
      : undefined;
    const { opened, denominator } = await step.open(given, () => {
      const part = this.openPart(given, joined, check().engine ?? this.engine);
      own ??= this.gradients(part.batch, check(), !part.kernel);
      return part;
    });
    const { scale, local } = check();
    const gradients = joined ? step.roomFor(joined, opened.batch, own!, opened.kernel !== undefined) : own!;
    const walked = await step.walk(denominator, () => {
      const { counted, units } = opened;
      const divisor = divisorOf(this.name, denominator, counted, units.groups?.keys);
      return this.differentiate(opened, gradients, divisor, scale);
    });
    if (joined) await step.giveBack(joined, gradients, own!, local);
    const evaluation = this.evaluation(walked, walked.tally.numerator, denominator.value);
    return { ...evaluation, notes: [...evaluation.notes, ...groupNotes(check(), group)], gradients: own! };
  }

  private checkGroupCall(call: GroupCall): CheckedCall {
    const checked = checkCall(this.name, call);
    if (!checked.local || this.definition.gathers) return checked;
    throw new LosswrightError({
      code: "unsupported",
      where: this.name,
      field: "local",
      found: "local: true for an objective that gathers no rows from other ranks",
      expected: "infoNce, clip, sigLip or supervisedContrastive",
      fix: "leave local out.",
    });
  }

  /** This rank's batch, or the rows of all ranks with this one's units. */
  private openPart(given: AnyBatch, joined: JoinedBatch | undefined, engine: Engine | undefined): Opened {
    return joined ? this.openWith(joined.joining.batch(joined.parts), engine) : this.open(given, engine);
  }

  /** What each unit adds to numerator and denominator. */
  private spread(opened: Opened): Spread {
    const { units, counted } = opened;
    return spreadOf(this.contract, this.couples, units, counted, this.lossesOf(opened));
  }

  perUnit(given: AnyBatch): Tensor<Unlabeled, "float64"> {
    const opened = this.open(given);
    return view(this.lossesOf(opened), opened.batch.unitShape, "unlabeled", "float64");
  }

  /** The loss of every unit that counts, whatever it weighs. */
  private lossesOf({ batch, units, kernel }: Opened): Float64Array {
    if (kernel) {
      const weights = countedUnits(units);
      return walkWithKernel(kernel, { definition: this.definition, batch, units, weights, wantsLosses: true }).losses!;
    }
    const out = new Float64Array(units.count);
    const pass = new Pass(this.definition, batch, units, (unit) => units.counts(unit));
    for (let unit = 0; unit < units.count; unit++) {
      if (!units.counts(unit)) continue;
      pass.compute(unit);
      out[unit] = pass.cell[0]!;
    }
    return out;
  }

  tally(given: AnyBatch): Tally {
    return this.walk(this.open(given)).tally;
  }

  denominator(given: AnyBatch): Denominator {
    const { batch, units } = openUnits(this.definition, this.options, this.reduction, given, this.lastForm, true);
    // An engine that cannot compute the losses can still be asked what divides them.
    const kernel = batch.isPartial ? undefined : kernelFor(this.definition, batch, undefined, this.lastForm);
    return countWeights(units, this.contract, kernel && exactSummer(kernel)).denominator;
  }

  value(tally: Tally): number {
    if (!(tally instanceof Tally)) {
      throw new LosswrightError({
        code: "argument",
        where: this.name,
        field: "tally",
        found: inWords(tally),
        expected: "a tally",
        fix: "evaluation.tally holds one; JSON is read with Tally.fromJSON.",
      });
    }
    checkSameContract(
      this.name,
      this.contract,
      tally.contract,
      "read it with objectiveFrom(tally.contract), or count with this objective.",
    );
    return this.divide(tally.numerator, tally.denominator.value);
  }

  withEngine(engine: Engine): Objective {
    checkEngine(this.name, engine);
    return new DefinedObjective(this.definition, this.options, this.reduction, engine);
  }

  describe(): string {
    return describeObjective(this.definition, this.options, this.reduction);
  }

  private open(given: AnyBatch, engine = this.engine): Opened {
    return this.openWith(given, engine, this.lastForm);
  }

  private openWith(given: AnyBatch, engine: Engine | undefined, lastForm?: LastForm): Opened {
    const { batch, units } = openUnits(this.definition, this.options, this.reduction, given, lastForm);
    const kernel = kernelFor(this.definition, batch, engine, lastForm);
    return { batch, units, kernel, counted: countWeights(units, this.contract, kernel && exactSummer(kernel)) };
  }

  private evaluation({ tally, ranBy, notes }: Walked, numerator: number, denominator: number): Evaluation {
    const value = this.divide(numerator, denominator);
    return { value, numerator, denominator, tally, ranBy, notes };
  }

  /** The one division. */
  private divide(numerator: number, denominator: number): number {
    if (denominator !== 0) return numerator / denominator;
    const { onEmpty } = this.reduction;
    if (onEmpty !== "throw") return onEmpty === "nan" ? Number.NaN : 0;
    throw new LosswrightError({
      code: "empty",
      where: this.name,
      found: "nothing that counts: the denominator is 0",
      expected: `a unit with a weight above 0, since the contract is: ${this.describe()}`,
      fix: "check mask, ignored labels and weights of this batch.",
    });
  }

  /** One walk over the live units: their tally and, with a plan, their gradients. */
  private walk(opened: Opened, plan?: GradientPlan): Walked {
    const { kernel } = opened;
    const { sums, notes } = kernel ? this.sumsByKernel(kernel, opened, plan) : this.sumsByReference(opened, plan);
    const ranBy = kernel ? "wasm" : "reference";
    const tally = new Tally({
      contract: this.contract,
      engines: [ranBy],
      unitAxes: opened.batch.unitShape.length,
      batches: 1,
      couples: this.couples,
      numerator: sums.numerator,
      denominator: opened.counted.denominator,
      openNumerators: sums.openNumerators,
    });
    const said = engineNotes(this.definition, kernel);
    return { tally, ranBy, notes: said.length ? [...notes, ...said] : notes };
  }

  private sumsByReference({ batch, units, counted }: Opened, plan?: GradientPlan) {
    const isLive = (unit: number) => units.weigh(unit) && units.numeratorWeight > 0;
    const pass = new Pass(this.definition, batch, units, isLive, plan?.gradients);
    const sums = this.sum(units, counted, (unit, group, sum) => {
      if (!isLive(unit)) return;
      const { numeratorWeight: weight, lossDivisor } = units;
      const { cell } = pass;
      pass.compute(unit);
      cell[0] = weight * (lossDivisor === 1 ? cell[0]! : cell[0]! / lossDivisor);
      sum.addCell(cell);
      if (!plan) return;
      cell[0] = plan.factor(weight, group) / lossDivisor;
      // A factor of 0 leaves no trace, not even of a NaN.
      if (cell[0] !== 0) pass.spread(unit);
    });
    if (plan) pass.finish();
    return { sums, notes: pass.notes };
  }

  private sumsByKernel(kernel: ReadyKernel, { batch, units, counted }: Opened, plan?: GradientPlan) {
    const { definition } = this;
    const wantsLosses = units.groups !== null || units.hasLengths;
    const { numerator, losses, notes } = walkWithKernel(kernel, {
      definition,
      batch,
      units,
      gradients: plan,
      wantsLosses,
    });
    if (!losses) return { sums: { numerator, openNumerators: noGroups }, notes };
    const sums = this.sum(units, counted, (unit, _, sum) => {
      if (!units.weigh(unit) || units.numeratorWeight === 0) return;
      sum.add(units.numeratorWeight * (losses[unit]! / units.lossDivisor));
    });
    return { sums, notes };
  }

  /** Adds all units up, group by group where there are groups. */
  private sum(units: Units, counted: Counted, addUnit: (unit: number, group: number, sum: ExactSum) => void) {
    const { groups } = units;
    const numerator = new ExactSum();
    const openNumerators = new Map<string, ExactSum>();
    if (!groups) for (let unit = 0; unit < units.count; unit++) addUnit(unit, 0, numerator);
    let inner = new ExactSum();
    for (let group = 0; group < (groups?.count ?? 0); group++) {
      const { order, keys, start } = groups!;
      const weight = counted.inner[group]!;
      if (weight === 0 && !keys) continue;
      const end = start(group + 1);
      for (let place = start(group); place < end; place++) addUnit(order ? order[place]! : place, group, inner);
      if (keys) {
        openNumerators.set(keys[group]!, inner);
        inner = new ExactSum();
      } else {
        if (this.reduction.per === "sequence") numerator.add(inner.value / weight);
        else numerator.merge(inner);
        inner.clear();
      }
    }
    return { numerator, openNumerators };
  }
}

/** @throws `argument`, `unknown`, `option` for anything but `{ standardError, group }` */
function wantsStandardError(where: string, options: EvaluateOptions | GroupEvaluateOptions): boolean {
  const known = ["standardError", "group"];
  checkObject(where, "options of evaluate", options);
  rejectUnknown(where, "option of evaluate", options, known, (name) =>
    closest(name, known)
      ? undefined
      : "fields go into one object, { logits, labels }; call options go to valueAndGradients.",
  );
  const { standardError = false } = options;
  if (typeof standardError === "boolean") return standardError;
  throw new LosswrightError({
    code: "option",
    where,
    field: "standardError",
    found: inWords(standardError),
    expected: "true or false",
  });
}

function withSpread(evaluation: Evaluation, spread: Spread): UncertainEvaluation {
  const { standardError, effectiveSampleSize } = spread;
  return { ...evaluation, standardError, effectiveSampleSize, spread };
}

/** What must be said of gradients over a group that are not those of the value. */
function groupNotes({ isWorldScaled, local }: CheckedCall, { size }: Group): readonly Note[] {
  const said: Note[] = [];
  if (isWorldScaled) said.push(worldNote(size));
  if (local) {
    const message =
      "gathered rows get the gradient of their own rank's units alone: it is not the gradient of the value";
    said.push({ code: "truncated-gradient", message });
  }
  return said;
}

/** 1 for every unit that counts, whatever it weighs, 0 for the others; null where all count. */
function countedUnits(units: Units): Float64Array | null {
  if (units.weighsAlike && units.numeratorWeights === null) return null;
  const counted = new Float64Array(units.count);
  for (let unit = 0; unit < units.count; unit++) if (units.counts(unit)) counted[unit] = 1;
  return counted;
}
