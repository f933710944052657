import type { Contract, Json } from "../contract/index.js";
import { type Denominator, type Exchanged, type Group, Spread } from "../tally/index.js";
import { isTensor, sizeOf, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { type AnyBatch, type BoundBatch, bindBatch, specOf } from "./batch.js";
import { consent, gatherTexts, together } from "./consensus.js";
import type { LossDefinition } from "./definition.js";
import type { Counted } from "./divisor.js";
import { checkJoinable, Joining, joinableAxes, type Lengths, pairFields, withoutPairs } from "./joined.js";
import {
  DENOMINATOR_LANES,
  denominatorLanes,
  readDenominator,
  readWalk,
  WALK_LANES,
  type Walked,
  walkLanes,
} from "./reduced.js";

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
  private signature: Json = null;

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
    const { own: local } = await consent(
      group,
      name,
      0,
      () => {
        checkJoinable(name, given);
        const bound = bindBatch(definition, options, withoutPairs(definition, options, given));
        prepare(bound);
        return bound;
      },
      (bound) => ({ signature: this.signed(bound, given), lanes: new BigInt64Array(0) }),
    );
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
    const found = await consent(group, objective.name, DENOMINATOR_LANES, open, ({ batch, counted }) => ({
      signature: objective.couples ? this.signature : this.signed(batch, given),
      lanes: denominatorLanes(counted.denominator),
    }));
    const { own: opened, sums } = found;
    const { denominator } = opened.counted;
    return { opened, denominator: isShared ? await readDenominator(group, sums, denominator) : denominator };
  }

  /** Walks over this rank's units; gives the tally of the whole group, and what any rank has to say. */
  async walk<Own extends Walked>(denominator: Denominator, walk: () => Own): Promise<Own> {
    const { group, objective, isShared, signature } = this;
    const { own, sums } = await consent(group, objective.name, WALK_LANES, walk, (found) => ({
      signature,
      lanes: walkLanes(found),
    }));
    if (!isShared) return own;
    return { ...own, ...(await readWalk(group, sums, own, denominator, objective.couples)) };
  }

  /**
   * Gives every rank the gradient of its own rows: what all ranks' units add to them, summed in rank order and rounded
   * once.
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
        const sum = await group.reduceScatterSum(
          new Float64Array(found.data as Float64Array),
          joining.counts(name, found),
        );
        own.data.set(sum);
      } else own.data.set(joining.rowsOf(name, found, group.rank) as Float64Array);
    }
  }

  /** Room for the gradients by a joined batch: float64 where the reference computes, so that sums are rounded once. */
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
    return together(this.group, this.objective.name, work, this.signature);
  }

  /** What of a batch must be the same on every rank. */
  private signed(batch: BoundBatch<object>, given: AnyBatch): Json {
    const { objective, call } = this;
    const { definition, contract, couples } = objective;
    const fields: Record<string, Json> = {};
    for (const name of Object.keys(definition.fields)) {
      const value = given[name];
      if (value === undefined) continue;
      const { holds } = specOf(definition.fields, name);
      const kind = isTensor(value) && (couples || holds === "reals") ? value.dtype : holds;
      // A learned scalar of a coupled loss stands in every unit's loss: replicas that differ are no one objective.
      const isScalar = couples && (!isTensor(value) || value.shape.length === 0);
      fields[name] = isScalar ? String(isTensor(value) ? value.data[0] : value) : kind;
    }
    const sizes = Object.entries(batch.sizes).filter(([axis]) => widths.includes(axis));
    const found = Object.fromEntries(sizes);
    this.signature = {
      contract: contract as unknown as Json,
      call,
      fields,
      widths: found,
      unitAxes: batch.unitShape.length,
    };
    return this.signature;
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
    const gather = async (name: string, own: Tensor) => {
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
