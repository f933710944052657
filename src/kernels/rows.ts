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
  /** The exact sum of weight · loss over all other rows, as 72 lanes; called once or more, to be added up. */
  add(lanes: Float64Array): void;
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
/** From here on waking other threads pays. */
const WORTH_THREADS = 150_000;
/** Rows of one job, since each has a byte of its own to say that it is odd. */
const MOST_ROWS = 1 << 25;

/**
 * Runs a row kernel over a batch. Operands that lie in the kernels' memory are read and written where they are; others
 * go through it in waves that stay in the cache.
 */
export function runRows(session: Session, call: RowCall, sink: RowSink): void {
  const { rows } = call;
  if (rows === 0) return;
  const loaded = session.load(call.module);
  const threads = call.nanoseconds * rows >= WORTH_THREADS ? session.threads : 1;
  const plan = planOf(session, call, threads);
  const { rowsPerChunk, rowsPerWave, slots } = plan;
  const scratch = openScratch(session, call.scratch, threads);
  for (const slot of slots) writeRecord(session, call, slot);
  /** Ends a wave whose kernel has run. */
  const end = (slot: Slot, first: number, job: PoolJob) => {
    const odd = hasOdd(session, job) ? oddRows(session, job, slot.odd) : noRows;
    for (const row of odd) sink.odd(first + row);
    for (const move of slot.moves) if (move.isOutput) copyOut(session, move, first, job.rows, odd);
  };
  const stage = (slot: Slot, first: number) => {
    const count = Math.min(rowsPerWave, rows - first);
    for (const move of slot.moves) if (!move.isOutput) copyIn(session, move, first, count);
    const { uint32 } = session.views;
    const words = slot.record / 4;
    uint32[words + Word.first] = first;
    for (const { word, at, rowBytes } of plan.residents) uint32[words + word] = at + first * rowBytes;
  };
  let last: (() => void) | undefined;
  stage(slots[0]!, 0);
  for (let first = 0, wave = 0; first < rows; first += rowsPerWave, wave++) {
    const slot = slots[wave % slots.length]!;
    const count = Math.min(rowsPerWave, rows - first);
    const { record, oddCounts } = slot;
    const job = { record, rows: count, rowsPerChunk, scratch: scratch.at, stride: scratch.stride, odd: oddCounts };
    const complete = beginJob(session, loaded, call.kernel, threads, job);
    const stageNext = () => first + rowsPerWave < rows && stage(slots[(wave + 1) % slots.length]!, first + rowsPerWave);
    if (slots.length > 1) {
      // While others compute this wave, the one before goes out and the one after comes in.
      last?.();
      stageNext();
      complete();
      last = () => end(slot, first, job);
    } else {
      complete();
      end(slot, first, job);
      stageNext();
    }
  }
  last?.();
  sink.add(drain(session, loaded, scratch, threads));
}

const noRows: readonly number[] = [];

// Made once: names put together in every call would be looked up letter by letter.
interface SlotNames {
  readonly staged: readonly string[];
  readonly record: string;
  readonly odd: string;
  readonly oddCounts: string;
}
const slotNames: readonly SlotNames[] = ["first", "second"].map((slot) => ({
  staged: Array.from({ length: 16 }, (_, i) => `${slot} staged ${i}`),
  record: `${slot} record`,
  odd: `${slot} odd`,
  oddCounts: `${slot} odd counts`,
}));
const tableNames = Array.from({ length: 4 }, (_, i) => `table ${i}`);

/** An array that goes through the kernels' memory: where its rows lie there. */
interface Move {
  readonly data: Float32Array | Float64Array | Int32Array;
  readonly width: number;
  readonly start: number;
  readonly word: number;
  readonly isOutput: boolean;
  at: number;
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
  readonly moves: readonly Move[];
}

/** How the operands of a call reach the kernel, and in which pieces. */
interface Plan {
  readonly rowsPerWave: number;
  readonly rowsPerChunk: number;
  /** One, or two where waves go in and out while others are computed. */
  readonly slots: readonly Slot[];
  /** Operands that are not staged; their addresses move on from wave to wave. */
  readonly residents: readonly Resident[];
}

function planOf(session: Session, call: RowCall, threads: number): Plan {
  const moves: Move[] = [];
  const residents: Resident[] = [];
  const isStaged = !call.worksInPlace && overlaps(call);
  const place = (operand: RowOperand | undefined, word: number, isOutput: boolean) => {
    if (!operand) return;
    const { data, width, start = 0 } = operand;
    const address = isStaged ? undefined : session.addressOf(data);
    if (address !== undefined) residents.push({ word, at: address + 4 * start, rowBytes: 4 * width });
    else moves.push({ data, width, start, word, isOutput, at: 0 });
  };
  for (const [i, operand] of call.inputs.entries()) place(operand, Word.inputs + i, false);
  for (const [i, operand] of call.outputs.entries()) place(operand, Word.outputs + i, true);
  const each = (data: Move["data"] | undefined, word: number, isOutput: boolean) => {
    if (!data) return;
    const address = session.addressOf(data);
    if (address !== undefined) residents.push({ word, at: address, rowBytes: data.BYTES_PER_ELEMENT });
    else moves.push({ data, width: 1, start: 0, word, isOutput, at: 0 });
  };
  each(call.labels, Word.labels, false);
  each(call.weights, Word.weights, false);
  each(call.factors, Word.factors, false);
  each(call.losses, Word.losses, true);
  const bytesOf = ({ width, data }: Move) => width * data.BYTES_PER_ELEMENT;
  const rowBytes = moves.reduce((sum, move) => sum + bytesOf(move), 0);
  const longChunk = Math.max(Math.floor(CHUNK_NANOSECONDS / call.nanoseconds), 1);
  const stagedChunk = Math.max(Math.floor(CHUNK_BYTES / Math.max(rowBytes, 1)), 1);
  const rowsPerChunk = evenly(Math.min(longChunk, stagedChunk, MOST_ROWS));
  const wave = Math.max(rowsPerChunk * CHUNKS_OF_WAVE * threads, Math.floor(WAVE_BYTES / Math.max(rowBytes, 1)));
  const rowsPerWave = Math.min(moves.length ? wave : MOST_ROWS, MOST_ROWS, call.rows);
  const slotAt = (names: SlotNames): Slot => {
    const own = moves.map((move, i) => ({
      ...move,
      at: session.buffer(names.staged[i]!, rowsPerWave * bytesOf(move)),
    }));
    return {
      record: session.buffer(names.record, RECORD_BYTES),
      odd: session.buffer(names.odd, rowsPerWave),
      oddCounts: session.buffer(names.oddCounts, 4 * Math.ceil(rowsPerWave / rowsPerChunk)),
      moves: own,
    };
  };
  const slots = threads > 1 && call.rows > rowsPerWave && moves.length ? slotNames : slotNames.slice(0, 1);
  return { rowsPerWave, rowsPerChunk, slots: slots.map(slotAt), residents };
}

/** A multiple of 64 where there are that many: chunks of single numbers then begin at lines of the cache. */
function evenly(rows: number): number {
  return rows < 64 ? rows : rows - (rows % 64);
}

/** Whether an output lies over an input. */
function overlaps({ inputs, outputs }: RowCall): boolean {
  return outputs.some((out) => out && inputs.some((given) => given && sharesBytes(out.data, given.data)));
}

function sharesBytes(a: Float32Array, b: Float32Array): boolean {
  const apart = a.byteOffset >= b.byteOffset + b.byteLength || b.byteOffset >= a.byteOffset + a.byteLength;
  return a.buffer === b.buffer && !apart;
}

function writeRecord(session: Session, call: RowCall, { record, odd, moves }: Slot): void {
  const tables = (call.tables ?? []).map((table, i) => {
    if (!table) return 0;
    const at = session.buffer(tableNames[i]!, table.byteLength);
    viewLike(session.views, table).set(table, at / 4);
    return at;
  });
  const { uint32, float64 } = session.views;
  const words = record / 4;
  uint32.fill(0, words, words + PARAMETERS / 4);
  uint32[words + Word.width] = call.width;
  uint32[words + Word.odd] = odd;
  uint32[words + Word.flags] = call.flags ?? 0;
  for (const { word, at } of moves) uint32[words + word] = at;
  for (const [i, address] of tables.entries()) uint32[words + Word.tables + i] = address;
  float64.set(call.parameters, (record + PARAMETERS) / 8);
}

/** Begins one job; the function returned ends it. @throws `engine` where the kernel fails */
function beginJob(session: Session, loaded: Loaded, kernel: string, threads: number, job: PoolJob): () => void {
  const chunks = Math.ceil(job.rows / job.rowsPerChunk);
  if (threads > 1 && chunks > 1) return session.beginOnPool(loaded, kernel, job);
  return () => {
    const { run } = kernelOf(loaded, kernel);
    const { int32 } = session.views;
    try {
      for (let chunk = 0; chunk < chunks; chunk++) {
        const from = chunk * job.rowsPerChunk;
        int32[job.odd / 4 + chunk] = run(job.record, from, Math.min(from + job.rowsPerChunk, job.rows), job.scratch);
      }
    } catch (error) {
      throw failure(String(error));
    }
  };
}

/** Runs one job; returns whether rows were left to the reference. @throws `engine` where the kernel fails */
export function runJob(session: Session, loaded: Loaded, kernel: string, threads: number, job: PoolJob): boolean {
  beginJob(session, loaded, kernel, threads, job)();
  return hasOdd(session, job);
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

function copyIn({ views }: Session, { data, width, start, at }: Move, first: number, count: number): void {
  const from = start + first * width;
  const part = from === 0 && count * width === data.length ? data : data.subarray(from, from + count * width);
  viewLike(views, data).set(part, at / data.BYTES_PER_ELEMENT);
}

function copyOut({ views }: Session, move: Move, first: number, count: number, skipped: readonly number[]): void {
  const { data, width, start, at } = move;
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

/** Accumulators are empty between calls; new memory is zeroed. */
function openScratch(session: Session, bytes: number, threads: number): Scratch {
  const stride = Math.ceil((bytes + ACCUMULATOR_BYTES) / 4096) * 4096;
  const at = session.buffer("scratch", stride * threads);
  const { bytes: all } = session.views;
  for (let thread = 0; thread < threads; thread++) {
    const from = at + thread * stride;
    all.fill(0, from, from + ACCUMULATOR_BYTES);
  }
  return { at, stride };
}

function drain(session: Session, loaded: Loaded, { at, stride }: Scratch, threads: number): Float64Array {
  const lanes = session.buffer("lanes", 8 * LANES);
  loaded.drain(at, stride, threads, lanes);
  return session.views.float64.subarray(lanes / 8, lanes / 8 + LANES);
}
