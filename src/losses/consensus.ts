import { canonicalText, firstDifference, type Json } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import type { Group } from "../tally/index.js";

/** Lanes before a rank's own: ranks that failed, then sums and sums of squares of two pieces of a hash. */
const HEAD = 5;

/** What all ranks found together. */
export interface Agreed<Found> {
  /** This rank's own. */
  readonly own: Found;
  /** The sum of everybody's lanes. */
  readonly sums: BigInt64Array;
}

/** What of a rank's own work concerns the others. */
export interface Shared {
  /** What must be the same on every rank. */
  readonly signature: Json;
  /** Integers that are added over the ranks. */
  readonly lanes: BigInt64Array;
}

/**
 * Does some work on every rank, makes sure that it came out alike, and adds integers of it: one all-reduce.
 *
 * A rank whose work throws takes part all the same, so that the others learn of it instead of waiting: its error is
 * thrown there as it is, and on the others as one of code `group` that names the rank. Whether signatures agree is read
 * off sums alone (numbers are equal where count · Σx² = (Σx)²), so all ranks come to the same answer; the signatures
 * themselves are exchanged only to name the first difference.
 *
 * @param width - how many lanes every rank has
 */
export async function consent<Found>(
  group: Group,
  where: string,
  width: number,
  work: () => Found,
  share: (found: Found) => Shared,
): Promise<Agreed<Found>> {
  const lanes = new BigInt64Array(HEAD + width);
  let text = "";
  let own: Found | undefined;
  let failure: { readonly error: unknown } | undefined;
  try {
    own = work();
    const shared = share(own);
    text = canonicalText(shared.signature);
    const [low, high] = hashOf(text);
    lanes.set([0n, low, low * low, high, high * high]);
    lanes.set(shared.lanes, HEAD);
  } catch (error) {
    failure = { error };
    lanes[0] = 1n;
  }
  const sums = await group.allReduceSum(lanes);
  if (sums[0] !== 0n) await tellFailure(group, where, failure);
  const ranks = BigInt(group.size);
  const isAlike = [1, 3].every((i) => ranks * sums[i + 1]! === sums[i]! * sums[i]!);
  if (!isAlike) await tellDifference(group, where, text);
  return { own: own!, sums: sums.subarray(HEAD) };
}

/**
 * Does some work on every rank that may fail on any: then it is an error of all.
 *
 * @param signature - what must be the same on every rank
 */
export async function together<Found>(
  group: Group,
  where: string,
  work: () => Found,
  signature: Json = null,
): Promise<Found> {
  const lanes = new BigInt64Array(0);
  return (await consent(group, where, 0, work, () => ({ signature, lanes }))).own;
}

/** Every rank's text, in rank order. */
export async function gatherTexts(group: Group, text: string): Promise<readonly string[]> {
  const gathered = await group.allGather(new TextEncoder().encode(text));
  return gathered.map((bytes) => new TextDecoder().decode(bytes));
}

/** @throws on every rank: the error itself where it happened, `group` on the others */
async function tellFailure(group: Group, where: string, failure?: { readonly error: unknown }): Promise<never> {
  const { error } = failure ?? {};
  const words = error instanceof LosswrightError ? error.message : String(error);
  const texts = await gatherTexts(group, failure ? words : "");
  if (failure) throw error;
  const rank = texts.findIndex((text) => text !== "");
  throw new LosswrightError({
    code: "group",
    where,
    field: `rank ${rank}`,
    found: `a rank that failed: ${texts[rank]}`,
    expected: "a batch on every rank that the objective can compute",
    fix: `look at rank ${rank}; the others are whole.`,
  });
}

/** @throws `group` with the first difference between rank 0 and the first rank unlike it */
async function tellDifference(group: Group, where: string, text: string): Promise<never> {
  const texts = await gatherTexts(group, text);
  const rank = texts.findIndex((other) => other !== texts[0]);
  const [first, other] = [texts[0]!, texts[rank]!].map((each) => JSON.parse(each) as Json);
  throw new LosswrightError({
    code: "group",
    where,
    field: `rank ${rank}`,
    found: `${firstDifference(first!, other!)} on rank 0 and rank ${rank}`,
    expected: "one contract, and fields of the same dtype and width, on every rank",
    fix: "make the objective from one contract (JSON) on all ranks, and prepare their batches alike.",
  });
}

/** Two FNV-1a hashes, of 24 bits so that squares of so many ranks' still fit into a lane. */
function hashOf(text: string): readonly [bigint, bigint] {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    low = Math.imul(low ^ text.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(text.length - 1 - i), 0x01000193);
  }
  return [BigInt(low >>> 8), BigInt(high >>> 8)];
}
