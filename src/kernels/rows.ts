import type { KernelModule } from "./module.js";
import { failure } from "./pool.js";
import { kernelOf, type Loaded, type PoolJob, type Session, type Views } from "./session.js";

/** What a row kernel reads or writes a row of: `width` numbers a row, row 0 at entry `start`. */
export interface RowOperand {
  readonly data: Float32Array;
  readonly width: number;
  readonly start?: number;
}

/** One call of a row kernel over all rows of a batch. */
export interface RowCall {
  readonly module: KernelModule;
  readonly kernel: string;
  readonly rows: number;
  /** What the kernel calls the width of a row: classes. */
  readonly width: number;
  readonly inputs: readonly (RowOperand | undefined)[];
  /** Each an input's own array, or one that shares no memory with them. */
  readonly outputs: readonly (RowOperand | undefined)[];
  /** A class a row; −1 where a row has none. */
  readonly labels?: Int32Array | undefined;
  /** A row's factor in the sum, 0 for a row that is not read; without them every row weighs 1. */
  readonly weights?: Float64Array | undefined;
  /** What the gradient of a row is multiplied by; without them `parameters[0]`. */
  readonly factors?: Float64Array | undefined;
  /** Takes the unweighted loss of each row. */
  readonly losses?: Float64Array | undefined;
  readonly tables?: readonly (Float32Array | Int32Array | undefined)[];
  readonly parameters: readonly number[];
  readonly flags?: number;
  /** Bytes of scratch a thread needs beside its accumulator. */
  readonly scratch: number;
  /** About how many nanoseconds a row takes; says how rows are cut into chunks and whether threads pay. */
  readonly nanoseconds: number;
  /** Whether the kernel may write a row's output over its input; without it such a batch is staged. */
  readonly worksInPlace?: boolean;
}

/** What a call hands back while it runs. */
export interface RowSink {
  /** A row that the kernel left to the reference; its inputs are still what they were. */
  odd(row: number): void;
  /** The exact sum of weight · loss over all other rows: 72 of these numbers, from one on. Called once. */
  add(lanes: Float64Array, from: number): void;
}

/** Layout of the record; `assembly/operands.ts` has the same. */
const Word = {
  width: 0,
  first: 1,
  losses: 2,
  weights: 3,
  factors: 4,
  odd: 5,
  labels: 6,
  flags: 7,
  inputs: 8,
  outputs: 12,
  tables: 16,
} as const;
const PARAMETERS = 80;
const RECORD_BYTES = 256;
const LANES = 72;
const ACCUMULATOR_BYTES = 8 * LANES;

/** Bytes of all staged operands of a chunk: they stay in the cache of the core that computes it. */
const CHUNK_BYTES = 1 << 16;
/** A wave of staged rows has at least so many chunks for each thread, and at least so many bytes. */
const CHUNKS_OF_WAVE = 4;
const WAVE_BYTES = 1 << 19;
/** A chunk is long against the cost of taking it and short against a call. */
const CHUNK_NANOSECONDS = 100_000;
/** From here on waking other threads pays: a sleeping one may take a millisecond to get a core of its own. */
const WORTH_THREADS = 1_200_000;
/** Rows of one job, since each has a byte of its own to say that it is odd. */
const MOST_ROWS = 1 << 25;

/**
 * Runs a row kernel over a batch. Operands that lie in the kernels' memory are read and written where they are; others
 * go through it in waves that stay in the cache.
 */
export function runRows(session: Session, call: RowCall, sink: RowSink): void {
  if (call.rows === 0) return;
  const loaded = session.load(call.module);
  const threads = call.nanoseconds * call.rows >= WORTH_THREADS ? session.threads : 1;
  const run = new RowRun(session, loaded, call, sink, threads);
  if (run.overlapsWaves) run.computeOverlapping();
  else run.compute();
  const lanes = session.buffer("lanes", 8 * LANES);
  loaded.drain(run.scratch.at, run.scratch.stride, threads, lanes);
  sink.add(session.views.float64, lanes / 8);
}

const noRows: readonly number[] = [];

// Made once: names put together in every call would be looked up letter by letter.
interface SlotNames {
  readonly staged: readonly string[];
  readonly record: string;
  readonly odd: string;
  readonly oddCounts: string;
}
const slotNames = (slot: string): SlotNames => ({
  staged: Array.from({ length: 16 }, (_, i) => `${slot} staged ${i}`),
  record: `${slot} record`,
  odd: `${slot} odd`,
  oddCounts: `${slot} odd counts`,
});
const firstSlot = slotNames("first");
const secondSlot = slotNames("second");
const tableNames = Array.from({ length: 4 }, (_, i) => `table ${i}`);

/** As {@link RowOperand}, of any numbers a kernel takes. */
interface Operand {
  readonly data: Float32Array | Float64Array | Int32Array;
  readonly width: number;
  readonly start?: number;
}

/** An array that goes through the kernels' memory. */
interface Move extends Required<Operand> {
  readonly word: number;
  readonly isOutput: boolean;
}

/** An array that lies in the kernels' memory: where its first row lies, and how far rows are apart. */
interface Resident {
  readonly word: number;
  readonly at: number;
  readonly rowBytes: number;
}

/** Where one wave lies. */
interface Slot {
  readonly record: number;
  /** Address of a byte a row of the wave, and of an int32 a chunk. */
  readonly odd: number;
  readonly oddCounts: number;
  /** Where the moved arrays lie, in their order. */
  readonly staged: readonly number[];
}

/** One call of a row kernel: how its operands reach the kernel, and in which pieces. */
class RowRun {
  readonly scratch: Scratch;
  private readonly moves: Move[] = [];
  /** Operands that are not staged; their addresses move on from wave to wave. */
  private readonly residents: Resident[] = [];
  private readonly rowsPerChunk: number;
  private readonly rowsPerWave: number;

  constructor(
    private readonly session: Session,
    private readonly loaded: Loaded,
    private readonly call: RowCall,
    private readonly sink: RowSink,
    private readonly threads: number,
  ) {
    this.placeOperands();
    const { moves } = this;
    let rowBytes = 0;
    for (const move of moves) rowBytes += bytesOfRow(move);
    const longChunk = Math.max(Math.floor(CHUNK_NANOSECONDS / call.nanoseconds), 1);
    const stagedChunk = Math.max(Math.floor(CHUNK_BYTES / Math.max(rowBytes, 1)), 1);
    this.rowsPerChunk = evenly(Math.min(longChunk, stagedChunk, MOST_ROWS));
    const chunks = this.rowsPerChunk * CHUNKS_OF_WAVE * threads;
    const wave = moves.length ? Math.max(chunks, Math.floor(WAVE_BYTES / Math.max(rowBytes, 1))) : MOST_ROWS;
    this.rowsPerWave = Math.min(wave, MOST_ROWS, call.rows);
    this.scratch = openScratch(session, call.scratch, threads);
  }

  /** Whether waves go in and out while others are computed. */
  get overlapsWaves(): boolean {
    return this.threads > 1 && this.call.rows > this.rowsPerWave && this.moves.length > 0;
  }

  /** One wave after the other. */
  compute(): void {
    const slot = this.openSlot(firstSlot);
    for (let first = 0; first < this.call.rows; first += this.rowsPerWave) {
      this.stage(slot, first);
      const job = this.jobOf(slot, first);
      runJob(this.session, this.loaded, this.call.kernel, this.threads, job);
      this.end(slot, first, job);
    }
  }

  /** While others compute a wave, the one before goes out and the one after comes in. */
  computeOverlapping(): void {
    const { session, loaded, call, threads, rowsPerWave } = this;
    const slots = [this.openSlot(firstSlot), this.openSlot(secondSlot)] as const;
    let last: (() => void) | undefined;
    this.stage(slots[0], 0);
    for (let first = 0, wave = 0; first < call.rows; first += rowsPerWave, wave++) {
      const slot = slots[wave % 2]!;
      const job = this.jobOf(slot, first);
      const complete = beginJob(session, loaded, call.kernel, threads, job);
      last?.();
      if (first + rowsPerWave < call.rows) this.stage(slots[(wave + 1) % 2]!, first + rowsPerWave);
      complete();
      last = () => this.end(slot, first, job);
    }
    last?.();
  }

  private placeOperands(): void {
    const { call } = this;
    const { inputs, outputs } = call;
    const isStaged = !call.worksInPlace && isInPlace(call);
    for (let i = 0; i < inputs.length; i++) this.place(inputs[i], Word.inputs + i, false, isStaged);
    for (let i = 0; i < outputs.length; i++) this.place(outputs[i], Word.outputs + i, true, isStaged);
    this.place(call.labels && { data: call.labels, width: 1 }, Word.labels, false);
    this.place(call.weights && { data: call.weights, width: 1 }, Word.weights, false);
    this.place(call.factors && { data: call.factors, width: 1 }, Word.factors, false);
    this.place(call.losses && { data: call.losses, width: 1 }, Word.losses, true);
  }

  private place(operand: Operand | undefined, word: number, isOutput: boolean, isStaged = false): void {
    if (!operand) return;
    const { data, width, start = 0 } = operand;
    const address = isStaged ? undefined : this.session.addressOf(data);
    if (address === undefined) this.moves.push({ data, width, start, word, isOutput });
    else {
      const size = data.BYTES_PER_ELEMENT;
      this.residents.push({ word, at: address + size * start, rowBytes: size * width });
    }
  }

  /** Memory for a wave, and all of its record that is the same in every wave. */
  private openSlot(names: SlotNames): Slot {
    const { session, call, moves, rowsPerWave, rowsPerChunk } = this;
    const { tables = [], parameters } = call;
    const record = session.buffer(names.record, RECORD_BYTES);
    const odd = session.buffer(names.odd, rowsPerWave);
    const oddCounts = session.buffer(names.oddCounts, 4 * Math.ceil(rowsPerWave / rowsPerChunk));
    const staged = moves.map((move, i) => session.buffer(names.staged[i]!, rowsPerWave * bytesOfRow(move)));
    const tablesAt = tables.map((table, i) => (table ? session.buffer(tableNames[i]!, table.byteLength) : 0));
    // Taken when all buffers are there: views do not see memory that grew after them.
    const { views } = session;
    const { uint32, float64 } = views;
    const words = record / 4;
    for (let word = 0; word < PARAMETERS / 4; word++) uint32[words + word] = 0;
    uint32[words + Word.width] = call.width;
    uint32[words + Word.odd] = odd;
    uint32[words + Word.flags] = call.flags ?? 0;
    for (let i = 0; i < moves.length; i++) uint32[words + moves[i]!.word] = staged[i]!;
    for (let i = 0; i < tables.length; i++) {
      const table = tables[i];
      if (!table) continue;
      uint32[words + Word.tables + i] = tablesAt[i]!;
      put(viewLike(views, table), tablesAt[i]! / 4, table);
    }
    put(float64, (record + PARAMETERS) / 8, parameters);
    return { record, odd, oddCounts, staged };
  }

  private jobOf({ record, oddCounts }: Slot, first: number): PoolJob {
    const { rowsPerChunk, scratch } = this;
    const rows = Math.min(this.rowsPerWave, this.call.rows - first);
    return { record, rows, rowsPerChunk, scratch: scratch.at, stride: scratch.stride, odd: oddCounts };
  }

  /** Brings a wave in and lets its record point to it. */
  private stage({ record, staged }: Slot, first: number): void {
    const { session, moves, residents } = this;
    const count = Math.min(this.rowsPerWave, this.call.rows - first);
    for (let i = 0; i < moves.length; i++) {
      if (!moves[i]!.isOutput) copyIn(session, moves[i]!, staged[i]!, first, count);
    }
    const { uint32 } = session.views;
    const words = record / 4;
    uint32[words + Word.first] = first;
    for (const { word, at, rowBytes } of residents) uint32[words + word] = at + first * rowBytes;
  }

  /** Ends a wave whose kernel has run: rows left over go to the reference, staged outputs out. */
  private end(slot: Slot, first: number, job: PoolJob): void {
    const { session, moves, sink } = this;
    const odd = hasOdd(session, job) ? oddRows(session, job, slot.odd) : noRows;
    for (const row of odd) sink.odd(first + row);
    for (let i = 0; i < moves.length; i++) {
      if (moves[i]!.isOutput) copyOut(session, moves[i]!, slot.staged[i]!, first, job.rows, odd);
    }
  }
}

function bytesOfRow({ width, data }: Move): number {
  return width * data.BYTES_PER_ELEMENT;
}

/** As `set`, whose call takes longer than to copy a few numbers. */
function put(to: Move["data"], at: number, numbers: ArrayLike<number>): void {
  for (let i = 0; i < numbers.length; i++) to[at + i] = numbers[i]!;
}

/** A multiple of 64 where there are that many: chunks of single numbers then begin at lines of the cache. */
function evenly(rows: number): number {
  return rows < 64 ? rows : rows - (rows % 64);
}

/** Whether an output takes the place of an input. */
function isInPlace({ inputs, outputs }: RowCall): boolean {
  return outputs.some((out) => out && inputs.some((given) => given?.data === out.data));
}

/** Begins one job; the function returned ends it. @throws `engine` where the kernel fails */
function beginJob(session: Session, loaded: Loaded, kernel: string, threads: number, job: PoolJob): () => void {
  if (isShared(threads, job)) return session.beginOnPool(loaded, kernel, job);
  return () => runHere(session, loaded, kernel, job);
}

/** Runs one job; returns whether rows were left to the reference. @throws `engine` where the kernel fails */
export function runJob(session: Session, loaded: Loaded, kernel: string, threads: number, job: PoolJob): boolean {
  if (isShared(threads, job)) session.beginOnPool(loaded, kernel, job)();
  else runHere(session, loaded, kernel, job);
  return hasOdd(session, job);
}

function isShared(threads: number, { rows, rowsPerChunk }: PoolJob): boolean {
  return threads > 1 && rows > rowsPerChunk;
}

function runHere(session: Session, loaded: Loaded, kernel: string, job: PoolJob): void {
  const { record, rows, rowsPerChunk, scratch } = job;
  const { run } = kernelOf(loaded, kernel);
  const { int32 } = session.views;
  try {
    for (let from = 0, chunk = job.odd / 4; from < rows; from += rowsPerChunk, chunk++) {
      int32[chunk] = run(record, from, Math.min(from + rowsPerChunk, rows), scratch);
    }
  } catch (error) {
    throw failure(String(error));
  }
}

function hasOdd({ views: { int32 } }: Session, { odd, rows, rowsPerChunk }: PoolJob): boolean {
  const first = odd / 4;
  for (let chunk = first; chunk < first + Math.ceil(rows / rowsPerChunk); chunk++) if (int32[chunk] !== 0) return true;
  return false;
}

/** The odd rows of a wave, in order. */
function oddRows(session: Session, { rows, rowsPerChunk, odd }: PoolJob, bytesAt: number): number[] {
  const { bytes, int32 } = session.views;
  const found: number[] = [];
  for (let from = 0, chunk = odd / 4; from < rows; from += rowsPerChunk, chunk++) {
    if (int32[chunk] === 0) continue;
    const to = Math.min(from + rowsPerChunk, rows);
    for (let row = from; row < to; row++) if (bytes[bytesAt + row]) found.push(row);
  }
  return found;
}

function copyIn({ views }: Session, { data, width, start }: Move, at: number, first: number, count: number): void {
  const from = start + first * width;
  const part = from === 0 && count * width === data.length ? data : data.subarray(from, from + count * width);
  viewLike(views, data).set(part, at / data.BYTES_PER_ELEMENT);
}

function copyOut(
  { views }: Session,
  { data, width, start }: Move,
  at: number,
  first: number,
  count: number,
  skipped: readonly number[],
): void {
  const source = viewLike(views, data);
  const base = at / data.BYTES_PER_ELEMENT;
  let from = 0;
  // What the reference wrote for odd rows stays.
  for (const row of [...skipped, count]) {
    if (row > from) data.set(source.subarray(base + from * width, base + row * width), start + (first + from) * width);
    from = row + 1;
  }
}

function viewLike({ float32, float64, int32 }: Views, data: Move["data"]): Move["data"] {
  return data instanceof Float32Array ? float32 : data instanceof Float64Array ? float64 : int32;
}

/** Scratch of all threads: an exact accumulator each, then what the kernel asks for. */
interface Scratch {
  readonly at: number;
  readonly stride: number;
}

/** Memory whose accumulators are empty. */
function openScratch(session: Session, bytes: number, threads: number): Scratch {
  const stride = Math.ceil((bytes + ACCUMULATOR_BYTES) / 4096) * 4096;
  const at = session.buffer("scratch", stride * threads);
  const { float64 } = session.views;
  for (let thread = 0; thread < threads; thread++) {
    const from = (at + thread * stride) / 8;
    for (let lane = from; lane < from + LANES; lane++) float64[lane] = 0;
  }
  return { at, stride };
}
