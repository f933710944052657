import type { BatchCall } from "./batch-call.js";
import { ctcModule } from "./binaries/ctc.js";
import { Jobs } from "./matrix.js";
import type { Session } from "./session.js";

/** A batch of CTC: its scores, and how to come by lengths and labels. */
export interface CtcSequences {
  /** Frames, sequences, classes in one order or the other. */
  readonly scores: Float32Array;
  readonly framesFirst: boolean;
  /** Whether the scores are log-probabilities, taken as they are. */
  readonly isNormalized: boolean;
  readonly frames: number;
  readonly classes: number;
  readonly blank: number;
  /** Lengths and labels, checked as they are read. */
  readonly sequences: {
    frames(unit: number): number;
    /** Reads the labels of a sequence into `labels`; returns how many there are. */
    take(unit: number): number;
    readonly labels: Int32Array;
  };
}

const Flag = { normalized: 1, inPlace: 2 } as const;
/** What the kernel says of a sequence whose loss it found and whose gradient it did not. */
const GRADIENT_ONLY = 2;

/** Staged scores and gradients of a wave, which had better stay in the cache; one sequence a thread is the least. */
const WAVE_BYTES = 1 << 23;
/** A sequence that needs more scratch is computed alone, and one that needs much more by the reference. */
const MUCH_SCRATCH = 0x800_0000;
const MOST_SCRATCH = 0x8000_0000;

/**
 * Computes losses and gradients of CTC, a sequence a thread. Scores and gradients that lie in the kernels' memory are
 * read and written where they are; others go through it in waves of sequences.
 *
 * @throws what `sequences` throws, for the first sequence with a weight
 */
export function runCtc(call: BatchCall, given: CtcSequences): void {
  const units = call.losses.length;
  const taken = takeSequences(call, given, units);
  if (units === 0) return;
  new CtcRun(call, given, taken, units).run();
}

const NOT_READ = -1;
const LEFT = -2;

/** Lengths and labels of all sequences, read once. */
interface Taken {
  /** −1 for a sequence that is not read, −2 for one that is left to the reference. */
  readonly lengths: Int32Array;
  readonly starts: Int32Array;
  readonly labels: Int32Array;
}

function takeSequences({ weights }: BatchCall, { sequences }: CtcSequences, units: number): Taken {
  const lengths = new Int32Array(units).fill(NOT_READ);
  const starts = new Int32Array(units + 1);
  const parts: Int32Array[] = [];
  for (let unit = 0; unit < units; unit++) {
    let count = 0;
    if (weights?.[unit] !== 0) {
      lengths[unit] = sequences.frames(unit);
      count = sequences.take(unit);
      parts.push(sequences.labels.slice(0, count));
    }
    starts[unit + 1] = starts[unit]! + count;
  }
  const labels = new Int32Array(starts[units]!);
  let at = 0;
  for (const part of parts) {
    labels.set(part, at);
    at += part.length;
  }
  return { lengths, starts, labels };
}

/** Scores or gradients: where sequence 0 of the wave lies, and the entries between frames and between sequences. */
interface Operand {
  readonly data: Float32Array;
  readonly step: number;
  readonly stride: number;
  /** Address of the whole array, or undefined where it is staged. */
  readonly address: number | undefined;
  readonly staged: number;
}

class CtcRun {
  private readonly session: Session;
  private readonly jobs: Jobs;
  private readonly scores: Operand;
  private readonly gradient: Operand | undefined;
  private readonly isInPlace: boolean;
  private readonly wave: number;
  private readonly scratch: number;
  private readonly nanoseconds: number;
  private readonly at: Record<"lengths" | "starts" | "labels" | "factors" | "losses" | "odd", number>;

  constructor(
    private readonly call: BatchCall,
    private readonly given: CtcSequences,
    private readonly taken: Taken,
    private readonly units: number,
  ) {
    const { session, outputs } = call;
    const { scores } = given;
    const out = outputs[0];
    this.session = session;
    this.jobs = new Jobs(session, ctcModule);
    const isSame = out !== undefined && out.byteOffset === scores.byteOffset && out.buffer === scores.buffer;
    this.isInPlace = isSame && session.addressOf(scores) !== undefined;
    // An array that lies over a part of the other goes another way.
    const mustStage = out !== undefined && !this.isInPlace && sharesBytes(out, scores);
    this.scratch = this.leaveLargest();
    const isAlone = this.scratch > MUCH_SCRATCH;
    const bytes = 4 * given.frames * given.classes;
    const isStaged = (data: Float32Array | undefined) =>
      data !== undefined && (mustStage || session.addressOf(data) === undefined);
    const stagedBytes = bytes * (Number(isStaged(scores)) + Number(isStaged(out)));
    const fitting = stagedBytes === 0 ? units : Math.floor(WAVE_BYTES / stagedBytes);
    this.wave = isAlone ? 1 : Math.min(units, Math.max(fitting, session.threads));
    this.nanoseconds = this.estimate();
    const operand = (name: string, data: Float32Array): Operand => {
      const staged = isStaged(data);
      const { framesFirst, frames, classes } = given;
      const width = staged ? this.wave : units;
      return {
        data,
        step: framesFirst ? width * classes : classes,
        stride: framesFirst ? classes : frames * classes,
        address: staged ? undefined : session.addressOf(data),
        staged: staged ? session.buffer(name, this.wave * bytes) : 0,
      };
    };
    this.scores = operand("ctc scores", scores);
    this.gradient = out && operand("ctc gradient", out);
    this.at = {
      lengths: session.buffer("ctc lengths", 4 * units),
      starts: session.buffer("ctc starts", 4 * (units + 1)),
      labels: session.buffer("ctc labels", taken.labels.byteLength),
      factors: session.buffer("ctc factors", 8 * units),
      losses: session.buffer("ctc losses", 8 * units),
      odd: session.buffer("ctc odd", units),
    };
  }

  run(): void {
    const { session, at, units, wave, taken, call } = this;
    const { bytes, int32, float64 } = session.views;
    int32.set(taken.lengths, at.lengths / 4);
    int32.set(taken.starts, at.starts / 4);
    int32.set(taken.labels, at.labels / 4);
    if (call.factors) float64.set(call.factors, at.factors / 8);
    bytes.fill(0, at.odd, at.odd + units);
    for (let first = 0; first < units; first += wave) {
      const count = Math.min(wave, units - first);
      this.copyIn(first, count);
      this.compute(first, count);
      const odd = this.settle(first, count);
      this.copyOut(first, count, odd);
    }
  }

  private compute(first: number, count: number): void {
    const { given, at, scores, gradient, isInPlace, scratch, nanoseconds } = this;
    const addressOf = (operand: Operand) =>
      operand.address === undefined ? operand.staged : operand.address + 4 * first * operand.stride;
    const flags = (given.isNormalized ? Flag.normalized : 0) | (isInPlace ? Flag.inPlace : 0);
    const words = [
      ...[given.classes, given.blank, flags, given.frames],
      ...[addressOf(scores), 4 * scores.step, 4 * scores.stride],
      ...(gradient ? [addressOf(gradient), 4 * gradient.step, 4 * gradient.stride] : [0, 0, 0]),
      ...[at.lengths + 4 * first, at.starts + 4 * first, at.labels],
      ...[at.factors + 8 * first, at.losses + 8 * first, at.odd + first],
    ];
    this.jobs.run("ctc", { count, nanoseconds, scratch }, words);
  }

  /** Hands losses over, and to the reference what the kernel left of a wave; returns those sequences. */
  private settle(first: number, count: number): readonly number[] {
    const { call, session, at, taken } = this;
    const { bytes, float64 } = session.views;
    const odd: number[] = [];
    for (let unit = first; unit < first + count; unit++) {
      if (taken.lengths[unit] === NOT_READ) continue;
      const loss = float64[at.losses / 8 + unit]!;
      const mark = bytes[at.odd + unit]!;
      if (mark !== 0) {
        odd.push(unit - first);
        call.odd(unit);
      }
      // The same loss whether a gradient is asked or not.
      if (mark === 0 || mark === GRADIENT_ONLY) call.losses[unit] = loss;
    }
    return odd;
  }

  /** Brings the frames of a wave that are read into the memory. */
  private copyIn(first: number, count: number): void {
    const { scores, taken, given, units } = this;
    if (scores.address !== undefined) return;
    const { float32 } = this.session.views;
    const { data, step, stride, staged } = scores;
    const { classes } = given;
    const to = staged / 4;
    const lengths = taken.lengths.subarray(first, first + count);
    if (!given.framesFirst) {
      for (const [i, length] of lengths.entries()) {
        const from = (first + i) * stride;
        if (length > 0) float32.set(data.subarray(from, from + length * classes), to + i * stride);
      }
      return;
    }
    const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
    if (count === units) {
      float32.set(data.subarray(0, longest * step), to);
      return;
    }
    for (let t = 0; t < longest; t++) {
      const from = (t * units + first) * classes;
      float32.set(data.subarray(from, from + count * classes), to + t * step);
    }
  }

  /** Brings the gradients of a wave back; what the reference wrote stays. */
  private copyOut(first: number, count: number, odd: readonly number[]): void {
    const { gradient, given, units } = this;
    if (!gradient || gradient.address !== undefined) return;
    const { float32 } = this.session.views;
    const { data, step, stride, staged } = gradient;
    const { classes, frames, framesFirst } = given;
    const from = staged / 4;
    let start = 0;
    for (const end of [...odd, count]) {
      const length = end - start;
      if (length > 0 && framesFirst && length < units) {
        for (let t = 0; t < frames; t++) {
          const source = from + t * step + start * classes;
          data.set(float32.subarray(source, source + length * classes), (t * units + first + start) * classes);
        }
      } else if (length > 0) {
        const source = from + start * stride;
        data.set(float32.subarray(source, source + length * frames * classes), (first + start) * stride);
      }
      start = end + 1;
    }
  }

  /** Bytes of scratch of the sequence that needs most; a sequence that needs too much is left to the reference. */
  private leaveLargest(): number {
    const { given, taken, call, units } = this;
    let most = 0;
    for (let unit = 0; unit < units; unit++) {
      const length = taken.lengths[unit]!;
      if (length <= 0) continue;
      const labels = taken.starts[unit + 1]! - taken.starts[unit]!;
      const bytes = scratchBytes(given.classes, labels, length, call.outputs[0] !== undefined);
      if (bytes > MOST_SCRATCH) taken.lengths[unit] = LEFT;
      else most = Math.max(most, bytes);
    }
    return most;
  }

  /** About how long a sequence takes. */
  private estimate(): number {
    const { taken, given, units, call } = this;
    const labels = taken.labels.length / units;
    const frames = taken.lengths.reduce((sum, length) => sum + Math.max(length, 0), 0) / units;
    const each = call.factors ? 1.2 * given.classes + 4 * labels : given.classes + 2 * labels;
    return 100 + frames * (150 + each);
  }
}

/** What `carve` of `assembly/ctc.ts` lays out, at most. */
function scratchBytes(classes: number, labels: number, frames: number, keeps: boolean): number {
  const row = 8 * (labels + 6);
  const kept = keeps ? frames : 2;
  const fixed = classes / 256 + 8 * (classes + labels) + 12 * row + 1024;
  const eachFrame = 32 + 16 + row + 2 * row + 8 * (Math.min(labels + 1, classes) + 1);
  return Math.ceil(fixed + kept * eachFrame);
}

function sharesBytes(a: Float32Array, b: Float32Array): boolean {
  const apart = a.byteOffset >= b.byteOffset + b.byteLength || b.byteOffset >= a.byteOffset + a.byteLength;
  return a.buffer === b.buffer && !apart;
}
