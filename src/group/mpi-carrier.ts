import { LosswrightError } from "../errors/index.js";
import { type NodeProcess, nodeBuiltin } from "../host/index.js";
import type { Carrier } from "./carrier.js";
import {
  familyNames,
  launchedRanks,
  launcherOf,
  type MpiLibrary,
  type Pieces,
  type Ranks,
  type Request,
} from "./mpi-library.js";

/** How often a wait asks before it lets the event loop turn, some 20 µs: a collective is several messages, one after another. */
const ASKS_OF_A_TURN = 20;
/** For so many milliseconds the event loop turns at once; after that a wait sleeps for a millisecond at each turn. */
const EAGER_MILLISECONDS = 20;
/** For so many seconds a rank of a run that failed waits for the others, which have errors of their own to print. */
const GRACE_SECONDS = 3;
/** How long a launcher is given to read the last words of a rank. */
const LAST_WORDS_MILLISECONDS = 300;
/**
 * So many bytes in all go in one round. Counts and places are integers of 32 bits in MPI, and one call of MPI copies for
 * as long as it takes while the event loop stands still.
 */
const BYTES_OF_A_ROUND = 0x1000_0000;
/** Milliseconds; a longer one would ring at once. */
const LONGEST_TIMER = 0x7fff_ffff;

export interface MpiCarrierOptions {
  readonly timeoutSeconds: number;
  readonly bytesOfARound?: number;
}

/**
 * The last message of a rank, the same to every other: it left, or failed, and how far it had come. Once a rank has those
 * of all others, nobody waits for anybody any more.
 */
interface Goodbye {
  readonly rank: number;
  readonly failed: boolean;
  /** How many of the carrier's calls the rank had ended; in those it stood by the others. */
  readonly completed: number;
  /** What happened: a clause that begins with a rank where it failed, and with a verb where it left. */
  readonly words: string;
}

/** Bytes of a goodbye: small enough that every transport sends it without the receiver's help. */
const GOODBYE_BYTES = 1024;
const GOODBYE_HEADER = 4;

/**
 * Moves bytes by MPI's nonblocking collectives, which are polled: the event loop turns while ranks wait, and a wait can
 * end without its collective.
 *
 * MPI itself tells a rank nothing about the others. So ranks tell each other, on a communicator of its own: each says
 * goodbye once, when it leaves or fails. A rank that waits in a call that another did not live to end gives up, says so
 * to the others, and throws. At the end of its process a rank waits until all have said goodbye, and ends MPI with them;
 * a rank that does not come in time is ended by MPI_Abort, with all others.
 */
export class MpiCarrier implements Carrier {
  readonly name = "mpi";
  readonly rank: number;
  readonly size: number;
  private readonly process: NodeProcess;
  private readonly library: MpiLibrary;
  private readonly timeoutSeconds: number;
  private readonly bytesOfARound: number;
  /** Two communicators: for what the callers send, and for news of other ranks. Undefined until all ranks have made them. */
  private data: Ranks | undefined;
  private news: Ranks | undefined;
  private begun = 0;
  private completed = 0;
  private readonly heard = new Map<number, Goodbye>();
  /** This rank's own goodbye, on its way to the others. */
  private said: readonly Request[] | undefined;
  private readonly goodbye = bytes(GOODBYE_BYTES);
  /** The error that ends the process, where one does. */
  private uncaught: unknown;
  /** MPI may still write into the memory of calls that were given up. */
  private readonly abandoned: (readonly Request[])[] = [];

  /**
   * Starts MPI and waits until all ranks have come.
   *
   * @throws `group` where they do not, or where the launcher is another library's
   */
  static async start(library: MpiLibrary, options: MpiCarrierOptions): Promise<MpiCarrier> {
    const process = nodeBuiltin("node:process")!;
    const watch = watchOver(
      options.timeoutSeconds,
      `this rank waited ${options.timeoutSeconds} s in mpi() for the other ranks: one of them ended before it called mpi(), or never calls it`,
    );
    // MPI changes the environment while it starts, which no other thread may read then: a thread that starts does.
    await watch.isOn;
    let world: Ranks;
    try {
      world = library.start();
    } finally {
      await watch.end();
    }
    const carrier = new MpiCarrier(process, library, world, options);
    const launched = launchedRanks(process.env);
    if (world.size === 1 && launched > 1) {
      await carrier.finish().end();
      throw wrongLauncher(process, library, launched);
    }
    const copies = [world.duplicate(), world.duplicate()];
    const requests = copies.map(({ request }) => request);
    await carrier.until("mpi()", requests);
    [carrier.data, carrier.news] = copies.map(({ ranks }) => ranks) as [Ranks, Ranks];
    return carrier;
  }

  private constructor(process: NodeProcess, library: MpiLibrary, world: Ranks, options: MpiCarrierOptions) {
    this.process = process;
    this.library = library;
    this.rank = world.rank;
    this.size = world.size;
    this.timeoutSeconds = options.timeoutSeconds;
    this.bytesOfARound = options.bytesOfARound ?? BYTES_OF_A_ROUND;
    process.on("exit", this.onExit);
    process.on("uncaughtExceptionMonitor", this.onUncaught);
  }

  gather(own: Uint8Array, lengths: readonly number[], during: string): Promise<Uint8Array[]> {
    return this.call(during, async (data) => {
      const all = pieces(lengths);
      const views = viewsOf(all);
      if (all.bytes.length <= this.bytesOfARound) {
        views[this.rank]!.set(own);
        await this.until(during, [data.gather(all)]);
        return views;
      }
      const most = Math.max(1, Math.floor(this.bytesOfARound / this.size));
      for (let from = 0; from < Math.max(...lengths); from += most) {
        const round = pieces(lengths.map((length) => Math.min(Math.max(length - from, 0), most)));
        const parts = viewsOf(round);
        parts[this.rank]!.set(own.subarray(from, from + most));
        await this.until(during, [data.gather(round)]);
        views.forEach((view, r) => void view.set(parts[r]!, Math.min(from, view.length)));
      }
      return views;
    });
  }

  exchange(given: readonly Uint8Array[], lengths: readonly number[], during: string): Promise<Uint8Array[]> {
    return this.call(during, async (data) => {
      // What is longer than this goes from rank to rank: both ends know of it, and the others need not.
      const most = Math.max(1, Math.floor(this.bytesOfARound / this.size));
      const [out, all] = [pieces(given.map(({ length }) => Math.min(length, most))), pieces(lengths)];
      viewsOf(out).forEach((view, r) => void view.set(given[r]!.subarray(0, most)));
      const views = viewsOf(all);
      const isShort = lengths.every((length) => length <= most);
      const taken = isShort ? all : pieces(lengths.map((length) => Math.min(length, most)));
      const requests: Request[] = [];
      for (let r = 0; r < this.size; r++) {
        if (r === this.rank) continue;
        for (const part of partsBeyond(most, views[r]!)) requests.push(data.receive(part, r));
      }
      for (let r = 0; r < this.size; r++) {
        if (r === this.rank) continue;
        for (const part of partsBeyond(most, given[r]!)) requests.push(data.send(part, r));
      }
      await this.until(during, [data.exchange(out, taken), ...requests]);
      if (!isShort) {
        viewsOf(taken).forEach((view, r) => void views[r]!.set(view));
        views[this.rank]!.set(given[this.rank]!);
      }
      return views;
    });
  }

  addIntegers(lanes: BigInt64Array, during: string): Promise<BigInt64Array> {
    return this.call(during, async (data) => {
      const sums = new BigInt64Array(new ArrayBuffer(lanes.byteLength));
      sums.set(lanes);
      const most = Math.max(1, Math.floor(this.bytesOfARound / 8));
      for (let from = 0; from < sums.length; from += most) {
        await this.until(during, [data.addIntegers(sums.subarray(from, from + most))]);
      }
      return sums;
    });
  }

  fail(reason: string): void {
    this.say(true, `rank ${this.rank} failed: ${reason}`);
  }

  async close(): Promise<void> {
    this.say(false, "closed the group");
    await this.until("close", this.said!, () => this.isEverybodyGone());
    const failure = this.whoIsGone("close");
    if (failure) throw failure;
    await this.finish().end();
  }

  private async call<Result>(during: string, run: (data: Ranks) => Promise<Result>): Promise<Result> {
    if (!this.data) throw this.error(`${during} after the group ended`, "a group that is open");
    this.begun++;
    const result = await run(this.data);
    this.completed++;
    return result;
  }

  /** Waits for MPI; `isReady` is asked as well. @throws `group` where the others do not come */
  private async until(during: string, requests: readonly Request[], isReady = () => true): Promise<void> {
    const isDone = () => {
      for (let asked = 0; asked < ASKS_OF_A_TURN; asked++) {
        if (requests.every((request) => request.isDone()) && isReady()) return true;
        this.library.yieldCore();
      }
      return false;
    };
    try {
      if (!isDone()) await this.turnUntil(isDone, during);
    } catch (error) {
      this.abandoned.push(requests);
      // Word of another rank's end is handed on as it is: the first of them is what a reader looks for.
      const isNews = error instanceof LosswrightError && error.where === "group";
      this.say(true, isNews ? error.found : `rank ${this.rank} failed: ${error}`);
      throw error;
    }
  }

  /** The long part of a wait: the event loop turns, and news of other ranks end it. */
  private async turnUntil(isDone: () => boolean, during: string): Promise<void> {
    const { process } = this;
    const onTerm = () => {
      this.print(
        `rank ${this.rank} was ended by SIGTERM while it waited in ${during} for the others; a launcher sends it when one of them died.`,
      );
      this.leave();
      process.exit(143);
    };
    // A program that handles the signal by itself is left to do so; short waits are not worth it.
    let isWatching = process.listenerCount("SIGTERM") > 0;
    const began = performance.now();
    try {
      for (;;) {
        const waited = performance.now() - began;
        const isEager = waited < EAGER_MILLISECONDS;
        if (!isEager && !isWatching) {
          process.on("SIGTERM", onTerm);
          isWatching = true;
        }
        await turn(isEager);
        if (isDone()) return;
        this.listen();
        const gone = this.whoIsGone(during);
        if (gone) throw gone;
        if (waited > 1000 * this.timeoutSeconds) throw this.late(during);
      }
    } finally {
      process.off("SIGTERM", onTerm);
    }
  }

  /** Takes the goodbyes that have come. */
  private listen(): void {
    while (this.news?.take(this.goodbye)) {
      const goodbye = decode(this.goodbye);
      this.heard.set(goodbye.rank, goodbye);
    }
  }

  /** The error where another rank will not come to what this one waits for. */
  private whoIsGone(during: string): LosswrightError | undefined {
    const gone = [...this.heard.values()]
      // In a call that a rank has ended it gave all that it had to give; between calls only failures count.
      .filter(({ completed, failed }) => (this.isCalling ? completed < this.begun : failed))
      .sort((a, b) => Number(b.failed) - Number(a.failed) || a.rank - b.rank)[0];
    if (!gone) return undefined;
    if (gone.failed) {
      return this.error(
        gone.words,
        "every rank to come to the end",
        "look at what that rank printed, and at its data.",
      );
    }
    return this.error(
      `rank ${gone.rank} ${gone.words} while rank ${this.rank} waited for it in ${during}`,
      "the same calls on every rank",
      "let every rank take as many steps, and close the group after the last.",
    );
  }

  private late(during: string): LosswrightError {
    const missing = this.isCalling || !this.news ? "the other ranks" : this.missing();
    return this.error(
      `rank ${this.rank} waited ${this.timeoutSeconds} s in ${during} for ${missing}`,
      "every rank to come in time",
      "look for a rank that died or took another branch; where ranks may need longer, raise timeoutSeconds.",
    );
  }

  /** Says goodbye to all other ranks, once. */
  private say(failed: boolean, words: string): void {
    if (this.said) return;
    if (failed) this.outlast();
    const message = encode({ rank: this.rank, failed, completed: this.completed, words: words.replace(/\.$/, "") });
    const { news } = this;
    this.said = news ? this.others().map((r) => news.send(message, r)) : [];
  }

  /**
   * Once all have said goodbye the first of them ends, and a launcher sends SIGTERM to the others, of which each may have
   * its error to print still: it does, and ends then.
   */
  private outlast(): void {
    if (this.process.listenerCount("SIGTERM") > 0) return;
    this.process.on("SIGTERM", () => {
      this.leave();
      this.process.exit(143);
    });
  }

  private get isCalling(): boolean {
    return this.completed < this.begun;
  }

  private others(): number[] {
    return Array.from({ length: this.size }, (_, r) => r).filter((r) => r !== this.rank);
  }

  private isEverybodyGone(): boolean {
    this.listen();
    return this.heard.size === this.size - 1;
  }

  private missing(): string {
    const ranks = this.others().filter((r) => !this.heard.has(r));
    return `${ranks.length === 1 ? "rank" : "ranks"} ${ranks.join(", ")}`;
  }

  private readonly onUncaught = (error: unknown): void => {
    this.uncaught = error;
  };

  /** The process ends, and the event loop with it: what is left to do is done without it. */
  private readonly onExit = (code: number): void => {
    const failed = code !== 0;
    const reason = this.uncaught === undefined ? `it ended with exit code ${code}` : String(this.uncaught);
    let why: unknown;
    try {
      this.say(failed, failed ? `rank ${this.rank} failed: ${reason}` : "ended without close()");
      why = this.meet(failed);
      if (why === undefined) {
        // All are here: MPI ends at once, and where it does not, nothing is lost.
        this.finish(Math.min(this.timeoutSeconds, 10 * GRACE_SECONDS));
        return;
      }
    } catch (error) {
      why = error;
    }
    // Node prints an error after this, but MPI_Abort does not come back.
    const stack =
      failed && this.uncaught !== undefined ? ((this.uncaught as Error)?.stack ?? this.uncaught) : undefined;
    const last = `rank ${this.rank} ends the run: ${why}.`;
    this.print(stack === undefined ? last : `${stack}\nlosswright: ${last}`);
    // A launcher that is told to abort kills all at once, and hands on what has reached it by then.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_WORDS_MILLISECONDS);
    this.leave();
    this.library.abort(code || 1);
  };

  /** Waits at the end of the process until all have said goodbye. Gives why they did not. */
  private meet(hasFailed: boolean): string | undefined {
    if (!this.news) return "it failed before all ranks had come";
    let [failed, seconds] = [false, this.timeoutSeconds];
    const wake = new Int32Array(new SharedArrayBuffer(4));
    const began = performance.now();
    for (;;) {
      const isSaid = this.said!.filter((request) => !request.isDone()).length === 0;
      const isOver = this.isEverybodyGone() && isSaid;
      const failure = [...this.heard.values()].find((goodbye) => goodbye.failed);
      if (!failed && (hasFailed || failure)) {
        failed = true;
        seconds = Math.min(seconds, (performance.now() - began) / 1000 + GRACE_SECONDS);
        this.outlast();
        if (!hasFailed && failure) {
          this.print(failure.words);
          this.process.exitCode = 1;
        }
      }
      if (isOver) return undefined;
      if (performance.now() - began > 1000 * seconds) {
        return `${this.missing()} did not come to an end within ${seconds.toFixed(0)} s`;
      }
      Atomics.wait(wake, 0, 0, 1);
    }
  }

  /** Ends MPI together with the others. Gives the thread that watched over it. */
  private finish(seconds = this.timeoutSeconds): Watch {
    this.leave();
    const watch = watchOver(seconds, `rank ${this.rank} waited ${seconds} s in MPI_Finalize for the others`);
    this.library.finish();
    return watch;
  }

  private leave(): void {
    this.data = undefined;
    this.process.off("exit", this.onExit);
    this.process.off("uncaughtExceptionMonitor", this.onUncaught);
  }

  private print(words: string): void {
    nodeBuiltin("node:fs")!.writeSync(2, `losswright: ${words}\n`);
  }

  private error(found: string, expected: string, fix?: string): LosswrightError {
    return new LosswrightError({ code: "group", where: "group", found, expected, ...(fix !== undefined && { fix }) });
  }
}

/** The event loop turns once, or for a millisecond. */
function turn(isEager: boolean): Promise<void> {
  return new Promise((resolve) => void (isEager ? setImmediate(resolve) : setTimeout(resolve, 1)));
}

/** Memory that stays where it is: that of a small array of its own may move. */
function bytes(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** Room for a piece of each length, each at a multiple of 8. */
function pieces(counts: readonly number[]): Pieces {
  let length = 0;
  const offsets = counts.map((count) => {
    const offset = length;
    length += Math.ceil(count / 8) * 8;
    return offset;
  });
  return { bytes: bytes(length), counts, offsets };
}

function viewsOf({ bytes, counts, offsets }: Pieces): Uint8Array[] {
  return counts.map((count, r) => bytes.subarray(offsets[r]!, offsets[r]! + count));
}

/** What of a piece lies beyond its first part, in parts of the same length. */
function partsBeyond(length: number, piece: Uint8Array): Uint8Array[] {
  const count = Math.max(Math.ceil(piece.length / length) - 1, 0);
  return Array.from({ length: count }, (_, i) => piece.subarray((i + 1) * length, (i + 2) * length));
}

function encode({ rank, failed, completed, words }: Goodbye): Uint8Array {
  const message = bytes(GOODBYE_BYTES);
  const { written } = new TextEncoder().encodeInto(words, message.subarray(8 * GOODBYE_HEADER));
  new Float64Array(message.buffer, 0, GOODBYE_HEADER).set([rank, Number(failed), completed, written]);
  return message;
}

function decode(message: Uint8Array): Goodbye {
  const [rank, failed, completed, written] = new Float64Array(message.buffer, 0, GOODBYE_HEADER);
  const from = 8 * GOODBYE_HEADER;
  const words = new TextDecoder().decode(message.subarray(from, from + written!));
  return { rank: rank!, failed: failed === 1, completed: completed!, words };
}

/** A thread that ends the process after the time limit, unless it is ended before. */
interface Watch {
  /** When the thread has started. */
  readonly isOn: Promise<void>;
  end(): Promise<unknown>;
}

/** MPI_Init and MPI_Finalize come back when all ranks have come, and until then nothing else runs in their thread. */
function watchOver(timeoutSeconds: number, words: string): Watch {
  const { Worker } = nodeBuiltin("node:worker_threads")!;
  const milliseconds = Math.min(1000 * timeoutSeconds, LONGEST_TIMER);
  const workerData = { words: `losswright: ${words}.\n`, milliseconds };
  const source = `
    const { milliseconds, words } = require("node:worker_threads").workerData;
    setTimeout(() => {
      require("node:fs").writeSync(2, words);
      process.kill(process.pid, "SIGKILL");
    }, milliseconds);`;
  const worker = new Worker(source, { eval: true, workerData, execArgv: [], env: {} });
  const isOn = new Promise<void>((resolve) => {
    worker.on("online", resolve);
    // Where no thread can be had, MPI goes without the limit.
    worker.on("error", () => resolve());
  });
  return { isOn, end: () => worker.terminate() };
}

function wrongLauncher({ env }: NodeProcess, { family, path }: MpiLibrary, launched: number): LosswrightError {
  const launcher = launcherOf(env);
  const by = launcher ? `the launcher of ${familyNames[launcher]}` : "the launcher";
  return new LosswrightError({
    code: "group",
    where: "mpi",
    found: `${by} started ${launched} ranks, but ${familyNames[family]} (${path}) sees this one alone`,
    expected: "the launcher and the library of one MPI",
    fix:
      launcher && launcher !== family
        ? `start the program with the launcher of ${familyNames[family]}, or give mpi({ library: "${launcher}" }).`
        : "start the program with the launcher that came with the library (under Slurm: srun --mpi=pmix, or --mpi=pmi2).",
  });
}
