import type { Contract, Json } from "../contract/index.js";
import { type Denominator, type Exchanged, type Group, Spread } from "../tally/index.js";
import { isTensor, sizeOf, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { type AnyBatch, type BoundBatch, bindBatch } from "./batch.js";
import { consent, gatherTexts, together } from "./consensus.js";
import type { FieldSpec, LossDefinition } from "./definition.js";
import type { Counted } from "./divisor.js";
import { checkJoinable, Joining, joinableAxes, type Lengths, pairFields, withoutPairs } from "./joined.js";
import { denominatorLanes, readDenominator, readWalk, type Walked, walkLanes } from "./reduced.js";

/** Axes that are one thing on every rank: classes and widths of embeddings. Lengths of sequences and lists may differ. */
const widths = ["K", "K-1", "C", "D"];

/** What a group's call is about. */
export interface GroupObjective {
  readonly name: string;
  readonly contract: Contract;
  readonly definition: LossDefinition<object>;
  readonly options: object;
  readonly couples: boolean;
}

/** The rows of all ranks as one batch of this rank's units. */
export interface JoinedBatch {
  /** Every rank's batch, as far as this rank needs it. */
  readonly parts: readonly AnyBatch[];
  readonly joining: Joining;
  /** This rank's own batch. */
  readonly local: BoundBatch<object>;
}

type Gradients = Readonly<Record<string, Tensor<Unlabeled, "float32" | "float64">>>;

/**
 * One call of an objective over a group, step by step: every rank takes the same steps in the same order, and an error
 * of one in any of them is an error of all.
 */
export class GroupStep {
  /** Whether each rank computes its own units among the rows of all; otherwise every rank computes all of them. */
  private readonly isShared: boolean;

  constructor(
    private readonly group: Group,
    private readonly objective: GroupObjective,
    /** Options of the call that must be the same on every rank. */
    private readonly call: { readonly [key: string]: Json },
  ) {
    this.isShared = !objective.couples || objective.definition.gathers !== undefined;
  }

  /**
   * Gathers the rows of all ranks that this rank's units need.
   *
   * @param prepare - what else may fail on one rank
   * @throws what binding the batch throws; `group` where ranks differ
   */
  async join(given: AnyBatch, prepare: (local: BoundBatch<object>) => void): Promise<JoinedBatch> {
    const { group, objective } = this;
    const { definition, options, name } = objective;
    const axes = definition.gathers?.(options) ?? joinableAxes(definition);
    const bind = () => {
      checkJoinable(name, given);
      const bound = bindBatch(definition, options, withoutPairs(definition, options, given));
      prepare(bound);
      return bound;
    };
    const { own: local } = await consent(group, name, bind, (bound) => ({ signature: this.signature(bound, given) }));
    const lengths = await this.gatherLengths(axes, local);
    const own = this.isShared ? group.rank : undefined;
    // Of lengths that all ranks know, so that it is refused on all or on none.
    const joining = new Joining(definition, options, axes, lengths, "rank", own);
    const pairs = pairFields(definition, options, given);
    if (pairs.length > 0) {
      await this.together(() => {
        for (const field of pairs) joining.checkColumns(field, given[field] as Tensor, group.rank);
      });
    }
    return { parts: await this.gatherRows(given, joining), joining, local };
  }

  /** The spread over all ranks. */
  async addUp(spread: () => Spread): Promise<Spread> {
    const own = await this.together(spread);
    const texts = await gatherTexts(this.group, JSON.stringify(own));
    const [first, ...others] = texts.map((text) => Spread.fromJSON(JSON.parse(text)));
    return others.reduce((sum, next) => sum.merge(next), first!);
  }

  /** Opens this rank's batch; gives what divides over the whole group. */
  async open<Opened extends { readonly batch: BoundBatch<object>; readonly counted: Counted }>(
    given: AnyBatch,
    open: () => Opened,
  ): Promise<{ readonly opened: Opened; readonly denominator: Denominator }> {
    const { group, objective, isShared } = this;
    const found = await consent(group, objective.name, open, ({ batch, counted }) => {
      const lanes = denominatorLanes(counted.denominator);
      // Rows that were joined are rows of ranks that have agreed.
      return objective.couples ? { lanes } : { signature: this.signature(batch, given), lanes };
    });
    const { own: opened, sums } = found;
    const { denominator } = opened.counted;
    return { opened, denominator: isShared ? await readDenominator(group, sums, denominator) : denominator };
  }

  /** Walks over this rank's units; gives the tally of the whole group, and what any rank has to say. */
  async walk<Own extends Walked>(denominator: Denominator, walk: () => Own): Promise<Own> {
    const { group, objective, isShared } = this;
    const { own, sums } = await consent(group, objective.name, walk, (found) => ({ lanes: walkLanes(found) }));
    if (!isShared) return own;
    return { ...own, ...(await readWalk(group, sums, own, denominator, objective.couples)) };
  }

  /**
   * Gives every rank the gradient of its own rows: what all ranks' units add to them, summed in float64 in rank order.
   *
   * @param whole - gradients by the joined batch, of this rank's units
   * @param into - gradients by this rank's own batch; those that stand in `whole` too are there already
   * @param isLocal - whether what other ranks' units add is left out
   */
  async giveBack({ joining }: JoinedBatch, whole: Gradients, into: Gradients, isLocal: boolean): Promise<void> {
    const { group, isShared } = this;
    for (const [name, own] of Object.entries(into)) {
      const found = whole[name]!;
      if (found === own) {
        // Every rank has computed all of a shared field's gradient, which is one share too many on all but one.
        if (!isShared && group.rank > 0) own.data.fill(0);
        continue;
      }
      if (isShared && !isLocal && joining.needs(name, found)) {
        const { data } = found;
        const wide = data instanceof Float64Array ? data : new Float64Array(data);
        const sum = await group.reduceScatterSum(wide, joining.counts(name, found));
        own.data.set(sum);
      } else own.data.set(joining.rowsOf(name, found, group.rank) as Float64Array);
    }
  }

  /**
   * Room for the gradients by a joined batch: float64 where the reference computes, so that sums over ranks are rounded
   * once; float32 where a kernel does, which rounds its own.
   */
  roomFor({ joining }: JoinedBatch, opened: BoundBatch<object>, own: Gradients, byKernel: boolean): Gradients {
    const rooms = Object.entries(own).map(([name, tensor]) => {
      const field = opened.tensors.get(name);
      if (!field || !joining.isJoinedField(name, field)) return [name, tensor] as const;
      const size = sizeOf(field.shape);
      const data = byKernel ? new Float32Array(size) : new Float64Array(size);
      const dtype = byKernel ? "float32" : "float64";
      return [name, view(data as Float64Array, field.shape, "unlabeled", dtype as "float64")] as const;
    });
    return Object.fromEntries(rooms);
  }

  /** Something that every rank does on its own, and that may fail on any. */
  private together<Found>(work: () => Found): Promise<Found> {
    return together(this.group, this.objective.name, work);
  }

  /** What of a call must be the same on every rank. */
  private signature(batch: BoundBatch<object>, given: AnyBatch): string {
    const { objective, call } = this;
    const { definition, contract, couples } = objective;
    const fields: Record<string, Json> = { unitAxes: batch.unitShape.length };
    const scalars: Record<string, Json> = {};
    for (const [name, spec] of Object.entries(definition.fields)) {
      const value = given[name];
      if (value === undefined) continue;
      // Which units count is a rank's own affair, and so is whether it says so of all.
      if (spec.holds === "flags" && !couples) continue;
      const isScalar = !isTensor(value) || value.shape.length === 0;
      // A learned scalar stands in the loss of every unit: replicas of it that differ are no one objective.
      if (couples && isScalar) scalars[name] = String(isTensor(value) ? value.data[0] : value);
      else fields[name] = kindOf(spec, value, couples);
    }
    const found = widths.map((axis) => [axis, batch.sizes[axis]] as const);
    return JSON.stringify({ contract, call, scalars, fields, widths: Object.fromEntries(found) });
  }

  private async gatherLengths(axes: readonly string[], local: BoundBatch<object>): Promise<readonly Lengths[]> {
    const { definition } = this.objective;
    const names = [...new Set([definition.unitShape[0]!, ...axes])];
    const gathered = await this.group.allGather(Float64Array.from(names, (axis) => local.sizes[axis]!));
    return gathered.map((row) => Object.fromEntries(names.map((axis, i) => [axis, row[i]!])));
  }

  /** Every rank's batch, as far as other ranks need it. */
  private async gatherRows(given: AnyBatch, joining: Joining): Promise<readonly AnyBatch[]> {
    const { group, objective } = this;
    const parts: Record<string, Tensor | number | undefined>[] = Array.from({ length: group.size }, () => ({}));
    const names = Object.keys(objective.definition.fields);
    const gather = async (name: string, given: Tensor) => {
      const own = joining.plain(name, given);
      const gathered = await group.allGather<Exchanged>(own.data);
      for (const [rank, data] of gathered.entries()) {
        const shape = joining.shapeOf(name, own, rank, data.length);
        parts[rank]![name] = view(data as Float64Array, shape, own.role, own.dtype as "float64", own.weak);
      }
    };
    for (const name of names) {
      const own = given[name];
      if (isTensor(own) && own.shape.length > 0 && joining.needs(name, own)) await gather(name, own);
    }
    // Where every rank computes all units, those of all must be known; a rank may leave both of these out.
    if (!this.isShared) {
      for (const name of ["mask", "weights"] as const) await gather(name, joining.common(name, given, group.rank));
    }
    parts[group.rank] = { ...given, ...parts[group.rank] };
    return parts;
  }
}

/** What a field holds, as far as it must be the same on every rank. */
function kindOf({ holds, indexes }: FieldSpec, value: Tensor | number, couples: boolean): string {
  if (!isTensor(value)) return "float64";
  // Flags, and indices that are offset, are converted; other rows that are gathered go out as they are.
  const isGathered = couples && holds === "indices" && indexes === undefined;
  return holds === "reals" || isGathered ? value.dtype : holds;
}
