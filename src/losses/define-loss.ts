import {
  type Contract,
  contractOf,
  inWords,
  type Reduction,
  resolveOptions,
  resolveReduction,
} from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import { checkSameContract, Denominator, ExactSum, type Note, Tally } from "../tally/index.js";
import { type Tensor, type Unlabeled, view } from "../tensor/index.js";
import type { AnyBatch } from "./batch.js";
import { checkCall, gradientBuffers } from "./call.js";
import { couplesBatch, type LossDefinition } from "./definition.js";
import { describeObjective } from "./describe.js";
import { type Counted, countWeights, divisorOf } from "./divisor.js";
import { nameByForeignName } from "./foreign-names.js";
import type { CallOptions, Evaluation, EvaluationWithGradients, Objective } from "./objective.js";
import { type OpenUnits, openUnits } from "./open-units.js";
import { Pass } from "./pass.js";

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

/** A batch with what its constants decide. */
interface Opened extends OpenUnits {
  readonly counted: Counted;
}

/** What the gradients of one walk are multiplied by, and where they go. */
interface GradientPlan {
  factor(numeratorWeight: number, group: number): number;
  readonly gradients: Readonly<Record<string, Tensor<Unlabeled, "float32" | "float64">>>;
}

class DefinedObjective implements Objective {
  readonly name: string;
  readonly contract: Contract;
  readonly definition: LossDefinition<object>;
  readonly reduction: Reduction;
  readonly couples: boolean;
  readonly options: object;

  constructor(definition: LossDefinition<object>, options: object, reduction: Reduction) {
    this.name = definition.name;
    this.definition = definition;
    this.options = options;
    this.reduction = reduction;
    this.couples = couplesBatch(definition, options);
    this.contract = contractOf(definition.name, options, reduction);
  }

  evaluate(given: AnyBatch, ...rest: readonly unknown[]): Evaluation {
    if (rest.length) {
      throw new LosswrightError({
        code: "argument",
        where: this.name,
        found: "a second argument to evaluate",
        expected: "a batch alone",
        fix: "fields go into one object, { logits, labels }; call options go to valueAndGradients.",
      });
    }
    const { tally, notes } = this.walk(this.open(given));
    return this.evaluation(tally, notes, tally.numerator, tally.denominator.value);
  }

  valueAndGradients(given: AnyBatch, call: CallOptions = {}): EvaluationWithGradients {
    const scale = checkCall(this.name, call);
    const opened = this.open(given);
    const { groups } = opened.units;
    const divisor = divisorOf(this.name, call.denominator, opened.counted, groups?.keys);
    const gradients = gradientBuffers(opened.batch, this.definition.fields, call.into?.gradients);
    const averagesInside = this.reduction.per === "sequence";
    const factor = (weight: number, group: number) => {
      if (!groups) return (weight / divisor.value) * scale;
      const inner = divisor.inner(group);
      // A group without weight is no group: its units pull nowhere.
      if (inner === 0) return 0;
      return (weight / (averagesInside ? inner * divisor.value : divisor.value)) * scale;
    };
    const { tally, notes } = this.walk(opened, divisor.value === 0 ? undefined : { gradients, factor });
    if (divisor.value === 0 && this.reduction.onEmpty === "nan") {
      for (const { data } of Object.values(gradients)) data.fill(Number.NaN);
    }
    const step = call.denominator instanceof Denominator ? call.denominator : tally.denominator;
    return { ...this.evaluation(tally, notes, tally.numeratorOver(step), divisor.value), gradients };
  }

  perUnit(given: AnyBatch): Tensor<Unlabeled, "float64"> {
    const { batch, units } = this.open(given);
    const out = new Float64Array(units.count);
    const pass = new Pass(this.definition, batch, units, (unit) => units.counts(unit));
    for (let unit = 0; unit < units.count; unit++) {
      if (!units.counts(unit)) continue;
      pass.compute(unit);
      out[unit] = pass.cell[0]!;
    }
    return view(out, batch.unitShape, "unlabeled", "float64");
  }

  tally(given: AnyBatch): Tally {
    return this.walk(this.open(given)).tally;
  }

  denominator(given: AnyBatch): Denominator {
    return this.open(given).counted.denominator;
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

  describe(): string {
    return describeObjective(this.definition, this.options, this.reduction);
  }

  private open(given: AnyBatch): Opened {
    const { batch, units } = openUnits(this.definition, this.options, this.reduction, given);
    return { batch, units, counted: countWeights(units, this.contract) };
  }

  private evaluation(tally: Tally, notes: readonly Note[], numerator: number, denominator: number): Evaluation {
    const value = this.divide(numerator, denominator);
    return { value, numerator, denominator, tally, ranBy: "reference", notes };
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
  private walk({ batch, units, counted }: Opened, plan?: GradientPlan): { tally: Tally; notes: readonly Note[] } {
    const isLive = (unit: number) => units.weigh(unit) && units.numeratorWeight > 0;
    const pass = new Pass(this.definition, batch, units, isLive, plan?.gradients);
    const addUnit = (unit: number, group: number, sum: ExactSum) => {
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
    };
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
    if (plan) pass.finish();
    const tally = new Tally({
      contract: this.contract,
      engines: ["reference"],
      unitAxes: batch.unitShape.length,
      batches: 1,
      couples: this.couples,
      numerator,
      denominator: counted.denominator,
      openNumerators,
    });
    return { tally, notes: pass.notes };
  }
}
