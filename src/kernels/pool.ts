import { LosswrightError } from "../errors/index.js";
import { nodeBuiltin } from "../host/index.js";
import { Cell, CONTROL_BYTES, WORDS_AT, workerSource } from "./worker-source.js";

/** One kernel over many rows, cut into chunks that threads take as they come. */
export interface Job {
  readonly run: (record: number, from: number, to: number, scratch: number) => number;
  /** What a worker needs to find the kernel: the bytes of its module, the module's number, the export's place. */
  readonly moduleAt: number;
  readonly moduleLength: number;
  readonly module: number;
  readonly kernel: number;
  readonly record: number;
  readonly rows: number;
  readonly rowsPerChunk: number;
  readonly scratch: number;
  readonly stride: number;
  /** Address of one int32 a chunk. */
  readonly odd: number;
}

/** What ends a thread from outside. */
interface Thread {
  end(): unknown;
}

/** A job of so many chunks takes milliseconds; the caller may then give up a moment for the sake of the others. */
const WORTH_A_PAUSE = 16;
/** How often it looks for them first, and how long it sleeps at most, in milliseconds. */
const SPINS = 500;
const PAUSE = 0.2;

/** How long the main thread waits for a thread that works on one chunk, which is a matter of milliseconds. */
const PATIENCE = 20_000;

/**
 * Worker threads that share the kernels' memory, beside the thread that calls.
 *
 * A job is written into a block of cells and its generation raised. Threads that wake count themselves in (`active`),
 * look whether the job is still open, and take chunks from one counter; the caller takes chunks too, so a job never
 * waits for threads to come up. When no chunk is left the caller closes the job and waits until nobody is active: only
 * then may the cells change. Which thread computes a chunk makes no difference to any bit.
 */
export class Pool {
  private readonly cells: Int32Array;
  private readonly threads: Thread[];
  private readonly mayWait: boolean;

  /**
   * @param control - address of `CONTROL_BYTES` zeroed bytes of the memory
   * @param others - threads beside the one that calls
   */
  constructor(
    private readonly memory: WebAssembly.Memory,
    control: number,
    others: number,
    private readonly patience = PATIENCE,
  ) {
    this.cells = new Int32Array(memory.buffer, control, CONTROL_BYTES / 4);
    this.mayWait = nodeBuiltin("node:worker_threads") !== undefined;
    this.threads = Array.from({ length: others }, (_, i) => startThread(memory, control, i + 1));
  }

  /** Threads that have come up, the caller among them. */
  get ready(): number {
    return 1 + Atomics.load(this.cells, Cell.ready);
  }

  /** Gives a job to the threads; {@link complete} must follow before the next. */
  begin(job: Job): void {
    const { cells } = this;
    Atomics.store(cells, Cell.next, 0);
    Atomics.store(cells, Cell.chunks, Math.ceil(job.rows / job.rowsPerChunk));
    for (const name of fields) Atomics.store(cells, Cell[name], job[name] | 0);
    Atomics.store(cells, Cell.open, 1);
    Atomics.add(cells, Cell.generation, 1);
    Atomics.notify(cells, Cell.generation);
    if (this.mayWait && cells[Cell.chunks]! >= WORTH_A_PAUSE) this.letOthersIn();
  }

  /**
   * Steps aside until a thread that slept has joined. Woken threads are often put on the caller's own core, where they
   * would wait for it to be done, while another core has nothing to do.
   */
  private letOthersIn(): void {
    const { cells } = this;
    if (Atomics.load(cells, Cell.ready) === 0) return;
    for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(cells, Cell.active) !== 0) return;
    Atomics.wait(cells, Cell.active, 0, PAUSE);
  }

  /**
   * Takes what chunks are left of the job, and waits for those that others took.
   *
   * @throws `engine` where a thread failed or did not come back; the pool must not be used again then
   */
  complete(job: Job): void {
    const { cells } = this;
    const chunks = Math.ceil(job.rows / job.rowsPerChunk);
    try {
      const odd = new Int32Array(this.memory.buffer, job.odd, chunks);
      for (let chunk = Atomics.add(cells, Cell.next, 1); chunk < chunks; chunk = Atomics.add(cells, Cell.next, 1)) {
        const from = chunk * job.rowsPerChunk;
        odd[chunk] = job.run(job.record, from, Math.min(from + job.rowsPerChunk, job.rows), job.scratch);
      }
    } finally {
      Atomics.store(cells, Cell.open, 0);
      // Nobody takes another chunk, also where the caller's own kernel failed.
      Atomics.store(cells, Cell.next, chunks);
      this.waitForOthers();
    }
    if (Atomics.load(cells, Cell.failed)) throw failure(this.wordsOf());
  }

  /** Ends all threads. */
  close(): Promise<void> {
    Atomics.store(this.cells, Cell.stop, 1);
    Atomics.add(this.cells, Cell.generation, 1);
    Atomics.notify(this.cells, Cell.generation);
    return Promise.all(this.threads.map((thread) => thread.end())).then(() => {});
  }

  private waitForOthers(): void {
    const { cells } = this;
    const began = Date.now();
    for (let spin = 1; ; spin++) {
      const active = Atomics.load(cells, Cell.active);
      if (active === 0) return;
      if (spin < 5000) continue;
      if (Date.now() - began > this.patience) {
        throw failure(`${active} thread${active > 1 ? "s" : ""} did not come back within ${this.patience / 1000} s`);
      }
      if (this.mayWait) Atomics.wait(cells, Cell.active, active, 50);
    }
  }

  private wordsOf(): string {
    const count = this.cells[Cell.said]!;
    return String.fromCharCode(...this.cells.subarray(WORDS_AT, WORDS_AT + count));
  }
}

const fields = [
  "moduleAt",
  "moduleLength",
  "module",
  "kernel",
  "record",
  "rows",
  "rowsPerChunk",
  "scratch",
  "stride",
  "odd",
] as const;

/** What a kernel or a thread that failed is to the caller. */
export function failure(reason: string): LosswrightError {
  return new LosswrightError({
    code: "engine",
    where: "kernels",
    found: reason,
    expected: "kernels that run to their end",
    fix: 'call again: new threads start. If it happens again, report it, and use engine: "reference".',
  });
}

declare const Worker: new (url: string) => { postMessage(message: unknown): void; terminate(): void };
declare const Blob: new (parts: readonly string[], options: { readonly type: string }) => object;

function startThread(memory: WebAssembly.Memory, control: number, id: number): Thread {
  const data = { memory, control, id };
  const node = nodeBuiltin("node:worker_threads");
  if (node) {
    // No loader or flag of the caller's belongs into the thread.
    const worker = new node.Worker(workerSource, { eval: true, workerData: data, execArgv: [], env: {} });
    worker.on("error", () => {});
    worker.unref();
    return { end: () => worker.terminate() };
  }
  const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }) as never);
  const worker = new Worker(url);
  worker.postMessage(data);
  return {
    end() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
