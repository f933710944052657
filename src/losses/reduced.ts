import { Denominator, type Engine, ExactSum, type Group, LANES, type Note, Tally, total } from "../tally/index.js";
import { consent, gatherTexts, SHARED_LANES } from "./consensus.js";

const engines: readonly Engine[] = ["reference", "wasm"];

/** What a walk gives to be reduced. */
export interface Walked {
  readonly tally: Tally;
  readonly notes: readonly Note[];
}

/** The counted weight of a denominator, and whether groups are open. */
export function denominatorLanes({ counted, open }: Denominator): BigInt64Array {
  const lanes = new BigInt64Array(SHARED_LANES);
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

/** The numerator of a walk, whether groups are open and something is to be said, batches, engines. */
export function walkLanes({ tally, notes }: Walked): BigInt64Array {
  const lanes = new BigInt64Array(SHARED_LANES);
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

/**
 * What divides a step of which every rank knows a part.
 *
 * @param contract - of the whole, which must be the same on every rank
 * @throws on all ranks what one throws; `group` where they differ
 */
export async function denominatorOver(
  group: Group,
  where: string,
  contract: object,
  work: () => Denominator,
): Promise<Denominator> {
  const { own, sums } = await consent(group, where, work, (found) => ({
    signature: JSON.stringify({ contract, call: "accumulation" }),
    lanes: denominatorLanes(found),
  }));
  return readDenominator(group, sums, own);
}

/** The tally of a step of which every rank has a part. @throws as {@link denominatorOver} */
export async function walkOver(
  group: Group,
  where: string,
  contract: object,
  denominator: Denominator,
  work: () => Walked,
): Promise<Walked> {
  const { own, sums } = await consent(group, where, work, (found) => ({
    signature: JSON.stringify({ contract, call: "accumulation", fields: { unitAxes: found.tally.unitAxes } }),
    lanes: walkLanes(found),
  }));
  return readWalk(group, sums, own, denominator, false);
}
