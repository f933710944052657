import { canonicalText, firstDifference, type Json } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { type Group, LANES } from "../tally/index.js";

/** Lanes before a rank's own: ranks that failed, then sums and sums of squares of two pieces of a hash. */
const HEAD = 5;
/**
 * Lanes of a rank's own: an exact sum and five integers. Every call has as many, needed or not, so that ranks that make
 * different calls meet in one sum and learn from its signatures what differs.
 */
export const SHARED_LANES = LANES + 5;

/** What all ranks found together. */
export interface Agreed<Found> {
  /** This rank's own. */
  readonly own: Found;
  /** The sum of everybody's lanes. */
  readonly sums: BigInt64Array;
}

/** What of a rank's own work concerns the others. */
export interface Shared {
  /** What must be the same on every rank, as the text of JSON; nothing where they have agreed before. */
  readonly signature?: string;
  /** `SHARED_LANES` integers that are added over the ranks. */
  readonly lanes?: BigInt64Array;
}

const nothing: Shared = {};

/**
 * Does some work on every rank, makes sure that it came out alike, and adds integers of it: one all-reduce.
 *
 * A rank whose work throws takes part all the same, so that the others learn of it instead of waiting: its error is
 * thrown there as it is, and on the others as one of code `group` that names the rank. Whether signatures agree is read
 * off sums alone (numbers are equal where count · Σx² = (Σx)²), so all ranks come to the same answer; the signatures
 * themselves are exchanged only to name the first difference.
 */
export async function consent<Found>(
  group: Group,
  where: string,
  work: () => Found,
  share: (found: Found) => Shared = () => nothing,
): Promise<Agreed<Found>> {
  const lanes = new BigInt64Array(HEAD + SHARED_LANES);
  let text = "null";
  let own: Found | undefined;
  let failure: { readonly error: unknown } | undefined;
  try {
    own = work();
    const shared = share(own);
    text = shared.signature ?? text;
    const [low, high] = hashOf(text);
    lanes.set([0n, low, low * low, high, high * high]);
    if (shared.lanes) lanes.set(shared.lanes, HEAD);
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

/** Does some work on every rank that may fail on any: then it is an error of all. */
export async function together<Found>(
  group: Group,
  where: string,
  work: () => Found,
  signature?: string,
): Promise<Found> {
  const shared = signature === undefined ? nothing : { signature };
  return (await consent(group, where, work, () => shared)).own;
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
  const failed = texts.flatMap((text, rank) => (text === "" ? [] : [rank]));
  const others = failed.length > 1 ? `, and ranks ${failed.slice(1).join(", ")} failed too` : "";
  throw new LosswrightError({
    code: "group",
    where,
    field: `rank ${failed[0]}`,
    found: `a rank that failed: ${texts[failed[0]!]}${others}`,
    expected: "a batch on every rank that the objective can compute",
    fix: `look at rank ${failed[0]}; nothing is wrong on this one.`,
  });
}

/** What ranks may differ in, the most telling first, and what is to be done about it. */
const differences: readonly { readonly key: string; readonly expected: string; readonly fix: string }[] = [
  {
    key: "contract",
    expected: "one contract on every rank",
    fix: "make the objective from one contract (JSON) on all ranks.",
  },
  {
    key: "call",
    expected: "the same call on every rank, with the same options",
    fix: "a branch that only some ranks take must hold no call of the group.",
  },
  {
    key: "scalars",
    expected: "learned scalars that are equal on every rank",
    fix: "they are one parameter: add its gradient up over the ranks before each step, and start it alike.",
  },
  {
    key: "fields",
    expected: "the same fields on every rank, of the same dtype",
    fix: "prepare the batches of all ranks alike.",
  },
  {
    key: "widths",
    expected: "as many classes, and embeddings of one width, on every rank",
    fix: "look at the model of that rank: its outputs have another width.",
  },
];

/** @throws `group` with the first difference between rank 0 and the first rank unlike it */
async function tellDifference(group: Group, where: string, text: string): Promise<never> {
  const texts = await gatherTexts(group, text);
  const rank = texts.findIndex((other) => other !== texts[0]);
  const [first, other] = [texts[0]!, texts[rank]!].map((each) => (JSON.parse(each) ?? {}) as Signature);
  const isDifferent = ({ key }: { readonly key: string }) =>
    canonicalText(first![key] ?? null) !== canonicalText(other![key] ?? null);
  const { key, expected, fix } = differences.find(isDifferent) ?? { ...differences[1]!, key: "" };
  const found = key ? firstDifference(first![key] ?? null, other![key] ?? null, key) : "different calls";
  throw new LosswrightError({
    code: "group",
    where,
    field: `rank ${rank}`,
    found: `${found} on rank 0 and rank ${rank}`,
    expected,
    fix,
  });
}

type Signature = { readonly [key: string]: Json };

/** Two FNV-1a hashes, of 24 bits so that squares of so many ranks' still fit into a lane. */
function hashOf(text: string): readonly [bigint, bigint] {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    low = Math.imul(low ^ text.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(text.length - 1 - i), 0x01000193);
  }
  return [BigInt(low >>> 8), BigInt(high >>> 8)];
}
