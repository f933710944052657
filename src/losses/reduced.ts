import type { Json } from "../contract/index.js";
import { Denominator, type Engine, ExactSum, type Group, LANES, type Note, Tally, total } from "../tally/index.js";
import { consent, gatherTexts } from "./consensus.js";

/** Lanes of a denominator: its counted weight, and whether groups are open. */
export const DENOMINATOR_LANES = LANES + 1;

const engines: readonly Engine[] = ["reference", "wasm"];
/** Lanes of a walk: its numerator, whether groups are open, whether there is something to say, batches, engines. */
export const WALK_LANES = LANES + 3 + engines.length;

/** What a walk gives to be reduced. */
export interface Walked {
  readonly tally: Tally;
  readonly notes: readonly Note[];
}

export function denominatorLanes({ counted, open }: Denominator): BigInt64Array {
  const lanes = new BigInt64Array(DENOMINATOR_LANES);
  counted.toLanes(lanes, 0);
  if (open.size > 0) lanes[LANES] = 1n;
  return lanes;
}

/** The denominator of all ranks from the sums of their lanes; open groups, whose number is not fixed, go as JSON. */
export async function readDenominator(group: Group, sums: BigInt64Array, own: Denominator): Promise<Denominator> {
  if (sums[LANES] === 0n) {
    return new Denominator(ExactSum.fromLanes(sums, 0), own.constant, undefined, own.contract);
  }
  const texts = await gatherTexts(group, JSON.stringify(own));
  const [first, ...others] = texts.map((text) => Denominator.fromJSON(JSON.parse(text)));
  return others.reduce((sum, next) => sum.merge(next), first!);
}

export function walkLanes({ tally, notes }: Walked): BigInt64Array {
  const lanes = new BigInt64Array(WALK_LANES);
  tally.numeratorSum.toLanes(lanes, 0);
  const flags = [tally.openKeys.length > 0, notes.length > 0, tally.batches];
  lanes.set([...flags, ...engines.map((name) => tally.engines.includes(name))].map(BigInt), LANES);
  return lanes;
}

/**
 * The tally of all ranks, and what any of them has to say, from the sums of their lanes.
 *
 * @param denominator - that of all ranks
 * @param isOneBatch - whether all ranks together made one batch
 */
export async function readWalk(
  group: Group,
  sums: BigInt64Array,
  own: Walked,
  denominator: Denominator,
  isOneBatch: boolean,
): Promise<Walked> {
  const [open, said, batches, ...ranBy] = sums.subarray(LANES);
  const notes = said === 0n ? [] : await gatherNotes(group, own.notes);
  if (open !== 0n) {
    const texts = await gatherTexts(group, JSON.stringify(own.tally));
    return { tally: total(texts.map((text) => Tally.fromJSON(JSON.parse(text)))), notes };
  }
  const { contract, unitAxes, couples } = own.tally;
  const tally = new Tally({
    contract,
    unitAxes,
    couples,
    engines: engines.filter((_, i) => ranBy[i] !== 0n),
    batches: isOneBatch ? 1 : Number(batches),
    numerator: ExactSum.fromLanes(sums, 0),
    denominator,
    openNumerators: new Map(),
  });
  return { tally, notes };
}

/** What the ranks have to say: one's own as it is, the others' with their rank. */
async function gatherNotes(group: Group, own: readonly Note[]): Promise<readonly Note[]> {
  const texts = await gatherTexts(group, JSON.stringify(own));
  return texts.flatMap((text, rank) => {
    if (rank === group.rank) return own;
    const notes = JSON.parse(text) as readonly Note[];
    return notes.map((note) => ({ ...note, message: `rank ${rank}: ${note.message}` }));
  });
}

/** What divides a step of which every rank knows a part. @throws on all ranks what one throws; `group` where they differ */
export async function denominatorOver(group: Group, where: string, work: () => Denominator): Promise<Denominator> {
  const { own, sums } = await consent(group, where, DENOMINATOR_LANES, work, (found) => ({
    signature: { contract: found.contract as unknown as Json },
    lanes: denominatorLanes(found),
  }));
  return readDenominator(group, sums, own);
}

/** The tally of a step of which every rank has a part. @throws as {@link denominatorOver} */
export async function walkOver(
  group: Group,
  where: string,
  denominator: Denominator,
  work: () => Walked,
): Promise<Walked> {
  const { own, sums } = await consent(group, where, WALK_LANES, work, (found) => ({
    signature: { contract: found.tally.contract as unknown as Json, unitAxes: found.tally.unitAxes },
    lanes: walkLanes(found),
  }));
  return readWalk(group, sums, own, denominator, false);
}
