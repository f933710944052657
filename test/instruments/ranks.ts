/** Ranks that run as concurrent functions of one thread: groups for tests, without threads or processes. */
import type { Carrier } from "../../src/group/carrier.js";
import { Collectives } from "../../src/group/collectives.js";
import type { Group } from "../../src/tally/index.js";

/** A place where all ranks leave something, and go on when everybody has. */
class Meeting {
  private waiting: { leave(all: readonly unknown[]): void; refuse(error: unknown): void }[] = [];
  private given: unknown[] = [];
  private failure: unknown;

  constructor(private readonly size: number) {}

  meet<Given>(rank: number, given: Given): Promise<readonly Given[]> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((leave, refuse) => {
      this.given[rank] = given;
      this.waiting.push({ leave: leave as never, refuse });
      if (this.waiting.length < this.size) return;
      const [all, waiting] = [this.given, this.waiting];
      [this.given, this.waiting] = [[], []];
      for (const { leave: go } of waiting) go(all);
    });
  }

  fail(reason: string): void {
    this.failure ??= new Error(reason);
    for (const { refuse } of this.waiting) refuse(this.failure);
  }
}

/** The groups of so many ranks. */
export function groupsOf(size: number): readonly Group[] {
  const meeting = new Meeting(size);
  return Array.from({ length: size }, (_, rank) => {
    const carrier: Carrier = {
      name: "threads",
      rank,
      size,
      gather: async (own) => (await meeting.meet(rank, own.slice())).map((bytes) => bytes.slice()),
      exchange: async (pieces) => {
        const all = await meeting.meet(
          rank,
          pieces.map((piece) => piece.slice()),
        );
        return all.map((given) => given[rank]!.slice());
      },
      fail: (reason) => meeting.fail(reason),
      close: async () => {},
    };
    return new Collectives(carrier);
  });
}

/** What a program gives on each of so many ranks. */
export function onRanks<Result>(size: number, program: (group: Group) => Promise<Result>): Promise<Result[]> {
  return Promise.all(groupsOf(size).map(program));
}

/** What a program throws on each of so many ranks. */
export function errorsOnRanks(size: number, program: (group: Group) => Promise<unknown>): Promise<unknown[]> {
  return onRanks(size, async (group) => {
    try {
      await program(group);
    } catch (error) {
      return error;
    }
    throw new Error(`rank ${group.rank} threw nothing`);
  });
}
