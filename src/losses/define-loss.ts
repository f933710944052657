import {
  canonicalText,
  constantOf,
  contractOf,
  inWords,
  type Json,
  type Reduction,
  resolveOptions,
  resolveReduction,
} from "../contract/index.js";
import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { Denominator, ExactSum, type Note, Tally } from "../tally/index.js";
import { dataOf, formatShape, isTensor, placeOf, sameShape, type Tensor, view } from "../tensor/index.js";
import { type AnyBatch, type BoundBatch, bindBatch, rowLayout } from "./batch.js";
import type { FieldSpec, LossDefinition, RowMath } from "./definition.js";
import { describeObjective } from "./describe.js";
import type { CallOptions, Evaluation, EvaluationWithGradients, Objective } from "./objective.js";
import { Units } from "./units.js";

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
    return new DefinedObjective<Options>(definition, options, reduction) as unknown as Objective<Batch, Name>;
  };
  const make = ({ per, divideBy, onEmpty, ...options }: Partial<Options> & Partial<Reduction> = {}) =>
    from(options, { per, divideBy, onEmpty });
  return Object.assign(make, { from, definition });
}

/** What one pass over a batch found. */
interface Pass {
  readonly tally: Tally;
  readonly notes: Note[];
  readonly gradients: Record<string, Tensor>;
}

/** What gradients of one pass are multiplied by and written to; absent when only values are asked. */
interface GradientPlan {
  /** The factor of a unit of this group. */
  factor(numeratorWeight: number, group: number): number;
  readonly buffers: Readonly<Record<string, Tensor>>;
  /** Fills every gradient with NaN, or leaves zeros, without reading a unit. */
  readonly empty: "nan" | "zero" | undefined;
}

/** A field read by unit, with its scratch row. */
interface LoadedRow {
  readonly name: string;
  readonly data: Float64Array | Float32Array;
  readonly atSource: boolean;
  readonly length: number;
  readonly stride: number;
  readonly base: (unit: number) => number;
  readonly row: Float64Array;
}

class DefinedObjective<Options extends object> implements Objective {
  readonly name: string;
  readonly contract;
  readonly definition: LossDefinition<object>;
  readonly reduction: Reduction;
  private readonly loss: LossDefinition<Options>;
  private readonly options: Options;

  constructor(definition: LossDefinition<Options>, options: Options, reduction: Reduction) {
    this.name = definition.name;
    this.loss = definition;
    this.definition = definition as unknown as LossDefinition<object>;
    this.options = options;
    this.reduction = reduction;
    this.contract = contractOf(definition.name, options, reduction);
  }

  evaluate(given: AnyBatch): Evaluation {
    const { batch, units } = this.open(given);
    const { tally, notes } = this.run(batch, units);
    return this.evaluation(tally, notes, tally.numerator, tally.denominator.value);
  }

  valueAndGradients(given: AnyBatch, call: CallOptions = {}): EvaluationWithGradients {
    const scale = this.checkCall(call);
    const { batch, units } = this.open(given);
    const own = this.count(units);
    const divisor = this.divisorFrom(call.denominator, own, units);
    const empty = divisor.value === 0 ? this.reduction.onEmpty : undefined;
    if (empty === "throw") throw this.emptyError();
    const { per } = this.reduction;
    const { groups } = units;
    const pass = this.run(batch, units, {
      buffers: this.buffers(batch, call),
      empty,
      factor: (weight, group) => {
        if (groups && per === "sequence") return (weight / (divisor.inner(group) * divisor.value)) * scale;
        return (weight / divisor.value) * scale;
      },
    });
    const numerator = call.denominator === undefined ? pass.tally.numerator : this.closed(pass.tally, divisor, units);
    return { ...this.evaluation(pass.tally, pass.notes, numerator, divisor.value), gradients: pass.gradients };
  }

  perUnit(given: AnyBatch): Tensor {
    const { batch, units } = this.open(given);
    const out = new Float64Array(units.count);
    const { load, math } = this.prepare(batch, units, false, [], (unit) => units.counts(unit));
    for (let unit = 0; unit < units.count; unit++) {
      if (!units.counts(unit)) continue;
      load(unit);
      out[unit] = math.loss(unit);
    }
    return view(out, batch.unitShape, "unlabeled", "float64");
  }

  tally(given: AnyBatch): Tally {
    const { batch, units } = this.open(given);
    return this.run(batch, units).tally;
  }

  denominator(given: AnyBatch): Denominator {
    return this.count(this.open(given).units).denominator;
  }

  value(tally: Tally): number {
    const mine = canonicalText(this.contract as unknown as Json);
    const theirs = canonicalText(tally.contract as unknown as Json);
    if (mine !== theirs) {
      throw new LosswrightError({
        code: "merge",
        where: this.name,
        field: "contract",
        found: `a tally of ${theirs}`,
        expected: mine,
        fix: "read it with objectiveFrom(tally.contract).",
      });
    }
    return this.divide(tally.numerator, tally.denominator.value);
  }

  describe(): string {
    return describeObjective(this.loss, this.options, this.reduction);
  }

  private open(given: AnyBatch): { batch: BoundBatch<Options>; units: Units } {
    const batch = bindBatch(this.loss, this.options, given);
    const rules = this.loss.units?.(batch) ?? {};
    const shift = this.loss.alignment?.(this.options).labelShift ?? 0;
    return { batch, units: new Units(batch, rules, this.reduction, shift) };
  }

  private evaluation(tally: Tally, notes: readonly Note[], numerator: number, denominator: number): Evaluation {
    const value = this.divide(numerator, denominator);
    return { value, numerator, denominator, tally, ranBy: "reference", notes };
  }

  private divide(numerator: number, denominator: number): number {
    if (denominator !== 0) return numerator / denominator;
    if (this.reduction.onEmpty === "throw") throw this.emptyError();
    return this.reduction.onEmpty === "nan" ? Number.NaN : 0;
  }

  private emptyError(): LosswrightError {
    return new LosswrightError({
      code: "empty",
      where: this.name,
      found: "a batch without a unit that counts: its denominator is 0",
      expected: 'at least one unit with a weight above 0, since the contract says onEmpty: "throw"',
      fix: "check mask, ignored labels and weights of this batch.",
    });
  }

  /** Weight sums of the whole batch and of its groups, from constants alone. */
  private count(units: Units): { denominator: Denominator; inner: Float64Array | undefined } {
    const constant = constantOf(this.reduction);
    const { groups } = units;
    if (!groups) {
      const counted = new ExactSum();
      addWeights(counted, units, 0, units.count, null);
      return { denominator: new Denominator(counted, constant), inner: undefined };
    }
    const inner = new Float64Array(groups.count);
    const open = new Map<string, ExactSum>();
    let sum = new ExactSum();
    let closed = 0;
    for (let group = 0; group < groups.count; group++) {
      addWeights(sum, units, groups.start(group), groups.start(group + 1), groups.order);
      inner[group] = sum.value;
      if (groups.keys) {
        open.set(groups.keys[group]!, sum);
        sum = new ExactSum();
      } else {
        if (inner[group] !== 0) closed++;
        sum.clear();
      }
    }
    const counted = new ExactSum();
    counted.add(closed);
    return { denominator: new Denominator(counted, constant, open), inner };
  }

  /** What divides in this call: the caller's denominator or the batch's own. */
  private divisorFrom(
    given: number | Denominator | undefined,
    own: { denominator: Denominator; inner: Float64Array | undefined },
    units: Units,
  ): Divisor {
    const keys = units.groups?.keys;
    const mine = (group: number) => own.inner![group]!;
    if (given === undefined) return { value: own.denominator.value, inner: mine };
    const wrong = (found: string, expected: string, fix?: string) =>
      new LosswrightError({
        code: "denominator",
        where: this.name,
        field: "denominator",
        found,
        expected,
        ...(fix && { fix }),
      });
    if (typeof given === "number") {
      if (keys) {
        throw wrong(
          "a plain number beside groupKeys",
          "a denominator object, which carries the inner sum of every group",
          "merge objective.denominator(part) over the parts and pass the result.",
        );
      }
      if (!(given >= 0 && given < Number.POSITIVE_INFINITY)) throw wrong(String(given), "a finite number, at least 0");
      return { value: given, inner: mine };
    }
    if (!(given instanceof Denominator)) throw wrong(inWords(given), "a number or a denominator object");
    if (!keys) return { value: given.value, inner: mine };
    const weights = keys.map((key) => {
      const weight = given.open.get(key);
      if (!weight) throw wrong(`no group ${key}`, "every group of this batch", "merge this batch's denominator too.");
      return weight.value;
    });
    return { value: given.value, inner: (group) => weights[group]! };
  }

  /** The local numerator with the quotients of keyed groups formed by the step's inner sums. */
  private closed(tally: Tally, divisor: Divisor, units: Units): number {
    const keys = units.groups?.keys;
    if (!keys || this.reduction.per !== "sequence") return tally.numerator;
    const sum = new ExactSum();
    for (const [group, key] of keys.entries()) {
      const weight = divisor.inner(group);
      if (weight !== 0) sum.add(tally.innerNumerator(key)! / weight);
    }
    return sum.value;
  }

  /** One pass over the live units: the tally and, with a plan, the gradients. */
  private run(batch: BoundBatch<Options>, units: Units, plan?: GradientPlan): Pass {
    const notes: Note[] = [];
    const { groups } = units;
    const own = this.count(units);
    const numerator = new ExactSum();
    const openNumerators = new Map<string, ExactSum>();
    const live = (unit: number) => units.weigh(unit) && units.numeratorWeight > 0;
    const work = this.prepare(batch, units, plan !== undefined && !plan.empty, notes, live, plan);
    const addUnit = (unit: number, group: number, sum: ExactSum) => {
      if (!live(unit)) return;
      const weight = units.numeratorWeight;
      work.load(unit);
      const loss = work.math.loss(unit);
      if (!Number.isFinite(loss)) work.explain(unit, loss);
      sum.add(weight * loss);
      work.spread?.(unit, plan!.factor(weight, group));
    };
    if (groups) {
      const { order } = groups;
      let inner = new ExactSum();
      for (let group = 0; group < groups.count; group++) {
        const end = groups.start(group + 1);
        for (let place = groups.start(group); place < end; place++)
          addUnit(order ? order[place]! : place, group, inner);
        if (groups.keys) {
          openNumerators.set(groups.keys[group]!, inner);
          inner = new ExactSum();
          continue;
        }
        if (own.inner![group] === 0) {
          // No unit: nothing to divide by, and nothing to add.
        } else if (this.reduction.per === "sequence") numerator.add(inner.value / own.inner![group]!);
        else numerator.merge(inner);
        inner.clear();
      }
    } else {
      for (let unit = 0; unit < units.count; unit++) addUnit(unit, 0, numerator);
    }
    const tally = new Tally({
      contract: this.contract,
      engines: ["reference"],
      unitAxes: batch.unitShape.length,
      batches: 1,
      couples: this.loss.couples ?? false,
      numerator,
      denominator: own.denominator,
      openNumerators,
    });
    return { tally, notes, gradients: work.finish(plan) };
  }

  /** Scratch rows, the loss's own mathematics, and the way gradients are written; made once a call. */
  private prepare(
    batch: BoundBatch<Options>,
    units: Units,
    withGradients: boolean,
    notes: Note[],
    isLive: (unit: number) => boolean,
    plan?: GradientPlan,
  ) {
    const { loss, options } = this;
    const classAxis = loss.alignment?.(options).classAxis ?? -1;
    const loaded: LoadedRow[] = [];
    const rows: Record<string, Float64Array> = {};
    const own: Record<string, Float64Array> = {};
    const sums: Record<string, Float64Array> = {};
    for (const [name, spec] of Object.entries(loss.fields)) {
      const given = batch.tensors.get(name);
      if (spec.holds === "reals" && spec.read !== "whole" && given) {
        const layout = rowLayout(spec, given.shape, classAxis);
        const row = new Float64Array(layout.length);
        rows[name] = row;
        loaded.push({ name, data: batch.reals(name), atSource: spec.read === "source", row, ...layout });
      }
      if (!withGradients || (!given && !spec.scalarOption)) continue;
      if (spec.gradient === "row") own[name] = new Float64Array(rows[name]!.length);
      if (spec.gradient === "shared") sums[name] = new Float64Array(given?.data.length ?? 1);
    }
    const said = new Map<string, Note & { count: number }>();
    const note = (code: string, unit: number, message: string, field?: string) => {
      const known = said.get(`${code} ${field}`);
      if (known) {
        (known as { count: number }).count++;
        return;
      }
      const place = placeOf(unit, batch.unitShape);
      const entry = { code, message: `${message} (first at unit ${formatShape(place)})`, count: 1, unit: place };
      said.set(`${code} ${field}`, field === undefined ? entry : { ...entry, field });
    };
    const math: RowMath = loss.open(batch, { rows, own, sums, isLive, note });
    const load = (unit: number) => {
      for (const { data, row, stride, base, atSource } of loaded) {
        const start = base(atSource ? units.source(unit) : unit);
        for (let k = 0; k < row.length; k++) row[k] = data[start + k * stride]!;
      }
    };
    const writers = withGradients
      ? loaded
          .filter(({ name }) => own[name])
          .map(({ name, stride, base, atSource }) => ({
            gradient: own[name]!,
            out: plan!.buffers[name]!.data as Float64Array | Float32Array,
            stride,
            base,
            atSource,
          }))
      : [];
    const spread = (unit: number, factor: number) => {
      math.gradient?.(unit);
      for (const { gradient, out, stride, base, atSource } of writers) {
        const start = base(atSource ? units.source(unit) : unit);
        for (let k = 0; k < gradient.length; k++) out[start + k * stride] = gradient[k]! * factor;
      }
      math.addShared?.(unit, factor);
    };
    return {
      math,
      load,
      ...(withGradients && { spread }),
      /** Says why a loss is not finite: the input that is not, or the probability of 0 at a label. */
      explain(unit: number, value: number) {
        for (const { name, row } of loaded) {
          const bad = row.findIndex((entry) => !(entry < Number.POSITIVE_INFINITY));
          if (bad < 0) continue;
          note("non-finite-input", unit, `${name} holds ${row[bad]} at entry ${bad} of a unit that counts`, name);
          return;
        }
        note("non-finite-loss", unit, `a unit that counts has the loss ${value}`);
      },
      finish(done: GradientPlan | undefined): Record<string, Tensor> {
        if (withGradients) {
          math.finish?.();
          for (const [name, sum] of Object.entries(sums)) done!.buffers[name]!.data.set(sum as never);
        } else if (done?.empty === "nan") {
          for (const buffer of Object.values(done.buffers)) (buffer.data as Float64Array).fill(Number.NaN);
        }
        notes.push(...said.values());
        return { ...done?.buffers };
      },
    };
  }

  /** Zeroed gradient tensors, the caller's where given. */
  private buffers(batch: BoundBatch<Options>, call: CallOptions): Record<string, Tensor> {
    const given = call.into?.gradients ?? {};
    const names = this.differentiable(batch);
    rejectUnknown(this.name, "gradient", given, names);
    const buffers: Record<string, Tensor> = {};
    for (const name of names) {
      const field = batch.tensors.get(name);
      const dtype = field?.dtype ?? "float64";
      const shape = field?.shape ?? [];
      const out = given[name];
      if (out === undefined) {
        buffers[name] = view(dataOf(dtype, field?.data.length ?? 1), shape, "unlabeled", dtype);
        continue;
      }
      const fits = isTensor(out) && out.dtype === dtype && sameShape(out.shape, shape);
      const shared = fits && [...batch.tensors.values()].find((tensor) => overlaps(tensor, out));
      if (!fits || shared) {
        throw new LosswrightError({
          code: "argument",
          where: this.name,
          field: `into.gradients.${name}`,
          found: shared
            ? "memory that an input also lies in"
            : isTensor(out)
              ? `${out.dtype} ${formatShape(out.shape)}`
              : inWords(out),
          expected: `a ${dtype} tensor ${formatShape(shape)} of its own`,
        });
      }
      (out.data as Float64Array).fill(0);
      buffers[name] = out;
    }
    return buffers;
  }

  private differentiable(batch: BoundBatch<Options>): string[] {
    const isGiven = ([name, spec]: [string, FieldSpec]) => batch.has(name) || spec.scalarOption;
    return Object.entries(this.loss.fields)
      .filter((entry) => entry[1].gradient !== "none" && isGiven(entry))
      .map(([name]) => name);
  }

  private checkCall(call: CallOptions): number {
    const known = ["denominator", "scale", "into", "group", "engine"];
    rejectUnknown(this.name, "call option", call, known);
    rejectUnknown(this.name, "key of into", call.into ?? {}, ["gradients"]);
    const { group, engine = "reference", scale = 1 } = call as CallOptions & { group?: unknown; engine?: string };
    const wrong = (code: "unsupported" | "option", field: string, found: string, expected: string, fix?: string) =>
      new LosswrightError({ code, where: this.name, field, found, expected, ...(fix && { fix }) });
    if (group !== undefined) {
      throw wrong(
        "unsupported",
        "group",
        "a group",
        "a call without one: groups are not part of this version",
        "merge objective.denominator(part) over the parts yourself and pass it as denominator.",
      );
    }
    if (engine !== "reference") {
      throw wrong(
        engine === "wasm" ? "unsupported" : "option",
        "engine",
        inWords(engine),
        '"reference", the one engine of this version',
      );
    }
    if (typeof scale !== "number" || !Number.isFinite(scale)) {
      throw wrong("option", "scale", inWords(scale), "a finite number");
    }
    return scale;
  }
}

interface Divisor {
  readonly value: number;
  /** Weight inside a group, over the whole step. */
  inner(group: number): number;
}

/** Adds the denominator weights of some units; weights of 1 are counted as an integer. */
function addWeights(sum: ExactSum, units: Units, from: number, to: number, order: Int32Array | null): void {
  let ones = 0;
  for (let place = from; place < to; place++) {
    if (!units.weigh(order ? order[place]! : place)) continue;
    const weight = units.denominatorWeight;
    if (weight === 1) ones++;
    else sum.add(weight);
  }
  sum.add(ones);
}

function overlaps(left: Tensor, right: Tensor): boolean {
  const [a, b] = [left.data, right.data];
  return (
    a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
  );
}
