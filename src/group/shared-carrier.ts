import { LosswrightError } from "../errors/index.js";
import { coreCount } from "../host/index.js";
import type { Carrier } from "./carrier.js";

/** Says what the memory is: another build of the library may lay it out otherwise. */
const LAYOUT = 0x6c770001;

/** Cells of the memory, in 32-bit words; `came` and `gone` of every rank follow. */
const Cell = {
  layout: 0,
  size: 1,
  /** Raised when a meeting is complete, when a rank leaves and when one fails; what ranks wait on. */
  signal: 2,
  /** Meetings to which every rank came. */
  met: 3,
  /** Ranks that have come to the meeting under way. */
  here: 4,
  /** 1 while a failure is written down, 2 when it can be read. */
  failed: 5,
  /** Bytes of the failure's words. */
  said: 6,
} as const;
const CAME = 8;

/** How a rank went. */
const Gone = { closed: 1, ended: 2 } as const;

const RECORD_BYTES = 16_384;
/** Letters of a failure that are kept; each takes at most six bytes. */
const LONGEST_REASON = 1500;
/** What a rank can say at once; longer messages go in rounds. */
export const SLOT_BYTES = 262_144;

/** How often a rank looks for the others before it sleeps, where every rank has a core: a few microseconds. */
const SPINS = 500;
/** Milliseconds between two looks where the runtime cannot wake a rank that waits. */
const POLL = 1;

/** What all ranks are told of a failure. */
interface Failure {
  readonly rank: number;
  readonly found: string;
  readonly expected: string;
  readonly fix: string;
}

type WaitAsync = (
  cells: Int32Array,
  index: number,
  value: number,
) => { readonly async: false } | { readonly async: true; readonly value: Promise<string> };

/** Memory for a group of so many ranks; one alone needs none that can be shared. */
export function groupMemory(size: number): ArrayBufferLike {
  const { slotsAt, slotStride } = layoutOf(size);
  const bytes = slotsAt + 2 * size * slotStride;
  const memory = size === 1 ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);
  const cells = new Int32Array(memory, 0, CAME);
  cells[Cell.layout] = LAYOUT;
  cells[Cell.size] = size;
  return memory;
}

/**
 * Moves bytes between threads of a process through memory that they share: every rank writes what it has into its slot,
 * all meet, and every rank reads what it wants from the others' slots. A rank has two slots and takes them in turn: it
 * writes into one again only after a meeting to which every rank came having read it. So each round is one meeting.
 *
 * Ranks wait without blocking their thread, since event loops must go on: the main thread of a page may not block at all.
 */
export class SharedCarrier implements Carrier {
  readonly name = "threads";
  readonly size: number;
  /** The group's failure as this rank threw it. */
  thrown: LosswrightError | undefined;
  private readonly cells: Int32Array;
  private readonly spins: number;
  private readonly causes = new Map<number, unknown>();
  private turn = 0;
  private sleep: Promise<void> | undefined;

  constructor(
    readonly memory: ArrayBufferLike,
    readonly rank: number,
    private readonly timeoutSeconds: number,
  ) {
    const cells = new Int32Array(memory);
    if (cells[Cell.layout] !== LAYOUT) {
      throw new LosswrightError({
        code: "group",
        where: "threads",
        found: "another version of losswright in the module of the other ranks than in this one",
        expected: "one version in all of them",
        fix: "build both from the same installation.",
      });
    }
    this.size = cells[Cell.size]!;
    this.cells = cells;
    this.spins = this.size <= coreCount() ? SPINS : 0;
  }

  async gather(own: Uint8Array, lengths: readonly number[], during: string): Promise<Uint8Array[]> {
    const parts = lengths.map((length) => new Uint8Array(length));
    parts[this.rank]!.set(own);
    const longest = Math.max(...lengths);
    for (let from = 0; from < longest; from += SLOT_BYTES) {
      this.slot(this.rank).set(own.subarray(from, from + SLOT_BYTES));
      await this.meet(during);
      parts.forEach((part, other) => {
        if (other === this.rank || part.length <= from) return;
        part.set(this.slot(other).subarray(0, part.length - from), from);
      });
      this.turn ^= 1;
    }
    return parts;
  }

  async exchange(pieces: readonly Uint8Array[], lengths: readonly number[], during: string): Promise<Uint8Array[]> {
    const { rank, size } = this;
    const parts = lengths.map((length) => new Uint8Array(length));
    parts[rank]!.set(pieces[rank]!);
    // A rank's pieces for the others follow one another as one stream; where each begins is told in the first round.
    const own = new Float64Array(size + 1);
    for (let other = 0; other < size; other++) {
      own[other + 1] = own[other]! + (other === rank ? 0 : pieces[other]!.length);
    }
    this.starts(rank).set(own);
    let streams: Float64Array[] = [];
    let longest = 0;
    for (let from = 0; from === 0 || from < longest; from += SLOT_BYTES) {
      pieces.forEach((piece, other) => {
        if (other !== rank) copyWindow(piece, own[other]!, this.slot(rank), from);
      });
      await this.meet(during);
      if (from === 0) {
        streams = parts.map((_, other) => this.starts(other).slice());
        longest = Math.max(...streams.map((starts) => starts[size]!));
      }
      parts.forEach((part, other) => {
        if (other !== rank) readWindow(part, streams[other]![rank]!, this.slot(other), from);
      });
      this.turn ^= 1;
    }
    return parts;
  }

  /** Waits until every rank has come. @throws `group` when one failed, left or did not come in time */
  async meet(during: string): Promise<void> {
    const { cells, rank, size } = this;
    if (Atomics.load(cells, Cell.failed) === 2) throw this.failure();
    const meeting = (Atomics.load(cells, Cell.met) + 1) | 0;
    Atomics.store(cells, CAME + rank, meeting);
    if (Atomics.add(cells, Cell.here, 1) === size - 1) {
      // Nobody comes to the next meeting before this one is complete.
      Atomics.store(cells, Cell.here, 0);
      Atomics.store(cells, Cell.met, meeting);
      this.signal();
      return;
    }
    for (let spin = 0; spin < this.spins; spin++) if (Atomics.load(cells, Cell.met) === meeting) return;
    let wake = () => {};
    this.sleep = new Promise((done) => {
      wake = done;
    });
    try {
      // Awaited by nobody else, or the engine would lose the caller's lines from the stack of an error.
      await this.sleepUntil(meeting, during);
    } finally {
      this.sleep = undefined;
      wake();
    }
  }

  /** Comes when this rank waits no more for others, be it for a meeting or with a failure thrown. */
  async awake(): Promise<void> {
    await this.sleep;
  }

  fail(reason: string): void {
    this.failFor(this.rank, reason);
  }

  /**
   * Writes down that a rank failed, unless another failed before.
   *
   * @param cause - what it threw, for this thread's own error
   */
  failFor(rank: number, reason: string, cause?: unknown): void {
    if (cause !== undefined) this.causes.set(rank, cause);
    this.write({
      rank,
      found: `rank ${rank} failed: ${reason}`,
      expected: "ranks that go on to the end",
      fix: "see what that rank says: the others only waited for it.",
    });
  }

  /** Writes down what ends the group, unless something did before, and wakes everybody. */
  write(failure: Failure): void {
    const { cells } = this;
    if (Atomics.compareExchange(cells, Cell.failed, 0, 1) !== 0) return;
    const { found } = failure;
    const kept = found.length > LONGEST_REASON ? `${found.slice(0, LONGEST_REASON)}…` : found;
    const bytes = new TextEncoder().encode(JSON.stringify({ ...failure, found: kept }));
    this.record().set(bytes);
    Atomics.store(cells, Cell.said, bytes.length);
    Atomics.store(cells, Cell.failed, 2);
    this.signal();
  }

  /** The rank that ended the group, or undefined. */
  get failedRank(): number | undefined {
    return Atomics.load(this.cells, Cell.failed) === 2 ? this.read().rank : undefined;
  }

  async close(): Promise<void> {
    this.leave(this.rank, Gone.closed);
  }

  /** Marks that a rank's program has ended; nobody need wait for it. */
  end(rank: number): void {
    this.leave(rank, Gone.ended);
  }

  private leave(rank: number, how: number): void {
    const { cells, size } = this;
    if (Atomics.compareExchange(cells, CAME + size + rank, 0, how) === 0) this.signal();
  }

  private signal(): void {
    Atomics.add(this.cells, Cell.signal, 1);
    Atomics.notify(this.cells, Cell.signal);
  }

  /** Waits for a meeting to which this rank has come. A meeting that is complete counts, whatever failed since. */
  private async sleepUntil(meeting: number, during: string): Promise<void> {
    const { cells, timeoutSeconds } = this;
    const deadline = performance.now() + 1000 * timeoutSeconds;
    for (;;) {
      const seen = Atomics.load(cells, Cell.signal);
      if (Atomics.load(cells, Cell.met) === meeting) return;
      if (Atomics.load(cells, Cell.failed) === 2) throw this.failure();
      const missing = Array.from({ length: this.size }, (_, rank) => rank).filter(
        (rank) => Atomics.load(cells, CAME + rank) !== meeting,
      );
      const gone = missing.find((rank) => Atomics.load(cells, CAME + this.size + rank) !== 0);
      const left = deadline - performance.now();
      if (gone !== undefined) this.write(this.goneFrom(gone, during));
      else if (left <= 0) this.write(lateFor(missing, during, timeoutSeconds));
      // Somebody died with the pen in hand: the failure will never be readable.
      if (left <= -1000) throw this.errorOf(lateFor(missing, during, timeoutSeconds));
      await change(cells, Cell.signal, seen, Math.max(left, 10));
    }
  }

  private goneFrom(rank: number, during: string): Failure {
    const closed = Atomics.load(this.cells, CAME + this.size + rank) === Gone.closed;
    return {
      rank,
      found: `rank ${rank} ${closed ? "closed the group" : "ended"} and did not come to ${during}`,
      expected: "every rank in every call",
      fix: during.startsWith("threads(")
        ? `let the module call \`await ${during}\` before anything else of the group.`
        : "a branch that only some ranks take must hold no call of the group.",
    };
  }

  private failure(): LosswrightError {
    this.thrown ??= this.errorOf(this.read());
    return this.thrown;
  }

  private errorOf({ rank, found, expected, fix }: Failure): LosswrightError {
    const cause = this.causes.get(rank);
    const details = { code: "group", where: "group", found, expected, fix } as const;
    return new LosswrightError(details, cause === undefined ? {} : { cause });
  }

  private read(): Failure {
    // Decoders take no shared memory.
    const bytes = this.record().slice(0, Atomics.load(this.cells, Cell.said));
    return JSON.parse(new TextDecoder().decode(bytes)) as Failure;
  }

  private record(): Uint8Array {
    return new Uint8Array(this.memory, layoutOf(this.size).recordAt, RECORD_BYTES);
  }

  /** A rank's slot of this turn. */
  private slot(rank: number): Uint8Array {
    return new Uint8Array(this.memory, this.slotAt(rank) + startsBytes(this.size), SLOT_BYTES);
  }

  /** Where a rank's pieces for the others begin, and where the last ends; before its slot of this turn. */
  private starts(rank: number): Float64Array {
    return new Float64Array(this.memory, this.slotAt(rank), this.size + 1);
  }

  private slotAt(rank: number): number {
    const { slotsAt, slotStride } = layoutOf(this.size);
    return slotsAt + (this.turn * this.size + rank) * slotStride;
  }
}

function startsBytes(size: number): number {
  return 8 * (size + 1);
}

function layoutOf(size: number): { readonly recordAt: number; readonly slotsAt: number; readonly slotStride: number } {
  const recordAt = 8 * Math.ceil((CAME + 2 * size) / 2);
  return { recordAt, slotsAt: recordAt + RECORD_BYTES, slotStride: startsBytes(size) + SLOT_BYTES };
}

/** Puts into the slot what of a piece, which begins at `start` of its stream, falls into the slot's window. */
function copyWindow(piece: Uint8Array, start: number, slot: Uint8Array, from: number): void {
  const begin = Math.max(start, from);
  const end = Math.min(start + piece.length, from + slot.length);
  if (begin < end) slot.set(piece.subarray(begin - start, end - start), begin - from);
}

/** The other way round. */
function readWindow(part: Uint8Array, start: number, slot: Uint8Array, from: number): void {
  const begin = Math.max(start, from);
  const end = Math.min(start + part.length, from + slot.length);
  if (begin < end) part.set(slot.subarray(begin - from, end - from), begin - start);
}

function lateFor(missing: readonly number[], during: string, timeoutSeconds: number): Failure {
  return {
    rank: missing[0]!,
    found: `${rankList(missing)} did not come to ${during} within ${timeoutSeconds} s`,
    expected: "every rank in every call",
    fix: "see where they are: in other code, or at work for longer, which `timeoutSeconds` of `threads` has to allow.",
  };
}

/** "rank 1", "ranks 1 and 3", "ranks 1, 2 and 3". */
function rankList(ranks: readonly number[]): string {
  const before = ranks.slice(0, -1).join(", ");
  return before ? `ranks ${before} and ${ranks.at(-1)}` : `rank ${ranks[0]}`;
}

/** Waits until a cell holds something else, at most so long. The timer keeps Node alive, which the wait would not. */
function change(cells: Int32Array, index: number, seen: number, milliseconds: number): Promise<void> {
  const { waitAsync } = Atomics as { waitAsync?: WaitAsync };
  return new Promise((done) => {
    const timer = setTimeout(done, waitAsync ? milliseconds : Math.min(milliseconds, POLL));
    if (!waitAsync) return;
    const stop = () => {
      clearTimeout(timer);
      done();
    };
    const wait = waitAsync(cells, index, seen);
    if (wait.async) wait.value.then(stop);
    else stop();
  });
}
