import { type Contract, canonicalText, inWords, type Json } from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  type Denominator,
  type Engine,
  ExactSum,
  type Group,
  type MergeOptions,
  type Note,
  Tally,
  type TallyJson,
} from "../tally/index.js";
import type { Tensor } from "../tensor/index.js";
import type { AnyBatch } from "./batch.js";
import { checkCall, checkGroup, worldNote } from "./call.js";
import { together } from "./consensus.js";
import type { CallOptions, Evaluation, EvaluationWithGradients, GroupCall, Objective } from "./objective.js";

/** A part of a weighted sum: an objective and the finite factor of its value. */
export interface WeightedPart<O extends PartObjective = PartObjective> {
  readonly objective: O;
  readonly weight: number;
}

/** Any objective, whatever its batch; a part's own type is kept where it is known. */
// biome-ignore lint/suspicious/noExplicitAny: a batch type stands where only its own objective reads it
type PartObjective = Objective<any, any>;

/** Parts by name. */
export type WeightedParts = Readonly<Record<string, WeightedPart>>;
type BatchOf<O> = O extends Objective<infer Batch, string> ? Batch : never;

/** One batch a part, by name. */
export type WeightedBatch<P extends WeightedParts> = { readonly [Name in keyof P]: BatchOf<P[Name]["objective"]> };

/** What of each part's batch decides on its denominator; fields with a gradient may be left out. */
export type WeightedConstants<P extends WeightedParts> = {
  readonly [Name in keyof P]: Partial<BatchOf<P[Name]["objective"]>>;
};

/** The contract of a weighted sum: those of its parts, with their weights. */
export interface WeightedSumContract {
  readonly objective: "weightedSum";
  readonly parts: { readonly [name: string]: { readonly contract: Contract; readonly weight: number } };
  readonly version: number;
}

/** The value of a weighted sum, and everything each part was made of. */
export interface WeightedEvaluation<Name extends string> {
  /** Σ weight · value of the part, the exact sum of the rounded products, rounded once. */
  readonly value: number;
  /** Each part's own evaluation, to be logged apart. */
  readonly parts: Readonly<Record<Name, Evaluation>>;
  readonly tally: WeightedTally;
  readonly notes: readonly Note[];
}

export interface WeightedEvaluationWithGradients<Name extends string> extends WeightedEvaluation<Name> {
  readonly parts: Readonly<Record<Name, EvaluationWithGradients>>;
  /** By part and field, of the weighted sum: weight · d value of the part. A tensor read by two parts has one in each. */
  readonly gradients: Readonly<Record<Name, Readonly<Record<string, Tensor>>>>;
}

/** Options of one call, given by part where they are about a part. */
export interface WeightedCallOptions<Name extends string> {
  /** What divides each part over the whole step: all parts, or none. */
  readonly denominator?: WeightedDenominator | Readonly<Record<Name, number | Denominator>>;
  readonly scale?: number;
  readonly into?: Readonly<Partial<Record<Name, CallOptions["into"]>>>;
  /** Forces an engine for every part. */
  readonly engine?: Engine;
  /** See {@link WeightedGroupCall}. */
  readonly group?: undefined;
}

/** Options of a call that every rank of a group makes; see `GroupCall` for what they mean of each part. */
export interface WeightedGroupCall<Name extends string>
  extends Omit<WeightedCallOptions<Name>, "denominator" | "scale" | "group"> {
  readonly group: Group;
  readonly scale?: number | "world";
}

/** What divides the parts, merged part by part. */
export class WeightedDenominator {
  constructor(readonly parts: Readonly<Record<string, Denominator>>) {}

  /** Exact, associative and commutative. @throws `merge` where part names or contracts differ */
  merge(other: WeightedDenominator): WeightedDenominator {
    const names = Object.keys(this.parts);
    sameNames("denominator", names, other.parts);
    return new WeightedDenominator(
      Object.fromEntries(names.map((name) => [name, this.parts[name]!.merge(other.parts[name]!)])),
    );
  }
}

/** The tallies of the parts, merged part by part. */
export class WeightedTally {
  constructor(readonly parts: Readonly<Record<string, Tally>>) {}

  /** Exact, associative and commutative. @throws `merge` where part names or contracts differ */
  merge(other: WeightedTally, options: MergeOptions = {}): WeightedTally {
    const names = Object.keys(this.parts);
    sameNames("tally", names, other.parts);
    return new WeightedTally(
      Object.fromEntries(names.map((name) => [name, this.parts[name]!.merge(other.parts[name]!, options)])),
    );
  }

  toJSON(): { readonly parts: Readonly<Record<string, TallyJson>> } {
    return { parts: Object.fromEntries(Object.entries(this.parts).map(([name, tally]) => [name, tally.toJSON()])) };
  }

  /** @throws `argument` for anything that `toJSON` does not write */
  static fromJSON(json: { readonly parts: Readonly<Record<string, TallyJson>> }): WeightedTally {
    if (typeof json?.parts !== "object" || json.parts === null) {
      throw new LosswrightError({
        code: "argument",
        where: "WeightedTally.fromJSON",
        field: "parts",
        found: inWords(json),
        expected: "the JSON of a weighted tally: one tally a part",
      });
    }
    return new WeightedTally(
      Object.fromEntries(Object.entries(json.parts).map(([name, tally]) => [name, Tally.fromJSON(tally)])),
    );
  }
}

/**
 * A weighted sum of objectives: value = Σ_i weight_i · (numerator_i / denominator_i).
 *
 * Every part keeps its own units, denominator and tally, so parts are logged apart, merge exactly over any split, and
 * are divided once each; only their values are added. A weight may be negative (an entropy bonus) or 0 (log only).
 *
 * @example
 * const objective = weightedSum({
 *   policy: { objective: policyGradient(), weight: 1 },
 *   value: { objective: huber({ delta: 10 }), weight: 0.5 },
 * });
 * objective.valueAndGradients({ policy: { … }, value: { … } });
 *
 * @throws `argument` for no part at all, a part that is no objective, or a weight that is no finite number
 */
export function weightedSum<const P extends WeightedParts>(parts: P): WeightedSum<P> {
  return new WeightedSum(parts);
}

/** What {@link weightedSum} returns. */
export class WeightedSum<P extends WeightedParts> {
  readonly name = "weightedSum";
  readonly contract: WeightedSumContract;
  private readonly parts: P;
  private readonly names: readonly (keyof P & string)[];

  constructor(parts: P) {
    const wrong = (field: string, found: string, expected: string) =>
      new LosswrightError({ code: "argument", where: "weightedSum", field, found, expected });
    if (typeof parts !== "object" || parts === null || Object.keys(parts).length === 0) {
      throw wrong("parts", inWords(parts), "{ name: { objective, weight }, … }, at least one");
    }
    for (const [name, part] of Object.entries(parts)) {
      if ((part as { definition?: unknown })?.definition) {
        throw wrong(name, "an objective without a weight", "{ objective, weight }");
      }
      rejectUnknown("weightedSum", "key of a part", part ?? {}, ["objective", "weight"]);
      const { objective, weight } = part ?? {};
      if (typeof objective?.valueAndGradients !== "function" || !objective.definition) {
        throw wrong(`${name}.objective`, inWords(objective), "an objective with a denominator of its own");
      }
      if (typeof weight !== "number" || !Number.isFinite(weight)) {
        throw wrong(`${name}.weight`, inWords(weight), "a finite number");
      }
    }
    this.parts = parts;
    this.names = Object.keys(parts).sort();
    const contracts = this.names.map((name) => {
      const { objective, weight } = parts[name]!;
      return [name, { contract: objective.contract as Contract, weight }] as const;
    });
    this.contract = { objective: "weightedSum", parts: Object.fromEntries(contracts), version: 1 };
  }

  /** The weighted value over a batch a part; over a group a promise. Throws what the parts' objectives throw. */
  evaluate(batch: WeightedBatch<P>, options: { readonly group: Group }): Promise<WeightedEvaluation<keyof P & string>>;
  evaluate(batch: WeightedBatch<P>, options?: { readonly group?: undefined }): WeightedEvaluation<keyof P & string>;
  evaluate(
    batch: WeightedBatch<P>,
    options: { readonly group?: Group | undefined } = {},
  ): WeightedEvaluation<keyof P & string> | Promise<WeightedEvaluation<keyof P & string>> {
    const group = checkGroup(this.name, (options as { readonly group?: unknown } | null)?.group);
    const check = () => {
      checkObject(this.name, "options of evaluate", options);
      rejectUnknown(this.name, "option of evaluate", options, ["group"]);
    };
    if (group) {
      return this.over(group, batch, "evaluate", check, (name) =>
        this.parts[name]!.objective.evaluate(batch[name] as AnyBatch, { group }),
      );
    }
    check();
    this.checkBatch(batch);
    return this.combine((name) => this.parts[name]!.objective.evaluate(batch[name] as AnyBatch));
  }

  /** The weighted value and its gradient, by part and field; over a group a promise. */
  valueAndGradients(
    batch: WeightedBatch<P>,
    call: WeightedGroupCall<keyof P & string>,
  ): Promise<WeightedEvaluationWithGradients<keyof P & string>>;
  valueAndGradients(
    batch: WeightedBatch<P>,
    call?: WeightedCallOptions<keyof P & string>,
  ): WeightedEvaluationWithGradients<keyof P & string>;
  valueAndGradients(
    batch: WeightedBatch<P>,
    call: WeightedCallOptions<keyof P & string> | WeightedGroupCall<keyof P & string> = {},
  ): WeightedEvaluationWithGradients<keyof P & string> | Promise<WeightedEvaluationWithGradients<keyof P & string>> {
    const group = checkGroup(this.name, (call as { readonly group?: unknown } | null)?.group);
    if (group) return this.differentiateOver(group, batch, call as WeightedGroupCall<string>);
    this.checkBatch(batch);
    const { scale, partCall } = this.checkCall(call);
    const divisors = this.divisors((call as WeightedCallOptions<string>).denominator);
    const combined = this.combine((name) => {
      const { objective, weight } = this.parts[name]!;
      return objective.valueAndGradients(batch[name] as AnyBatch, {
        ...partCall(name),
        scale: weight * scale,
        ...(divisors && { denominator: divisors[name]! }),
      }) as EvaluationWithGradients;
    });
    return this.withGradients(combined);
  }

  private async differentiateOver(group: Group, batch: WeightedBatch<P>, call: WeightedGroupCall<string>) {
    // Checked inside the first reduction, so that what is wrong on one rank is told to all.
    let checked: ReturnType<typeof this.checkCall> | undefined;
    const check = () => {
      checked = this.checkCall(call);
    };
    const combined = await this.over(group, batch, "valueAndGradients", check, async (name) => {
      const { objective, weight } = this.parts[name]!;
      const part: GroupCall = { ...checked!.partCall(name), scale: weight * checked!.scale, group };
      return (await objective.valueAndGradients(batch[name] as AnyBatch, part)) as EvaluationWithGradients;
    });
    if (!checked!.isWorldScaled) return this.withGradients(combined);
    return this.withGradients({ ...combined, notes: [...combined.notes, worldNote(group.size)] });
  }

  /** The parts one after the other, over ranks that have agreed on what they are. */
  private async over<E extends Evaluation>(
    group: Group,
    batch: WeightedBatch<P>,
    call: string,
    check: () => void,
    evaluate: (name: keyof P & string) => Promise<E>,
  ) {
    const prepare = () => {
      check();
      this.checkBatch(batch);
    };
    await together(group, this.name, prepare, JSON.stringify({ contract: this.contract, call }));
    const found: Partial<Record<keyof P & string, E>> = {};
    for (const name of this.names) found[name] = await evaluate(name);
    return this.combine((name) => found[name]!);
  }

  /** The scale of a call, and what of it every part is called with. */
  private checkCall(call: WeightedCallOptions<string> | WeightedGroupCall<string>) {
    checkObject(this.name, "call", call);
    rejectUnknown(this.name, "call option", call, ["denominator", "scale", "into", "engine", "group"]);
    const { into = {}, ...others } = call;
    checkObject(this.name, "into", into);
    rejectUnknown(this.name, "part", into, this.names);
    // Denominators are by part and checked there; beside a group there is none in any form.
    const { denominator, ...single } = others as WeightedCallOptions<string>;
    const besideGroup = call.group !== undefined && denominator !== undefined;
    const { scale, isWorldScaled, engine } = checkCall(this.name, {
      ...single,
      ...(besideGroup && { denominator: 0 }),
    });
    const partCall = (name: string) => ({ ...(into[name] && { into: into[name] }), ...(engine && { engine }) });
    return { scale, isWorldScaled, partCall };
  }

  private withGradients(
    combined: WeightedEvaluation<keyof P & string> & {
      readonly parts: Readonly<Record<keyof P & string, EvaluationWithGradients>>;
    },
  ): WeightedEvaluationWithGradients<keyof P & string> {
    const gradients = Object.fromEntries(this.names.map((name) => [name, combined.parts[name].gradients]));
    return { ...combined, gradients: gradients as WeightedEvaluationWithGradients<keyof P & string>["gradients"] };
  }

  /** The undivided tallies of the parts. */
  tally(batch: WeightedBatch<P>): WeightedTally {
    this.checkBatch(batch);
    return new WeightedTally(
      Object.fromEntries(this.names.map((name) => [name, this.parts[name]!.objective.tally(batch[name] as AnyBatch)])),
    );
  }

  /**
   * What divides each part, to be merged over the parts of a step before the backward pass; of each batch, labels,
   * masks, weights and lengths are enough.
   */
  denominator(batch: WeightedConstants<P>): WeightedDenominator {
    this.checkBatch(batch);
    return new WeightedDenominator(
      Object.fromEntries(
        this.names.map((name) => [name, this.parts[name]!.objective.denominator(batch[name] as AnyBatch)]),
      ),
    );
  }

  /** One division a part, then the weighted sum. @throws `merge` for a tally of other parts */
  value(tally: WeightedTally): number {
    sameNames("value", this.names, tally.parts);
    return this.weigh((name) => this.parts[name]!.objective.value(tally.parts[name]!));
  }

  /** The contract in words. */
  describe(): string {
    const parts = this.names.map(
      (name) => `${this.parts[name]!.weight} times ${name} (${this.parts[name]!.objective.describe()})`,
    );
    return `the sum of ${parts.join(" and ")}; each part is divided by its own denominator`;
  }

  private combine<E extends Evaluation>(evaluate: (name: keyof P & string) => E) {
    const parts = Object.fromEntries(this.names.map((name) => [name, evaluate(name)])) as Record<keyof P & string, E>;
    const tallies = Object.fromEntries(this.names.map((name) => [name, parts[name].tally]));
    const notes = this.names.flatMap((name) =>
      parts[name].notes.map((note) => ({ ...note, message: `${name}: ${note.message}` })),
    );
    return { value: this.weigh((name) => parts[name].value), parts, tally: new WeightedTally(tallies), notes };
  }

  private weigh(read: (name: keyof P & string) => number): number {
    const sum = new ExactSum();
    for (const name of this.names) {
      const { weight } = this.parts[name]!;
      // A part that is logged only cannot spoil the sum.
      if (weight !== 0) sum.add(weight * read(name));
    }
    return sum.value;
  }

  /** One divisor a part: a part left out would divide by its own count and average twice. */
  private divisors(
    given: WeightedDenominator | Readonly<Record<string, number | Denominator>> | undefined,
  ): Readonly<Record<string, number | Denominator>> | undefined {
    if (given === undefined) return undefined;
    checkObject(this.name, "denominator", given);
    const parts = given instanceof WeightedDenominator ? given.parts : given;
    rejectUnknown(this.name, "part", parts, this.names);
    const missing = this.names.filter((name) => parts[name] === undefined);
    if (!missing.length) return parts;
    throw new LosswrightError({
      code: "denominator",
      where: this.name,
      field: "denominator",
      found: `none for ${missing.join(", ")}`,
      expected: `one for every part: ${this.names.join(", ")}`,
      fix: "merge objective.denominator(batch) over the parts of the step and pass the result.",
    });
  }

  private checkBatch(batch: object): void {
    rejectUnknown(this.name, "part", batch ?? {}, this.names);
    for (const name of this.names) {
      if ((batch as Record<string, unknown>)?.[name] !== undefined) continue;
      throw new LosswrightError({
        code: "missing-field",
        where: this.name,
        field: name,
        found: `batches for ${Object.keys(batch ?? {}).join(", ") || "no part"}`,
        expected: `one batch a part: ${this.names.join(", ")}`,
      });
    }
  }
}

function sameNames(where: string, names: readonly string[], parts: Readonly<Record<string, unknown>>): void {
  const theirs = Object.keys(parts).sort();
  if (canonicalText([...names].sort() as Json) === canonicalText(theirs as Json)) return;
  throw new LosswrightError({
    code: "merge",
    where: `weightedSum: ${where}`,
    field: "parts",
    found: theirs.join(", ") || "no parts",
    expected: [...names].sort().join(", "),
  });
}
