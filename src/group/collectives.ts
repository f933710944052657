import { LosswrightError } from "../errors/index.js";
import type { Exchanged, Group, Traffic } from "../tally/index.js";
import type { Carrier } from "./carrier.js";

/** The collectives, by the number that stands for them in the header of a call. */
const calls = ["allReduceSum", "allReduceMax", "allGather", "reduceScatterSum", "barrier"] as const;
type Call = (typeof calls)[number];

/** Element types, likewise. */
const kinds = [
  { name: "float64", of: Float64Array },
  { name: "float32", of: Float32Array },
  { name: "int32", of: Int32Array },
  { name: "uint8", of: Uint8Array },
  { name: "int64 limbs", of: BigInt64Array },
] as const;

/** Entries of a header: the call, the element type, how many entries, and a hash of `counts`. */
const HEADER = 4;
/** Sums of so many bytes in all are formed from everybody's values; larger ones part by part, each by one rank. */
const SMALL = 65_536;

/**
 * The group that every carrier makes: checks that the ranks do the same thing, forms sums in rank order, counts bytes.
 *
 * A call begins with a header that every rank gathers, so a rank that calls another function, or gives another element
 * type or size, is an error on all ranks, which names it, and never a wait without an end.
 */
export class Collectives implements Group {
  readonly rank: number;
  readonly size: number;
  readonly carrier: Carrier["name"];
  private readonly by: Carrier;
  private collectives = 0;
  private sent = 0;
  private received = 0;
  private current: Call | undefined;
  private ended: LosswrightError | undefined;

  constructor(by: Carrier) {
    this.by = by;
    this.rank = by.rank;
    this.size = by.size;
    this.carrier = by.name;
  }

  get traffic(): Traffic {
    const { collectives, sent, received } = this;
    return { collectives, sent, received };
  }

  allReduceSum(values: Float64Array): Promise<Float64Array>;
  allReduceSum(values: BigInt64Array): Promise<BigInt64Array>;
  async allReduceSum(values: Float64Array | BigInt64Array): Promise<Float64Array | BigInt64Array> {
    const expected = "a Float64Array, or a BigInt64Array of limbs";
    if (values instanceof BigInt64Array) return this.call("allReduceSum", values, () => this.addIntegers(values));
    this.check("allReduceSum", values instanceof Float64Array, values, expected);
    return this.call("allReduceSum", values, () => this.reduce("allReduceSum", values, addTo));
  }

  async allReduceMax(values: Float64Array): Promise<Float64Array> {
    this.check("allReduceMax", values instanceof Float64Array, values, "a Float64Array");
    return this.call("allReduceMax", values, () => this.reduce("allReduceMax", values, raiseTo));
  }

  async allGather<Values extends Exchanged>(values: Values): Promise<Values[]> {
    const kind = kinds.find(({ of }) => values instanceof of);
    this.check("allGather", kind, values, `one of ${kinds.map(({ of }) => of.name).join(", ")}`);
    return this.call("allGather", values, async (lengths) => {
      const bytes = lengths.map((length) => length * values.BYTES_PER_ELEMENT);
      const gathered = await this.gather("allGather", bytesOf(values), bytes);
      return gathered.map(
        (part, rank) => new kind!.of(part.buffer as ArrayBuffer, part.byteOffset, lengths[rank]) as Values,
      );
    });
  }

  async reduceScatterSum(values: Float64Array, counts: readonly number[]): Promise<Float64Array> {
    this.check("reduceScatterSum", values instanceof Float64Array, values, "a Float64Array");
    const total = Array.isArray(counts) && counts.length === this.size ? counts.reduce((a, b) => a + b, 0) : Number.NaN;
    const isCounts = total === values.length && counts.every((count) => Number.isInteger(count) && count >= 0);
    const expected = `${this.size} whole numbers, one a rank, which add up to the ${values.length} entries`;
    this.check("reduceScatterSum", isCounts, counts, expected, "counts");
    return this.call("reduceScatterSum", values, () => this.scatter("reduceScatterSum", values, counts, addTo), counts);
  }

  async barrier(): Promise<void> {
    await this.call("barrier", new Uint8Array(0), async () => {});
  }

  async close(): Promise<void> {
    if (this.current) throw this.busy("close");
    if (this.ended) return;
    this.ended = this.error("a call after close()", "a group that is open", "close the group at the end of the run.");
    await this.by.close();
  }

  /** One collective: the header first, then its own part. */
  private async call<Result>(
    name: Call,
    values: Exchanged,
    run: (lengths: readonly number[]) => Promise<Result>,
    counts?: readonly number[],
  ): Promise<Result> {
    if (this.ended) throw this.ended;
    if (this.current) throw this.busy(name);
    this.current = name;
    try {
      this.collectives++;
      return await run(await this.agree(name, values, counts));
    } catch (error) {
      this.ended = error as LosswrightError;
      // A rank whose error the others do not know of would leave them waiting.
      if (!(error instanceof LosswrightError && error.code === "group")) this.by.fail(String(error));
      throw error;
    } finally {
      this.current = undefined;
    }
  }

  /** Gathers everybody's header; gives how many entries each rank has. @throws `group` where ranks do not agree */
  private async agree(name: Call, values: Exchanged, counts?: readonly number[]): Promise<readonly number[]> {
    const kind = kinds.findIndex(({ of }) => values instanceof of);
    const own = Float64Array.of(calls.indexOf(name), kind, values.length, counts ? hashOf(counts) : 0);
    const gathered = await this.gather(name, bytesOf(own), new Array(this.size).fill(own.byteLength));
    const headers = gathered.map(({ buffer, byteOffset }) => new Float64Array(buffer, byteOffset, HEADER));
    const first = headers[0]!;
    const lengthsMayDiffer = name === "allGather";
    const differs = (header: Float64Array) =>
      header.some((entry, i) => entry !== first[i] && !(lengthsMayDiffer && i === 2));
    const other = headers.findIndex(differs);
    if (other === -1) return headers.map((header) => header[2]!);
    const [here, there] = [wordsOf(first), wordsOf(headers[other]!)];
    const found =
      here === there
        ? `other counts on rank ${other} than on rank 0, in ${here}`
        : `${there} on rank ${other} where rank 0 calls ${here}`;
    throw this.error(found, "the same call on every rank, in the same order", fixOf(first, headers[other]!));
  }

  private async addIntegers(lanes: BigInt64Array): Promise<BigInt64Array> {
    const { by, size } = this;
    if (by.addIntegers) {
      // What the best algorithms move: every lane but the rank's own out and in, once for the sum, once for the result.
      const moved = Math.round((2 * lanes.byteLength * (size - 1)) / size);
      this.sent += moved;
      this.received += moved;
      return by.addIntegers(lanes, "allReduceSum");
    }
    const parts = await this.gather("allReduceSum", bytesOf(lanes), new Array(size).fill(lanes.byteLength));
    const sum = new BigInt64Array(lanes.length);
    for (const { buffer, byteOffset } of parts) {
      const part = new BigInt64Array(buffer, byteOffset, lanes.length);
      for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
    }
    return sum;
  }

  /** Everybody's values joined entry by entry, in rank order. */
  private async reduce(name: Call, values: Float64Array, join: Join): Promise<Float64Array> {
    const { size } = this;
    const bytes = values.byteLength;
    if (bytes * size <= SMALL) {
      return joined(await this.gather(name, bytesOf(values), new Array(size).fill(bytes)), values.length, join);
    }
    const counts = Array.from({ length: size }, (_, r) => share(values.length, size, r));
    const own = await this.scatter(name, values, counts, join);
    const parts = await this.gather(
      name,
      bytesOf(own),
      counts.map((count) => 8 * count),
    );
    const all = new Float64Array(values.length);
    let at = 0;
    for (const part of parts) {
      all.set(new Float64Array(part.buffer, part.byteOffset, part.byteLength / 8), at);
      at += part.byteLength / 8;
    }
    return all;
  }

  /** This rank's part of everybody's values, joined in rank order. */
  private async scatter(
    name: Call,
    values: Float64Array,
    counts: readonly number[],
    join: Join,
  ): Promise<Float64Array> {
    const { by, rank, size } = this;
    let at = 0;
    const pieces = counts.map((count) => {
      at += count;
      return bytesOf(values.subarray(at - count, at));
    });
    const own = 8 * counts[rank]!;
    this.sent += values.byteLength - own;
    this.received += own * (size - 1);
    return joined(await by.exchange(pieces, new Array(size).fill(own), name), counts[rank]!, join);
  }

  private gather(name: Call, own: Uint8Array, lengths: readonly number[]): Promise<Uint8Array[]> {
    this.sent += own.byteLength * (this.size - 1);
    this.received += lengths.reduce((sum, length) => sum + length, 0) - own.byteLength;
    return this.by.gather(own, lengths, name);
  }

  private check(name: Call, isRight: unknown, found: unknown, expected: string, field = "values"): asserts isRight {
    if (isRight) return;
    const shown = Array.isArray(found) ? `[${found.join(", ")}]` : ((found as object)?.constructor?.name ?? found);
    throw new LosswrightError({ code: "argument", where: name, field, found: String(shown), expected });
  }

  private busy(name: string): LosswrightError {
    return new LosswrightError({
      code: "argument",
      where: "group",
      found: `${name} while ${this.current} is under way`,
      expected: "one call of a group at a time",
      fix: "await the first one: all ranks must make their calls in one order.",
    });
  }

  private error(found: string, expected: string, fix: string): LosswrightError {
    return new LosswrightError({ code: "group", where: "group", found, expected, fix });
  }
}

/** Joins one rank's values with those of the ranks before it. */
type Join = (all: Float64Array, part: Float64Array) => void;

const addTo: Join = (all, part) => {
  for (let i = 0; i < all.length; i++) all[i]! += part[i]!;
};

const raiseTo: Join = (all, part) => {
  for (let i = 0; i < all.length; i++) all[i] = Math.max(all[i]!, part[i]!);
};

function joined(parts: readonly Uint8Array[], length: number, join: Join): Float64Array {
  const [first, ...others] = parts.map(({ buffer, byteOffset }) => new Float64Array(buffer, byteOffset, length));
  const all = first!.slice();
  for (const part of others) join(all, part);
  return all;
}

function bytesOf({ buffer, byteOffset, byteLength }: Exchanged): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** How many of so many entries fall to a rank, where they are cut as evenly as can be. */
export function share(count: number, size: number, rank: number): number {
  return Math.floor(((rank + 1) * count) / size) - Math.floor((rank * count) / size);
}

/** FNV-1a over 32-bit words. */
function hashOf(counts: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const count of counts) hash = Math.imul(hash ^ (count | 0), 0x01000193);
  return hash >>> 0;
}

function wordsOf([call, kind, length]: Float64Array): string {
  return calls[call!] === "barrier" ? "barrier" : `${calls[call!]} of ${kinds[kind!]!.name} [${length}]`;
}

function fixOf(first: Float64Array, other: Float64Array): string {
  if (first[0] !== other[0]) return "a branch that only some ranks take must hold no call of the group.";
  if (first[1] !== other[1]) return "convert the values to one element type on every rank.";
  return "give as many entries on every rank; allGather alone takes parts of different lengths.";
}
