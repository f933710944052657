/** The collectives over one rank and over several that share memory in one thread, against plain loops. */
import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { LosswrightError } from "../errors/index.js";
import type { Exchanged, Group } from "../tally/index.js";
import type { Carrier } from "./carrier.js";
import { Collectives, share } from "./collectives.js";
import { groupMemory, SharedCarrier, SLOT_BYTES } from "./shared-carrier.js";
import { solo } from "./solo.js";

function carriersOf(size: number, timeoutSeconds = 20): SharedCarrier[] {
  const memory = groupMemory(size);
  return Array.from({ length: size }, (_, rank) => new SharedCarrier(memory, rank, timeoutSeconds));
}

const groupsOf = (size: number) => carriersOf(size).map((carrier) => new Collectives(carrier));

/** What all ranks come to, each an error where it throws. */
function outcomes<Result>(groups: readonly Group[], program: (group: Group) => Promise<Result>): Promise<unknown[]> {
  return Promise.all(
    groups.map((group) =>
      Promise.resolve(group)
        .then(program)
        .catch((error: unknown) => error),
    ),
  );
}

/** Whether arrays are of one kind and hold the same bits; `toEqual` takes seconds for large ones. */
function expectSame(given: unknown, wanted: Exchanged): void {
  const values = given as Exchanged;
  expect(values).toBeInstanceOf(wanted.constructor);
  const bytes = ({ buffer, byteOffset, byteLength }: Exchanged) => Buffer.from(buffer, byteOffset, byteLength);
  expect(values.length).toBe(wanted.length);
  expect(bytes(values).equals(bytes(wanted))).toBe(true);
}

const found = (errors: readonly unknown[]) => errors.map((error) => (error as LosswrightError).found);

describe.each([
  ["solo", () => [solo()]],
  ["1 rank in memory", () => groupsOf(1)],
  ["2 ranks", () => groupsOf(2)],
  ["3 ranks", () => groupsOf(3)],
  ["7 ranks", () => groupsOf(7)],
] as const)("collectives of %s", (name, make) => {
  const groups: readonly Group[] = make();
  const size = groups.length;
  const random = new Random(size);
  const lengths = [0, 1, 5, 700, 2 + Math.floor((SLOT_BYTES / 8) * 1.3)];

  it("know who they are", () => {
    expect(groups.map(({ rank }) => rank)).toEqual(Array.from({ length: size }, (_, rank) => rank));
    for (const group of groups) expect(group).toMatchObject({ size, carrier: name === "solo" ? "solo" : "threads" });
  });

  it.each(lengths)("add %i floats in rank order, and find the largest", async (length) => {
    const given = groups.map(() => Float64Array.from({ length }, () => random.real(1) * random.pick([1e-9, 1, 1e12])));
    const summed = await outcomes(groups, (group) => group.allReduceSum(given[group.rank]!));
    const largest = await outcomes(groups, (group) => group.allReduceMax(given[group.rank]!));
    const sums = Float64Array.from({ length }, (_, i) =>
      given.slice(1).reduce((sum, part) => sum + part[i]!, given[0]![i]!),
    );
    const most = Float64Array.from({ length }, (_, i) => Math.max(...given.map((part) => part[i]!)));
    for (const sum of summed) expectSame(sum, sums);
    for (const one of largest) expectSame(one, most);
  });

  it("know special values", async () => {
    const { NaN: none, POSITIVE_INFINITY: infinite } = Number;
    const special = Float64Array.of(none, infinite, -infinite, -0, 5e-324);
    const here = ({ rank }: Group) => (rank === size - 1 ? special : new Float64Array(5).fill(-0));
    for (const sum of await outcomes(groups, (group) => group.allReduceSum(here(group)))) expect(sum).toEqual(special);
    const most = Float64Array.of(none, infinite, size === 1 ? -infinite : -0, -0, 5e-324);
    for (const one of await outcomes(groups, (group) => group.allReduceMax(here(group)))) expect(one).toEqual(most);
  });

  it.each([0, 1, 70, 40_000])("add %i integers modulo 2^64", async (length) => {
    const integer = () => BigInt.asIntN(64, BigInt(random.integer(0, 2 ** 50)) * 0x9e3779b97f4a7c15n);
    const given = groups.map(() => BigInt64Array.from({ length }, integer));
    const sums = BigInt64Array.from({ length }, (_, i) => given.reduce((sum, part) => sum + part[i]!, 0n));
    for (const sum of await outcomes(groups, (group) => group.allReduceSum(given[group.rank]!))) expectSame(sum, sums);
  });

  it.each([
    ["floats", (length: number) => Float64Array.from({ length }, () => random.real(3))],
    ["single floats", (length: number) => Float32Array.from({ length }, () => random.real(3))],
    ["integers", (length: number) => Int32Array.from({ length }, () => random.integer(-(2 ** 31), 2 ** 31 - 1))],
    ["bytes", (length: number) => Uint8Array.from({ length }, () => random.integer(0, 255))],
    ["limbs", (length: number) => BigInt64Array.from({ length }, () => BigInt(random.integer(-1e9, 1e9)))],
  ] as const)("gather uneven and empty parts of %s", async (_, draw) => {
    for (const most of [0, 3, 1000, 300_000]) {
      const given: Exchanged[] = groups.map(() => draw(random.chance(0.3) ? 0 : random.integer(0, most)));
      // Each rank gives a part of a larger array, which begins at no round place.
      const parts = await outcomes(groups, ({ rank }) => {
        const whole = new (given[rank]!.constructor as Float64ArrayConstructor)(given[rank]!.length + 3);
        whole.set(given[rank] as Float64Array, 3);
        return groups[rank]!.allGather(whole.subarray(3));
      });
      for (const got of parts as Exchanged[][]) {
        expect(got.length).toBe(size);
        got.forEach((part, rank) => {
          expectSame(part, given[rank]!);
        });
      }
    }
  });

  it("give each rank its part of the sums, of any length", async () => {
    for (const most of [0, 4, 60_000]) {
      const counts = groups.map(() => (random.chance(0.3) ? 0 : random.integer(0, most)));
      const total = counts.reduce((sum, count) => sum + count, 0);
      const given = groups.map(() => Float64Array.from({ length: total }, () => random.real(1)));
      const got = await outcomes(groups, (group) => group.reduceScatterSum(given[group.rank]!, counts));
      let at = 0;
      for (const [rank, count] of counts.entries()) {
        const own = Float64Array.from({ length: count }, (_, i) =>
          given.slice(1).reduce((sum, part) => sum + part[at + i]!, given[0]![at + i]!),
        );
        expectSame(got[rank], own);
        at += count;
      }
    }
  });

  it("give arrays that nobody else holds", async () => {
    const values = Float64Array.of(1, 2);
    const all = (await outcomes(groups, (group) => group.allGather(values))) as Float64Array[][];
    for (const part of all.flat()) part.fill(7);
    expect(values).toEqual(Float64Array.of(1, 2));
    const again = (await outcomes(groups, (group) => group.allGather(values))) as Float64Array[][];
    expect(new Set([...all, ...again].flat().map(({ buffer }) => buffer)).size).toBe(2 * size * size);
    for (const { buffer } of again.flat()) expect(buffer).toBeInstanceOf(ArrayBuffer);
  });

  it("refuse at the call what no group can take, and go on", async () => {
    const group = groups[0]!;
    const refused = (act: () => unknown, says: RegExp) => expect(async () => act()).rejects.toThrow(says);
    await refused(() => group.allReduceSum([1] as never), /allReduceSum: values: found Array|found \[1\]/);
    await refused(() => group.allReduceMax(Float32Array.of(1) as never), /found Float32Array; expected a Float64Array/);
    await refused(
      () => group.allGather(new Uint16Array(1) as never),
      /found Uint16Array; expected one of Float64Array/,
    );
    const wrong: readonly unknown[] = [[], [...Array(size).keys()].map(() => 9), Array(size).fill(-1), "3", [0.5]];
    for (const counts of wrong) {
      await refused(() => group.reduceScatterSum(new Float64Array(3), counts as number[]), /counts: .*one a rank/);
    }
    expect(await outcomes(groups, (each) => each.barrier())).toEqual(groups.map(() => undefined));
  });

  it("count calls and bytes, each once a rank that gets it", async () => {
    const fresh: readonly Group[] = make();
    await outcomes(fresh, async (group) => {
      await group.barrier();
      await group.allGather(new Uint8Array(10 * (group.rank + 1)));
    });
    const header = 32 * (size - 1);
    const total = 10 * ((size * (size + 1)) / 2);
    for (const { rank, traffic } of fresh) {
      const own = 10 * (rank + 1);
      const received = 2 * header + total - own;
      expect(traffic).toEqual({ collectives: 2, sent: 2 * header + own * (size - 1), received });
    }
  });

  it("refuse a second call before the first has ended, and any after close", async () => {
    const fresh: readonly Group[] = make();
    const both = await outcomes(fresh, async (group) => {
      const first = group.barrier();
      const second = await group.allReduceSum(Float64Array.of(1)).catch((error: unknown) => error);
      await first;
      return second;
    });
    for (const error of both) {
      expect(error).toMatchObject({ code: "argument", found: "allReduceSum while barrier is under way" });
    }
    for (const group of fresh) await group.close();
    await fresh[0]!.close();
    for (const error of await outcomes(fresh, (group) => group.barrier())) {
      expect(error).toMatchObject({ code: "group", found: "a call after close()" });
    }
  });
});

describe("ranks that do not agree", () => {
  const one = Float64Array.of(1);
  it.each<readonly [string, (group: Group) => Promise<unknown>, (group: Group) => Promise<unknown>, string]>([
    [
      "call",
      (group) => group.allReduceSum(one),
      (group) => group.allReduceMax(one),
      "allReduceMax of float64 [1] on rank 2 where rank 0 calls allReduceSum of float64 [1]",
    ],
    [
      "barrier",
      (group) => group.barrier(),
      (group) => group.allReduceMax(one),
      "allReduceMax of float64 [1] on rank 2 where rank 0 calls barrier",
    ],
    [
      "element type",
      (group) => group.allGather(new Float32Array(2)),
      (group) => group.allGather(new Int32Array(2)),
      "allGather of int32 [2] on rank 2 where rank 0 calls allGather of float32 [2]",
    ],
    [
      "length",
      (group) => group.allReduceSum(new Float64Array(2)),
      (group) => group.allReduceSum(new Float64Array(3)),
      "allReduceSum of float64 [3] on rank 2 where rank 0 calls allReduceSum of float64 [2]",
    ],
    [
      "counts",
      (group) => group.reduceScatterSum(new Float64Array(3), [1, 2, 0]),
      (group) => group.reduceScatterSum(new Float64Array(3), [1, 1, 1]),
      "other counts on rank 2 than on rank 0, in reduceScatterSum of float64 [3]",
    ],
  ])("in their %s get one error, which names the first difference", async (_, usual, other, says) => {
    const groups = groupsOf(3);
    const errors = await outcomes(groups, (group) => (group.rank === 2 ? other : usual)(group));
    for (const error of errors) expect(error).toMatchObject({ code: "group", found: says });
    // It stays the answer.
    expect(await outcomes(groups, (group) => group.barrier())).toEqual(errors);
  });
});

describe("ranks in shared memory", () => {
  it("exchange any bytes with anybody, in rounds", async () => {
    const random = new Random(1);
    for (const size of [2, 3, 5]) {
      const carriers = carriersOf(size);
      for (const most of [0, 1, 90, SLOT_BYTES, 3 * SLOT_BYTES]) {
        const length = () => (random.chance(0.3) ? 0 : random.integer(0, most));
        const pieces = carriers.map(() =>
          carriers.map(() => new Uint8Array(length()).map(() => random.integer(0, 255))),
        );
        const got = await Promise.all(
          carriers.map((carrier, rank) => {
            const lengths = pieces.map((sent) => sent[rank]!.length);
            return carrier.exchange(pieces[rank]!, lengths, "exchange");
          }),
        );
        got.forEach((parts, rank) => {
          parts.forEach((part, from) => {
            expect(part.byteOffset % 8).toBe(0);
            expect(Buffer.from(part).equals(pieces[from]![rank]!)).toBe(true);
          });
        });
      }
    }
  });

  it("give the same bits whoever comes first", async () => {
    const random = new Random(1);
    const given = Array.from({ length: 4 }, () => Float64Array.from({ length: 9000 }, () => random.real(1e3)));
    const sums = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const late = given.map(() => random.integer(0, 12));
      for (const sum of await outcomes(groupsOf(4), async (group) => {
        await new Promise((done) => setTimeout(done, late[group.rank]));
        return group.allReduceSum(given[group.rank]!);
      })) {
        sums.add(Buffer.from((sum as Float64Array).buffer).toString("base64"));
      }
    }
    expect(sums.size).toBe(1);
  });

  it("let the thread do other things while they wait", async () => {
    const [first, second] = groupsOf(2) as readonly Group[] as readonly [Group, Group];
    let beats = 0;
    const timer = setInterval(() => beats++, 1);
    const waiting = first.barrier();
    while (beats < 20) await new Promise((done) => setTimeout(done, 1));
    await second.barrier();
    await waiting;
    clearInterval(timer);
    expect(beats).toBeGreaterThanOrEqual(20);
  });

  it("hear which rank failed first and why, at once and ever after", async () => {
    const carriers = carriersOf(3);
    const groups = carriers.map((carrier) => new Collectives(carrier));
    const waiting = outcomes(groups.slice(0, 2), (group) => group.barrier());
    carriers[2]!.fail("RangeError: no room");
    carriers[0]!.fail("what came second");
    const errors = await waiting;
    for (const error of errors) {
      expect(error).toBeInstanceOf(LosswrightError);
      expect(error).toMatchObject({ code: "group", found: "rank 2 failed: RangeError: no room" });
    }
    const later = await outcomes(groups, (group) => group.allGather(new Uint8Array(1)));
    expect(found(later)).toEqual(Array(3).fill("rank 2 failed: RangeError: no room"));
    expect(later.slice(0, 2)).toEqual(errors);
    for (const group of groups) await group.close();
  });

  it("hear the words of a rank in any writing, and of long ones the beginning", async () => {
    for (const reason of ["Größe 1 ≠ 2 🙂 \ud800", "\u0001".repeat(5000), "語".repeat(5000)]) {
      const carriers = carriersOf(2);
      carriers[1]!.fail(reason);
      const [error] = await outcomes([new Collectives(carriers[0]!)], (group) => group.barrier());
      const { found: said } = error as LosswrightError;
      const whole = `rank 1 failed: ${reason}`;
      expect(whole.startsWith(said.replace(/…$/, ""))).toBe(true);
      expect(said.length).toBeGreaterThan(Math.min(whole.length - 1, 1000));
    }
  });

  it("complete a meeting to which all came, whatever failed since", async () => {
    const carriers = carriersOf(2);
    const groups = carriers.map((carrier) => new Collectives(carrier));
    const waiting = groups[0]!.barrier();
    const last = groups[1]!.barrier();
    carriers[1]!.fail("after the barrier");
    await expect(Promise.all([waiting, last])).resolves.toBeDefined();
    await expect(groups[0]!.barrier()).rejects.toThrow(/rank 1 failed: after the barrier/);
  });

  it("do not wait for one that is gone, but for one that is late", async () => {
    const leave = async (act: (carrier: SharedCarrier) => unknown) => {
      const carriers = carriersOf(3);
      const groups = carriers.map((carrier) => new Collectives(carrier));
      await outcomes(groups, (group) => group.barrier());
      const waiting = outcomes(groups.slice(0, 2), (group) => group.allGather(new Uint8Array(3)));
      await new Promise((done) => setTimeout(done, 5));
      await act(carriers[2]!);
      return found(await waiting);
    };
    const closed = "rank 2 closed the group and did not come to allGather";
    expect(await leave((carrier) => carrier.close())).toEqual([closed, closed]);
    const ended = "rank 2 ended and did not come to allGather";
    expect(await leave((carrier) => carrier.end(2))).toEqual([ended, ended]);
  });

  it("name those who do not come in time", async () => {
    const groups = carriersOf(4, 0.05).map((carrier) => new Collectives(carrier));
    const late = "ranks 1 and 3 did not come to allReduceMax within 0.05 s";
    const act = (group: Group) => group.allReduceMax(Float64Array.of(1));
    expect(found(await outcomes([groups[0]!, groups[2]!], act))).toEqual([late, late]);
    // Who comes too late hears of it too.
    expect(found(await outcomes([groups[1]!], act))).toEqual([late]);
    const other = carriersOf(5, 0.05).map((carrier) => new Collectives(carrier));
    expect(found(await outcomes([other[4]!], act))).toEqual([
      "ranks 0, 1, 2 and 3 did not come to allReduceMax within 0.05 s",
    ]);
  });

  it("tell the others when one fails inside a call", async () => {
    const carriers = carriersOf(2);
    const groups = carriers.map((carrier) => new Collectives(carrier));
    carriers[1]!.gather = async () => {
      throw new RangeError("Array buffer allocation failed");
    };
    const errors = await outcomes(groups, (group) => group.barrier());
    expect(found(errors.slice(0, 1))).toEqual(["rank 1 failed: RangeError: Array buffer allocation failed"]);
    expect(errors[1]).toBeInstanceOf(RangeError);
  });

  it("refuse memory that another version laid out", () => {
    const memory = groupMemory(2);
    new Int32Array(memory)[0]! += 1;
    expect(() => new SharedCarrier(memory, 1, 1)).toThrow(/another version of losswright/);
  });

  it("are found again after many thousands of meetings", async () => {
    const groups = groupsOf(2);
    const all = await outcomes(groups, async (group) => {
      let sum = 0;
      for (let i = 0; i < 1500; i++) {
        const [first, second] = await group.allGather(Float64Array.of(i + group.rank));
        sum += first![0]! * 2 - second![0]!;
      }
      return sum;
    });
    expect(all).toEqual([(1500 * 1499) / 2 - 1500, (1500 * 1499) / 2 - 1500]);
  });
});

describe("a carrier that adds by itself", () => {
  it("adds integers, and floats are added in rank order all the same", async () => {
    const added: BigInt64Array[] = [];
    const alone: Carrier = {
      name: "mpi",
      rank: 0,
      size: 1,
      gather: async (own) => [own.slice()],
      exchange: async ([own]) => [own!.slice()],
      addIntegers: async (lanes) => {
        added.push(lanes);
        return lanes.slice();
      },
      fail() {},
      close: async () => {},
    };
    const group = new Collectives(alone);
    const lanes = BigInt64Array.of(3n, -4n);
    expect(await group.allReduceSum(lanes)).toEqual(lanes);
    expect(await group.allReduceSum(Float64Array.of(0.5))).toEqual(Float64Array.of(0.5));
    expect(added).toEqual([lanes]);
  });
});

describe("shares", () => {
  it("cut any count as evenly as can be", () => {
    for (const count of [0, 1, 7, 100, 101]) {
      for (const size of [1, 2, 3, 7]) {
        const shares = Array.from({ length: size }, (_, rank) => share(count, size, rank));
        expect(shares.reduce((sum, one) => sum + one, 0)).toBe(count);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }
    }
  });
});
