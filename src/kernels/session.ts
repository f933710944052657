import { LosswrightError } from "../errors/index.js";
import { coreCount, whyNoThreads } from "../host/index.js";
import { Heap, LARGEST } from "./heap.js";
import { bytesOf, type Kernel, type KernelModule } from "./module.js";
import { failure, Pool } from "./pool.js";
import { CONTROL_BYTES } from "./worker-source.js";

/** Below it lie the constants of the modules, each in a range of its own; see `scripts/kernels.mjs`. */
const HEAP_START = 262_144;
const MOST_THREADS = 8;
/** Each thread costs megabytes and a moment to start; more than cores gain nothing. */
const MOST_SET = 64;
/** Before the scratch of a kernel lies its exact accumulator. */
const PAGE = 65536;

/** A module that runs in the memory of a session. */
export interface Loaded {
  readonly number: number;
  /** The kernels by name, and each one's place among the exported functions. */
  readonly kernels: ReadonlyMap<string, { readonly run: Kernel; readonly place: number }>;
  readonly drain: (accumulators: number, stride: number, count: number, out: number) => void;
  readonly bytes: Uint8Array;
}

/**
 * The WebAssembly memory of a process with the modules, threads and buffers that live in it.
 *
 * It is the one state of the library that outlives a call: threads cost milliseconds to start, and tensors in this
 * memory are read where they lie. It comes into being with the first kernel that runs; `close` ends its threads.
 */
export class Session {
  readonly memory: WebAssembly.Memory;
  readonly heap: Heap;
  private readonly modules = new Map<string, Loaded>();
  private readonly places = new Map<string, number>();
  private readonly buffers = new Map<string, { readonly at: number; readonly size: number }>();
  private readonly known = new WeakSet<object>();
  /** Of arrays asked for before: buffer and offset of an array take longer to find than this. */
  private readonly addresses = new WeakMap<object, number>();
  private pool: { readonly pool: Pool; readonly control: number } | undefined;
  private whole: Views;
  private growths = 0;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: HEAP_START / PAGE, maximum: LARGEST / PAGE, shared: true });
    this.heap = new Heap(this.memory, HEAP_START);
    this.whole = viewsOf(this.memory.buffer);
    this.known.add(this.memory.buffer);
  }

  /** Views of the whole memory, made anew when it grew. */
  get views(): Views {
    if (this.growths !== this.heap.growths) {
      this.growths = this.heap.growths;
      this.whole = viewsOf(this.memory.buffer);
      this.known.add(this.memory.buffer);
    }
    return this.whole;
  }

  /** The address of an array in this memory, or undefined for one that lies elsewhere. */
  addressOf(array: ArrayBufferView): number | undefined {
    let address = this.addresses.get(array);
    if (address === undefined && this.known.has(array.buffer)) {
      address = array.byteOffset;
      this.addresses.set(array, address);
    }
    return address;
  }

  /** Takes a module from elsewhere in place of the embedded one of its name. @throws where it does not fit this memory */
  provide(name: string, bytes: Uint8Array, module: WebAssembly.Module): void {
    if (!this.modules.has(name)) this.take(name, bytes, module);
  }

  /** The module, compiled once. @throws `engine` for one that does not compile here */
  load(module: KernelModule): Loaded {
    const known = this.modules.get(module.name);
    if (known) return known;
    const bytes = bytesOf(module);
    try {
      return this.take(module.name, bytes, new WebAssembly.Module(bytes));
    } catch (error) {
      throw failure(`the module ${module.name} does not compile: ${(error as Error).message}`);
    }
  }

  private take(name: string, bytes: Uint8Array, module: WebAssembly.Module): Loaded {
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    const functions = Object.entries(exports).filter(([, item]) => typeof item === "function");
    const loaded = {
      number: this.modules.size,
      kernels: new Map(functions.map(([kernel, run], place) => [kernel, { run: run as Kernel, place }])),
      drain: exports.drain as Loaded["drain"],
      bytes,
    };
    this.modules.set(name, loaded);
    return loaded;
  }

  /** A buffer that is kept between calls, at least so large; what it held is lost when it grows. */
  buffer(name: string, bytes: number): number {
    const kept = this.buffers.get(name);
    if (kept && kept.size >= bytes) return kept.at;
    if (kept) {
      // Given back first: the larger one may lie over it.
      this.buffers.delete(name);
      this.heap.release(kept.at);
    }
    // In steps of an eighth, so that slowly growing batches do not move it each time.
    const size = Math.min(Math.ceil(bytes * 1.125), bytes + 64 * 1024 * 1024);
    const at = this.heap.allocate(size);
    this.buffers.set(name, { at, size });
    return at;
  }

  /** Threads a job may use, the caller among them. */
  get threads(): number {
    return chosenThreads ?? (whyNoThreads() ? 1 : Math.min(coreCount(), MOST_THREADS));
  }

  /**
   * Begins a kernel over all rows on the threads of the pool; the function returned takes part and ends it, before the
   * next begins. @throws `engine` where it fails; the next call works
   */
  beginOnPool(loaded: Loaded, kernel: string, job: PoolJob): () => void {
    const { run, place } = kernelOf(loaded, kernel);
    const { number, bytes } = loaded;
    const key = `module ${number}`;
    let moduleAt = this.places.get(key);
    if (moduleAt === undefined) {
      // Threads compile what they need from here: no message has to reach them while they sleep.
      moduleAt = this.heap.allocate(bytes.length);
      this.places.set(key, moduleAt);
      this.views.bytes.set(bytes, moduleAt);
    }
    const whole = { ...job, run, moduleAt, moduleLength: bytes.length, module: number, kernel: place };
    const pool = this.openPool();
    pool.begin(whole);
    return () => {
      try {
        pool.complete(whole);
      } catch (error) {
        this.dropPool();
        throw error instanceof LosswrightError ? error : failure(String(error));
      }
    };
  }

  /** Ends the threads; the next large call starts new ones. */
  async close(): Promise<void> {
    const { pool } = this;
    this.pool = undefined;
    if (!pool) return;
    await pool.pool.close();
    this.heap.release(pool.control);
  }

  private openPool(): Pool {
    if (this.pool) return this.pool.pool;
    const control = this.heap.allocate(CONTROL_BYTES);
    this.views.bytes.fill(0, control, control + CONTROL_BYTES);
    const pool = new Pool(this.memory, control, this.threads - 1);
    this.pool = { pool, control };
    return pool;
  }

  /** Leaves a pool behind whose threads cannot be trusted; its cells stay theirs for good. */
  private dropPool(): void {
    const { pool } = this;
    this.pool = undefined;
    pool?.pool.close().catch(() => {});
    // A thread that still runs must not write into what comes next.
    this.buffers.clear();
  }
}

/** @throws `engine` where a module has no such function: one that was fetched, of another version */
export function kernelOf(loaded: Loaded, kernel: string): { readonly run: Kernel; readonly place: number } {
  const found = loaded.kernels.get(kernel);
  if (found) return found;
  throw failure(`the module that was loaded has no function ${kernel}`);
}

/** What a job says of itself beside its kernel. */
export interface PoolJob {
  readonly record: number;
  readonly rows: number;
  readonly rowsPerChunk: number;
  readonly scratch: number;
  readonly stride: number;
  readonly odd: number;
}

export interface Views {
  readonly bytes: Uint8Array;
  readonly int32: Int32Array;
  readonly uint32: Uint32Array;
  readonly float32: Float32Array;
  readonly float64: Float64Array;
}

function viewsOf(buffer: ArrayBufferLike): Views {
  return {
    bytes: new Uint8Array(buffer),
    int32: new Int32Array(buffer),
    uint32: new Uint32Array(buffer),
    float32: new Float32Array(buffer),
    float64: new Float64Array(buffer),
  };
}

let current: Session | undefined;
let reason: string | undefined;
let chosenThreads: number | undefined;

/** The session of this process, or why there is none. */
export function session(): Session | string {
  if (current) return current;
  if (reason !== undefined) return reason;
  try {
    if (!WebAssembly.validate(simdProbe)) reason = "this runtime has no WebAssembly SIMD";
    else current = new Session();
  } catch (error) {
    reason = `WebAssembly cannot run here: ${(error as Error).message}`;
  }
  return current ?? reason!;
}

/** A module with one function that makes a vector: valid only where SIMD is. */
const simdProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/**
 * How many threads kernels run on, the calling one among them; by default one a core, at most eight.
 *
 * Results are the same bits for any number. Threads start with the first large call and sleep between calls; a process
 * ends without waiting for them. A page that is not cross-origin isolated has one thread, whatever is set.
 *
 * @param count - from 1 to 64
 * @throws `argument` for anything else
 */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > MOST_SET) {
    throw new LosswrightError({
      code: "argument",
      where: "setThreads",
      field: "count",
      found: String(count),
      expected: `a whole number from 1 to ${MOST_SET}: the threads kernels run on, the calling one among them`,
    });
  }
  const blocked = whyNoThreads();
  const wanted = blocked ? 1 : count;
  if (chosenThreads === wanted) return;
  chosenThreads = wanted;
  if (current) void current.close();
}

/** Ends the kernels' threads; the next large call starts new ones. Memory and tensors stay. */
export async function close(): Promise<void> {
  await current?.close();
}
