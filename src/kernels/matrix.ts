import type { KernelModule } from "./module.js";
import { runJob } from "./rows.js";
import type { Loaded, Session } from "./session.js";

/** Words of a job's record, then its parameters; `assembly/matrix.ts` and `assembly/similarity.ts` have the same. */
const WORDS = 32;
const RECORD_BYTES = 256;

/** From so many nanoseconds on waking other threads pays. */
const WORTH_THREADS = 150_000;
/** A chunk of items is long against the cost of taking it. */
const CHUNK_NANOSECONDS = 20_000;

/** What a job says beside its record. */
export interface Items {
  readonly count: number;
  /** About how long one takes on one thread. */
  readonly nanoseconds: number;
  /** Bytes of scratch a thread needs. */
  readonly scratch?: number;
}

/** Jobs of one module in a session, one after the other. Which thread does an item makes no difference to any bit. */
export class Jobs {
  private readonly loaded: Loaded;

  constructor(
    readonly session: Session,
    module: KernelModule,
  ) {
    this.loaded = session.load(module);
  }

  /** Runs a kernel over all items; returns whether it has something to say of one. */
  run(kernel: string, items: Items, words: readonly number[], parameters: readonly number[] = []): boolean {
    const { session, loaded } = this;
    const { count, nanoseconds, scratch = 0 } = items;
    if (count === 0) return false;
    const threads = count > 1 && count * nanoseconds >= WORTH_THREADS ? session.threads : 1;
    const enough = Math.max(Math.floor(CHUNK_NANOSECONDS / nanoseconds), 1);
    const rowsPerChunk = Math.min(enough, Math.ceil(count / threads));
    const stride = Math.ceil((scratch + 1) / 4096) * 4096;
    const job = {
      record: session.buffer("job record", RECORD_BYTES),
      rows: count,
      rowsPerChunk,
      scratch: session.buffer("job scratch", stride * threads),
      stride,
      odd: session.buffer("job counts", 4 * Math.ceil(count / rowsPerChunk)),
    };
    const { uint32, float64 } = session.views;
    uint32.fill(0, job.record / 4, job.record / 4 + WORDS);
    uint32.set(words, job.record / 4);
    float64.set(parameters, job.record / 8 + WORDS / 2);
    return runJob(session, loaded, kernel, threads, job);
  }
}

/** Which way the factors of a product lie: row-major without gaps, in the kernels' memory. */
export type ProductKind = "A·B" | "A·Bᵀ" | "Aᵀ·B";

/** C = A·B, A·Bᵀ or Aᵀ·B for float32 matrices at addresses; C is rows × columns, the inner dimension is `inner` long. */
export interface Product {
  readonly kind: ProductKind;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** Address of a number a column that is added to every row. */
  readonly bias?: number;
  /** Whether the product is added to what C holds. */
  readonly adds?: boolean;
}

const kinds: Readonly<Record<ProductKind, number>> = { A·B: 0, A·Bᵀ: 1, Aᵀ·B: 2 };
const ADDS = 4;
/** Sides of the blocks that threads take: packed, two of them stay in a core's own cache. */
const LARGEST_BLOCK = 256;
const SMALLEST_BLOCK = 64;
const INNER_RUN = 128;
const TILE_BYTES = 128;
/** Of a multiplication and addition, on one thread. */
const NANOSECONDS = 0.055;

/**
 * Multiplies two matrices on all threads.
 *
 * This is the one place where matrices are multiplied: a system's own library takes the same arguments.
 */
export function multiply(jobs: Jobs, product: Product): void {
  const { kind, a, b, c, rows, columns, inner, bias = 0, adds = false } = product;
  if (rows === 0 || columns === 0) return;
  const wanted = 4 * jobs.session.threads;
  let [high, broad] = [blockOf(rows), blockOf(columns)];
  const count = () => Math.ceil(rows / high) * Math.ceil(columns / broad);
  while (count() < wanted && high + broad > 2 * SMALLEST_BLOCK) {
    if (broad >= high) broad = halfOf(broad);
    else high = halfOf(high);
  }
  const items = {
    count: count(),
    nanoseconds: 200 + NANOSECONDS * high * broad * inner,
    scratch: TILE_BYTES + 4 * (high + broad) * INNER_RUN,
  };
  jobs.run("multiply", items, [a, b, c, rows, columns, inner, bias, kinds[kind] + (adds ? ADDS : 0), high, broad]);
}

/** Whole panels: a multiple of 8. */
function blockOf(length: number): number {
  return Math.min(Math.ceil(length / 8) * 8, LARGEST_BLOCK);
}

function halfOf(block: number): number {
  return Math.max(Math.ceil(block / 16) * 8, SMALLEST_BLOCK);
}
