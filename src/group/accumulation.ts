import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  type AnyBatch,
  type CallOptions,
  checkGroup,
  denominatorOver,
  type EvaluationWithGradients,
  type GroupCall,
  type JoinedParts,
  joinBatches,
  type Objective,
  together,
  type WeightedBatch,
  type WeightedCallOptions,
  type WeightedConstants,
  WeightedDenominator,
  type WeightedEvaluationWithGradients,
  type WeightedParts,
  type WeightedSum,
  WeightedTally,
  walkOver,
  worldNote,
} from "../losses/index.js";
import {
  checkSameContract,
  Denominator,
  type Group,
  LANES,
  type MergeOptions,
  type Note,
  type Tally,
} from "../tally/index.js";
import { sizeOf, type Tensor } from "../tensor/index.js";

/** Bytes of an exact sum: its limbs and counts, as float64. */
const SUM_BYTES = 8 * LANES;

/** What a way of accumulating keeps while a step lasts. */
export interface MemoryCost {
  /** Bytes held here, beside what the caller holds. */
  readonly bytes: number;
  /** What they are, and what the caller must hold. */
  readonly holds: string;
}

/** A finished step. */
export interface AccumulatedStep<T> {
  /** Numerator / denominator of the whole step, divided once. */
  readonly value: number;
  readonly tally: T;
  readonly notes: readonly Note[];
}

/** A step that was divided last: what the accumulated gradients are still to be divided by. */
export interface DividedStep<T, Factor> extends AccumulatedStep<T> {
  /** 1 / denominator, which accumulated gradients of parameters are multiplied by; of a weighted sum, by part. */
  readonly factor: Factor;
}

/** Options of a call for one micro-batch. */
export type MicroBatchCall = Omit<CallOptions, "denominator" | "group" | "scale"> & {
  readonly scale?: number | "world";
};

/** A step whose denominator is known: every micro-batch's gradient is that of the whole step's value. */
export interface StepAhead<Batch, Result, T, Finished = AccumulatedStep<T>> {
  /** What divides every micro-batch: that of the whole step. */
  readonly denominator: Denominator | WeightedDenominator;
  readonly memory: MemoryCost;
  /**
   * Value and gradients of a micro-batch over the denominator of the step: the values add up to the step's, and so do
   * the gradients of parameters.
   *
   * @throws `denominator` where more is added than was counted ahead
   */
  add(batch: Batch, call?: MicroBatchCall): Result;
  /** @throws `denominator` where the micro-batches that were added are not those that were counted ahead */
  finish(): Finished;
}

/** A step whose denominator is known at its end: gradients are those of numerators, and are divided once. */
export interface StepDividedLast<Batch, Result, T, Factor> {
  readonly memory: MemoryCost;
  /** The numerator of a micro-batch, and its gradients, undivided. */
  add(batch: Batch, call?: MicroBatchCall): Result;
  finish(): DividedStep<T, Factor>;
  finish(options: { readonly group: Group }): Promise<DividedStep<T, Factor>>;
}

/** The value of a coupled objective over all micro-batches, and its exact gradient by each. */
export interface GatheredStep<Name extends string> extends Omit<EvaluationWithGradients, "gradients"> {
  /** One record a micro-batch, in order: the gradient with which its encoder's backward pass goes on. */
  readonly gradients: readonly Readonly<Partial<Record<Name, Tensor>>>[];
  /** Of learned scalars (`temperature`, `logScale`, `bias`), which belong to no micro-batch; over a group this rank's share. */
  readonly shared: Readonly<Partial<Record<Name, Tensor>>>;
  readonly memory: MemoryCost;
}

/** Options of a gathered step. */
export type GatheredCall = Pick<CallOptions, "scale" | "engine" | "group">;
export type GatheredGroupCall = Pick<GroupCall, "scale" | "engine" | "group" | "local">;

/** Ways to take one step over several micro-batches; see {@link accumulation}. */
export interface Accumulation<Batch, Constants, Result, T, Factor> {
  /**
   * What divides is known before the first backward pass: from the labels, masks and weights of all micro-batches
   * (fields with a gradient may be left out), or from their denominators. Every gradient then has the same bits as in the
   * whole batch.
   *
   * @throws `merge` for a denominator of another contract, `unsupported` for objectives that couple their batch
   */
  ahead(microBatches: Iterable<Constants | Denominator | WeightedDenominator>): StepAhead<Batch, Result, T>;
  /** The same over ranks, each with micro-batches of its own: one reduction here, and one in `finish`. */
  ahead(
    microBatches: Iterable<Constants | Denominator | WeightedDenominator>,
    options: { readonly group: Group },
  ): Promise<StepAhead<Batch, Result, T, Promise<AccumulatedStep<T>>>>;
  /**
   * What divides is known at the end: gradients of numerators are accumulated, and divided once. Equal to the whole
   * batch's to rounding; needs nothing ahead.
   */
  dividedLast(): StepDividedLast<Batch, Result, T, Factor>;
}

/** {@link Accumulation} of one objective. */
export interface ObjectiveAccumulation<Batch extends object, Name extends string>
  extends Accumulation<Batch, Partial<Batch>, EvaluationWithGradients<Name>, Tally, number> {
  /**
   * Of an objective that couples its batch: the embeddings of all micro-batches in, the exact gradient of each out. The
   * encoder's backward passes, one a micro-batch, need nothing else (gradient caching: Gao et al. 2021).
   *
   * A label counts the keys of its own micro-batch, and row i is paired with key i of its own, as in a batch alone.
   *
   * @throws `unsupported` for objectives whose units do not read each other's rows
   */
  gathered(microBatches: readonly Batch[], call?: GatheredCall): GatheredStep<Name>;
  gathered(microBatches: readonly Batch[], call: GatheredGroupCall): Promise<GatheredStep<Name>>;
}

/** {@link Accumulation} of a weighted sum. */
export type WeightedAccumulation<P extends WeightedParts> = Accumulation<
  WeightedBatch<P>,
  WeightedConstants<P>,
  WeightedEvaluationWithGradients<keyof P & string>,
  WeightedTally,
  Readonly<Record<keyof P & string, number>>
>;

/**
 * One step over several micro-batches, with one denominator.
 *
 * Dividing every micro-batch by its own count and averaging is another objective wherever counts differ: a token of a
 * short micro-batch then weighs more than one of a long one. Here the step has one numerator, one denominator and one
 * division, and two ways to get there: {@link Accumulation.ahead}, {@link Accumulation.dividedLast}. For objectives that
 * couple their batch, `gathered`.
 *
 * @param options - `acrossBatches: "independent"` accepts, for objectives that couple their batch, that each micro-batch
 * has its own negatives
 *
 * @example
 * const step = accumulation(crossEntropy()).ahead(microBatches.map(({ labels }) => ({ labels })));
 * for (const { inputs, labels } of microBatches) {
 *   const logits = model(inputs);
 *   backward(logits, step.add({ logits, labels }).gradients.logits);
 * }
 * const { value } = step.finish();
 */
export function accumulation<Batch extends object, Name extends string>(
  objective: Objective<Batch, Name>,
  options?: MergeOptions,
): ObjectiveAccumulation<Batch, Name>;
export function accumulation<P extends WeightedParts>(
  objective: WeightedSum<P>,
  options?: MergeOptions,
): WeightedAccumulation<P>;
export function accumulation(objective: Objective | WeightedSum<WeightedParts>, options: MergeOptions = {}): unknown {
  checkObject("accumulation", "options", options);
  rejectUnknown("accumulation", "option", options, ["acrossBatches"]);
  if (typeof objective?.valueAndGradients !== "function" || typeof objective.denominator !== "function") {
    throw new LosswrightError({
      code: "argument",
      where: "accumulation",
      field: "objective",
      found: typeof objective,
      expected: "an objective",
      fix: "accumulation(crossEntropy()).",
    });
  }
  return "couples" in objective
    ? new OneObjective(objective as Objective, options)
    : new Accumulating(sumOf(objective), options);
}

/** What accumulating needs of an objective or a weighted sum: everything by part, one part of no name where there is one. */
interface Accumulated {
  readonly name: string;
  /** Of the whole: a weighted sum's says its weights. */
  readonly contract: object;
  readonly partNames: readonly string[];
  readonly contracts: ByPart<Contract>;
  readonly isWeighted: boolean;
  readonly objective: {
    valueAndGradients(batch: AnyBatch, call: CallOptions & WeightedCallOptions<string>): Result;
    denominator(batch: AnyBatch): AnyDenominator;
    value(tally: AnyTally): number;
  };
}

type AnyDenominator = Denominator | WeightedDenominator;
type AnyTally = Tally | WeightedTally;
interface Result {
  readonly tally: AnyTally;
  readonly notes: readonly Note[];
}
type Contract = Objective["contract"];
type ByPart<Each> = Readonly<Record<string, Each>>;

/** The name of the one part of an objective alone. */
const ALONE = "";

function sumOf(sum: WeightedSum<WeightedParts>): Accumulated {
  const { parts } = sum.contract;
  const contracts = Object.fromEntries(Object.entries(parts).map(([name, { contract }]) => [name, contract]));
  return {
    name: sum.name,
    contract: sum.contract,
    partNames: Object.keys(parts).sort(),
    contracts,
    isWeighted: true,
    objective: sum as never,
  };
}

function denominatorsOf(of: AnyDenominator): ByPart<Denominator> {
  return of instanceof WeightedDenominator ? of.parts : { [ALONE]: of };
}

function talliesOf(of: AnyTally): ByPart<Tally> {
  return of instanceof WeightedTally ? of.parts : { [ALONE]: of };
}

/** Micro-batches of one step: their tallies, merged as they come. */
class Running {
  tallies: ByPart<Tally> | undefined;
  readonly notes: Note[] = [];
  private isFinished = false;

  constructor(
    private readonly of: Accumulated,
    private readonly options: MergeOptions,
  ) {}

  add({ tally, notes }: Result): void {
    const found = talliesOf(tally);
    const { tallies } = this;
    const merged = (name: string) => (tallies ? tallies[name]!.merge(found[name]!, this.options) : found[name]!);
    this.tallies = Object.fromEntries(this.of.partNames.map((name) => [name, merged(name)]));
    for (const note of notes) if (!this.notes.some(({ message }) => message === note.message)) this.notes.push(note);
  }

  /** @throws `argument` once the step is finished */
  checkOpen(): void {
    if (!this.isFinished) return;
    throw new LosswrightError({
      code: "argument",
      where: this.of.name,
      field: "accumulation",
      found: "a step that is finished",
      expected: "one step of accumulation for each step of training",
      fix: "begin the next one: accumulation(objective).ahead(…) or .dividedLast().",
    });
  }

  /** The tallies of all that was added. @throws `argument` where that is nothing */
  close(): ByPart<Tally> {
    this.checkOpen();
    this.isFinished = true;
    if (this.tallies) return this.tallies;
    throw new LosswrightError({
      code: "argument",
      where: this.of.name,
      field: "accumulation",
      found: "no micro-batch",
      expected: "at least one, which may be empty",
      fix: "add(batch) every micro-batch before finish().",
    });
  }

  /** The step of these tallies, one division. */
  finished(tallies: ByPart<Tally>, notes: readonly Note[]): AccumulatedStep<AnyTally> {
    const { of } = this;
    const tally = of.isWeighted ? new WeightedTally(tallies) : tallies[ALONE]!;
    return { value: of.objective.value(tally), tally, notes };
  }
}

class Accumulating {
  constructor(
    protected readonly of: Accumulated,
    protected readonly options: MergeOptions,
  ) {}

  ahead(
    microBatches: Iterable<AnyBatch | AnyDenominator>,
    options: { readonly group?: Group } = {},
  ): StepAhead<AnyBatch, Result, AnyTally, unknown> | Promise<StepAhead<AnyBatch, Result, AnyTally, unknown>> {
    const { of } = this;
    const group = groupIn(of.name, options);
    const count = () => {
      checkGroupOptions(of.name, options);
      return this.count(microBatches);
    };
    if (!group) {
      const own = count();
      return this.stepAhead(own, own, undefined);
    }
    // Counted inside the first reduction, so that what is wrong on one rank is told to all.
    const own = once(count);
    const denominatorOf = (name: string) => denominatorOver(group, of.name, of.contract, () => own()[name]!);
    return overParts(of, denominatorOf).then((whole) => this.stepAhead(own(), whole, group));
  }

  dividedLast(): StepDividedLast<AnyBatch, Result, AnyTally, unknown> {
    this.checkUncoupled();
    const { of, options } = this;
    const running = new Running(of, options);
    const ones = of.isWeighted ? Object.fromEntries(of.partNames.map((name) => [name, 1])) : 1;
    return {
      memory: {
        bytes: 2 * SUM_BYTES * of.partNames.length,
        holds: `two exact sums ${of.isWeighted ? "a part " : ""}here; the accumulated gradient of every parameter is the caller's, undivided: as many times larger as units are counted, so mind the range of half precision`,
      },
      add(batch, call = {}) {
        running.checkOpen();
        refuseKeys(of.name, batch);
        const result = of.objective.valueAndGradients(batch, {
          ...callOf(of.name, call, undefined),
          denominator: ones as never,
        });
        running.add(result);
        return result;
      },
      finish: ((given: { readonly group?: Group } = {}) => {
        const group = groupIn(of.name, given);
        const close = () => {
          checkGroupOptions(of.name, given);
          return running.close();
        };
        const withFactor = (step: AccumulatedStep<AnyTally>) => ({ ...step, factor: factorsOf(of, step.tally) });
        if (!group) return withFactor(running.finished(close(), running.notes));
        return finishOver(group, of, running, close).then(withFactor);
      }) as never,
    };
  }

  /** The denominators of this rank's micro-batches together, by part. */
  private count(microBatches: Iterable<AnyBatch | AnyDenominator>): ByPart<Denominator> {
    this.checkUncoupled();
    const { of } = this;
    let sum: ByPart<Denominator> | undefined;
    if (typeof microBatches?.[Symbol.iterator] !== "function") throw notMicroBatches(of.name, typeof microBatches);
    for (const each of microBatches) {
      const isCounted = each instanceof Denominator || each instanceof WeightedDenominator;
      const found = denominatorsOf(isCounted ? each : of.objective.denominator(each));
      for (const name of of.partNames) checkSameContract(of.name, of.contracts[name]!, found[name]?.contract ?? null);
      const before = sum;
      sum = Object.fromEntries(
        of.partNames.map((name) => [name, before ? before[name]!.merge(found[name]!) : found[name]!]),
      );
    }
    if (!sum) throw notMicroBatches(of.name, "none");
    return sum;
  }

  private stepAhead(
    own: ByPart<Denominator>,
    whole: ByPart<Denominator>,
    group: Group | undefined,
  ): StepAhead<AnyBatch, Result, AnyTally, unknown> {
    const { of, options } = this;
    const running = new Running(of, options);
    const denominator = of.isWeighted ? new WeightedDenominator(whole) : whole[ALONE]!;
    const open = Object.values(whole).reduce((sum, part) => sum + part.open.size, 0);
    return {
      denominator,
      memory: {
        bytes: SUM_BYTES * (4 * of.partNames.length + 2 * open),
        holds: `exact sums${open > 0 ? `, two for each of ${open} open groups` : ""}; labels, masks and weights of all micro-batches must be there before the first backward pass, their logits need not`,
      },
      add(batch, call = {}) {
        running.checkOpen();
        const sized = callOf(of.name, call, group?.size);
        const result = of.objective.valueAndGradients(batch, { ...sized, denominator: denominator as never });
        running.add(result);
        checkAdded(of, running.tallies!, own, "part");
        if (call.scale !== "world") return result;
        return { ...result, notes: [...result.notes, worldNote(group!.size)] };
      },
      finish() {
        const close = () => {
          const tallies = running.close();
          checkAdded(of, tallies, own, "all");
          return tallies;
        };
        if (!group) return running.finished(close(), running.notes);
        return finishOver(group, of, running, close, whole);
      },
    };
  }

  /** @throws `unsupported` for an objective that couples its batch, unless smaller sets of negatives are accepted */
  protected checkUncoupled(): void {
    const { of, options } = this;
    const couples = (of.objective as unknown as { readonly couples?: boolean }).couples === true;
    if (!couples || options.acrossBatches === "independent") return;
    throw new LosswrightError({
      code: "unsupported",
      where: of.name,
      field: "accumulation",
      found: "micro-batches of an objective that couples its batch: each would have only its own negatives",
      expected: "one batch of all of them",
      fix: 'give the embeddings of all micro-batches at once: gathered(microBatches); or accept smaller sets of negatives: accumulation(objective, { acrossBatches: "independent" }).',
    });
  }
}

class OneObjective extends Accumulating {
  constructor(
    private readonly objective: Objective,
    options: MergeOptions,
  ) {
    const { name, contract } = objective;
    const of = { name, contract, partNames: [ALONE], contracts: { [ALONE]: contract }, isWeighted: false };
    super({ ...of, objective: objective as never }, options);
  }

  gathered(
    microBatches: readonly AnyBatch[],
    call: GatheredCall | GatheredGroupCall = {},
  ): GatheredStep<string> | Promise<GatheredStep<string>> {
    const { objective } = this;
    const { name } = objective;
    if (!objective.couples) {
      throw new LosswrightError({
        code: "unsupported",
        where: name,
        field: "gathered",
        found: "an objective whose units do not read each other's rows",
        expected: "one that couples its batch, such as infoNce or clip",
        fix: "use ahead(microBatches) or dividedLast(): no embeddings need to be held.",
      });
    }
    const finish = (joined: JoinedParts, whole: EvaluationWithGradients): GatheredStep<string> => {
      const { gradients, ...evaluation } = whole;
      const { parts, shared } = joined.split(gradients);
      const numbers = Object.values(gradients).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      const memory = {
        bytes: Object.values(gradients).reduce((sum, { data }) => sum + 3 * data.byteLength, 0),
        holds: `the embeddings of ${microBatches.length} micro-batches put together, ${numbers} numbers, their gradients, and a copy of those by micro-batch; scores are formed a chunk at a time; the caller holds the embeddings until their backward passes`,
      };
      return { ...evaluation, gradients: parts, shared, memory };
    };
    const group = groupIn(name, call as GatheredGroupCall);
    const join = () => {
      checkObject(name, "call", call);
      rejectUnknown(name, "call option", call, ["scale", "engine", "group", "local"]);
      if (Array.isArray(microBatches) && microBatches.length > 0) return joinBatches(objective, microBatches);
      throw notMicroBatches(name, Array.isArray(microBatches) ? "none" : typeof microBatches);
    };
    if (!group) {
      const joined = join();
      return finish(joined, objective.valueAndGradients(joined.batch, call as GatheredCall));
    }
    return together(group, name, join).then(async (joined) =>
      finish(joined, await objective.valueAndGradients(joined.batch, { ...call, group } as GroupCall)),
    );
  }
}

/** Something of every part, one after the other: ranks must come to them in one order. */
async function overParts<Each>(
  { partNames }: Accumulated,
  find: (name: string) => Promise<Each>,
): Promise<ByPart<Each>> {
  const found: Record<string, Each> = {};
  for (const name of partNames) found[name] = await find(name);
  return found;
}

/**
 * The step of all ranks.
 *
 * @param close - this rank's tallies; called inside the first reduction, so that an error there is an error of all
 * @param known - what divides, where it was reduced before
 */
async function finishOver(
  group: Group,
  of: Accumulated,
  running: Running,
  close: () => ByPart<Tally>,
  known?: ByPart<Denominator>,
): Promise<AccumulatedStep<AnyTally>> {
  const closed = once(close);
  const own = (name: string) => closed()[name]!;
  const denominatorOf = (name: string) => denominatorOver(group, of.name, of.contract, () => own(name).denominator);
  const denominators = known ?? (await overParts(of, denominatorOf));
  let said: readonly Note[] = [];
  const tallies = await overParts(of, async (name) => {
    // Notes are those of all parts; they go out with the first.
    const notes = name === of.partNames[0] ? running.notes : [];
    const walked = await walkOver(group, of.name, of.contract, denominators[name]!, () => ({
      tally: own(name),
      notes,
    }));
    said = [...said, ...walked.notes];
    return walked.tally;
  });
  return running.finished(tallies, said);
}

/** @throws `denominator` where what was added is not what was counted ahead */
function checkAdded(of: Accumulated, tallies: ByPart<Tally>, own: ByPart<Denominator>, what: "part" | "all"): void {
  for (const name of of.partNames) {
    const [added, ahead] = [tallies[name]!.denominator, own[name]!];
    const fits = what === "all" ? JSON.stringify(added) === JSON.stringify(ahead) : added.count <= ahead.count;
    if (fits) continue;
    throw new LosswrightError({
      code: "denominator",
      where: of.name,
      field: name === ALONE ? "accumulation" : `accumulation: ${name}`,
      found: `micro-batches that count ${added.count}, where ${ahead.count} was counted ahead`,
      expected: "the same micro-batches, each once, with the same labels, masks and weights",
      fix: "give ahead(…) what every micro-batch will have: after shifting, packing and masking, not before.",
    });
  }
}

/** What accumulated gradients are multiplied by: one number, or one a part. */
function factorsOf({ isWeighted }: Accumulated, tally: AnyTally): number | ByPart<number> {
  const factors = Object.entries(talliesOf(tally)).map(([name, { denominator, contract }]) => {
    const empty = contract.reduction.onEmpty === "nan" ? Number.NaN : 0;
    return [name, denominator.value === 0 ? empty : 1 / denominator.value] as const;
  });
  return isWeighted ? Object.fromEntries(factors) : factors[0]![1];
}

/** The options of a micro-batch's call, its scale a number. */
function callOf(where: string, call: MicroBatchCall, world: number | undefined): CallOptions {
  checkObject(where, "call", call);
  const isOfStep = (name: string) => name === "denominator" || name === "group";
  rejectUnknown(where, "call option", call, ["scale", "into", "inPlace", "engine"], (name) =>
    isOfStep(name) ? "the step has it already: it is given to ahead(…) or finish(…)." : undefined,
  );
  const { scale, ...others } = call;
  if (scale === undefined) return others;
  if (scale !== "world") return { ...others, scale };
  if (world !== undefined) return { ...others, scale: world };
  throw new LosswrightError({
    code: "argument",
    where,
    field: "scale",
    found: 'scale: "world" for a step without a group',
    expected: "a group whose ranks it counts",
    fix: "give the group to ahead(microBatches, { group }), or the number of ranks: scale: 4.",
  });
}

/** The group among some options, looked at before them: what else is wrong with them is told to its ranks. */
function groupIn(where: string, options: { readonly group?: Group } | null): Group | undefined {
  return checkGroup(where, options?.group);
}

/** @throws `argument`, `unknown` for other options than the group */
function checkGroupOptions(where: string, options: object): void {
  checkObject(where, "options", options);
  rejectUnknown(where, "option", options, ["group"]);
}

/** Does something the first time it is asked. */
function once<Found>(find: () => Found): () => Found {
  let found: { readonly it: Found } | undefined;
  return () => {
    found ??= { it: find() };
    return found.it;
  };
}

function refuseKeys(where: string, batch: AnyBatch): void {
  if (batch?.groupKeys === undefined) return;
  throw new LosswrightError({
    code: "unsupported",
    where,
    field: "groupKeys",
    found: "groups that lie in several micro-batches, in a step that is divided last",
    expected: "the weight of every group before its gradient is formed",
    fix: "count it ahead: accumulation(objective).ahead(microBatches).",
  });
}

function notMicroBatches(where: string, found: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where,
    field: "microBatches",
    found,
    expected: "a list of micro-batches, at least one",
    fix: "ahead(microBatches.map(({ labels }) => ({ labels }))), gathered(microBatches).",
  });
}
