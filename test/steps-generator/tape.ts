/**
 * A small tape of array operations with gradients, as deep-learning frameworks have one: what a step computed is
 * written here in the words of the training code, with its mistakes, and the gradients follow by the chain rule.
 *
 * Every operation is a plain loop in float64 whose result is rounded to the tape's precision, forward and backward, so
 * that a tape in float32 has the noise of float32 code. Nothing of the library computes a number here.
 */
import { type Precision, roundTo } from "./rounding.js";

/** An array on a tape, row-major; `gradient` is filled by {@link Tape.backward}. */
export interface Variable {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  readonly gradient: Float64Array;
}

/** Numbers that can be put on a tape. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

type Slope = (x: number, y: number) => number;

export class Tape {
  readonly precision: Precision;
  private readonly backwards: (() => void)[] = [];

  constructor(precision: Precision = "float32") {
    this.precision = precision;
  }

  /** Numbers with a gradient, rounded to the tape's precision. */
  leaf({ shape, data }: Numbers): Variable {
    return this.made(
      shape,
      Float64Array.from(data, (x) => Number(x)),
    );
  }

  /** Gradients of a scalar with respect to everything before it. */
  backward(scalar: Variable, seed = 1): void {
    scalar.gradient[0] = seed;
    for (let i = this.backwards.length - 1; i >= 0; i--) this.backwards[i]();
  }

  // ------------------------------------------------------------------------------------------------ entry by entry

  map(x: Variable, value: (x: number) => number, slope: Slope): Variable {
    const y = this.made(x.shape, Float64Array.from(x.data, value));
    this.backwards.push(() => {
      for (let i = 0; i < y.data.length; i++) this.add(x, i, y.gradient[i] * slope(x.data[i], y.data[i]));
    });
    return y;
  }

  scale(x: Variable, factor: number): Variable {
    return this.map(
      x,
      (value) => value * factor,
      () => factor,
    );
  }

  shift(x: Variable, by: number): Variable {
    return this.map(
      x,
      (value) => value + by,
      () => 1,
    );
  }

  exp(x: Variable): Variable {
    return this.map(x, Math.exp, (_, y) => y);
  }

  log(x: Variable): Variable {
    return this.map(x, Math.log, (value) => 1 / value);
  }

  sigmoid(x: Variable): Variable {
    return this.map(x, logistic, (_, y) => y * (1 - y));
  }

  /** log(1 + e^x). */
  softplus(x: Variable): Variable {
    return this.map(
      x,
      (value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value))),
      (value) => logistic(value),
    );
  }

  power(x: Variable, exponent: number): Variable {
    return this.map(
      x,
      (value) => value ** exponent,
      (value) => exponent * value ** (exponent - 1),
    );
  }

  /** Numbers held between two bounds; no gradient outside. */
  clamp(x: Variable, least: number, most: number): Variable {
    return this.map(
      x,
      (value) => Math.min(most, Math.max(least, value)),
      (value) => (value >= least && value <= most ? 1 : 0),
    );
  }

  /** The same numbers, without a way back. */
  detach(x: Variable): Variable {
    return this.made(x.shape, Float64Array.from(x.data));
  }

  /** Two arrays of one shape, entry by entry. */
  combine(
    x: Variable,
    y: Variable,
    value: (x: number, y: number) => number,
    slopes: (x: number, y: number) => [number, number],
  ): Variable {
    if (`${x.shape}` !== `${y.shape}`) throw new Error(`[${x.shape}] beside [${y.shape}]`);
    const z = this.made(
      x.shape,
      x.data.map((a, i) => value(a, y.data[i])),
    );
    this.backwards.push(() => {
      for (let i = 0; i < z.data.length; i++) {
        const [left, right] = slopes(x.data[i], y.data[i]);
        this.add(x, i, z.gradient[i] * left);
        this.add(y, i, z.gradient[i] * right);
      }
    });
    return z;
  }

  plus(x: Variable, y: Variable): Variable {
    return this.combine(
      x,
      y,
      (a, b) => a + b,
      () => [1, 1],
    );
  }

  minus(x: Variable, y: Variable): Variable {
    return this.combine(
      x,
      y,
      (a, b) => a - b,
      () => [1, -1],
    );
  }

  times(x: Variable, y: Variable): Variable {
    return this.combine(
      x,
      y,
      (a, b) => a * b,
      (a, b) => [b, a],
    );
  }

  smaller(x: Variable, y: Variable): Variable {
    return this.combine(x, y, Math.min, (a, b) => (a <= b ? [1, 0] : [0, 1]));
  }

  /** x where `keep` is 1 and another number elsewhere: what stands there is not read. */
  where(keep: ArrayLike<number>, x: Variable, otherwise = 0): Variable {
    const y = this.made(
      x.shape,
      x.data.map((value, i) => (keep[i] ? value : otherwise)),
    );
    this.backwards.push(() => {
      for (let i = 0; i < y.data.length; i++) if (keep[i]) this.add(x, i, y.gradient[i]);
    });
    return y;
  }

  // ------------------------------------------------------------------------------------------------ places

  /** Entries by their row-major places: reshape, transpose, slice, broadcast and gather in one. */
  take(x: Variable, places: ArrayLike<number>, shape: readonly number[] = [places.length]): Variable {
    const y = this.made(
      shape,
      Float64Array.from(places, (place) => x.data[place]),
    );
    this.backwards.push(() => {
      for (let i = 0; i < places.length; i++) this.add(x, places[i], y.gradient[i]);
    });
    return y;
  }

  /** The same numbers under another shape. */
  reshape(x: Variable, shape: readonly number[]): Variable {
    return this.take(
      x,
      Array.from(x.data, (_, i) => i),
      shape,
    );
  }

  /** One entry of each row of the last axis. */
  pick(x: Variable, columns: ArrayLike<number>): Variable {
    const width = x.shape.at(-1)!;
    return this.take(
      x,
      Array.from(columns, (column, row) => row * width + column),
      x.shape.slice(0, -1),
    );
  }

  // ------------------------------------------------------------------------------------------------ rows and sums

  logSoftmax(x: Variable): Variable {
    const width = x.shape.at(-1)!;
    const values = new Float64Array(x.data.length);
    for (let at = 0; at < values.length; at += width) {
      const total = logSumExp(x.data, at, width);
      for (let k = at; k < at + width; k++) values[k] = x.data[k] - total;
    }
    const y = this.made(x.shape, values);
    this.backwards.push(() => {
      for (let at = 0; at < values.length; at += width) {
        let sum = 0;
        for (let k = at; k < at + width; k++) sum += y.gradient[k];
        for (let k = at; k < at + width; k++) this.add(x, k, y.gradient[k] - Math.exp(y.data[k]) * sum);
      }
    });
    return y;
  }

  softmax(x: Variable): Variable {
    const width = x.shape.at(-1)!;
    const values = new Float64Array(x.data.length);
    for (let at = 0; at < values.length; at += width) {
      const total = logSumExp(x.data, at, width);
      for (let k = at; k < at + width; k++) values[k] = Math.exp(x.data[k] - total);
    }
    const y = this.made(x.shape, values);
    this.backwards.push(() => {
      for (let at = 0; at < values.length; at += width) {
        let sum = 0;
        for (let k = at; k < at + width; k++) sum += y.gradient[k] * y.data[k];
        for (let k = at; k < at + width; k++) this.add(x, k, y.data[k] * (y.gradient[k] - sum));
      }
    });
    return y;
  }

  /** Sums over the last axis. */
  sumRows(x: Variable): Variable {
    const width = x.shape.at(-1)!;
    const values = new Float64Array(x.data.length / width);
    for (let i = 0; i < x.data.length; i++) {
      const row = Math.floor(i / width);
      values[row] = values[row] + x.data[i];
    }
    const y = this.made(x.shape.slice(0, -1), values);
    this.backwards.push(() => {
      for (let i = 0; i < x.data.length; i++) this.add(x, i, y.gradient[Math.floor(i / width)]);
    });
    return y;
  }

  /**
   * Σ c x, added one by one in at least float32. A coefficient of 0 leaves an entry unread, as `where` does, unless
   * `multiplied` is asked for: then 0 · NaN is NaN.
   */
  weightedSum(x: Variable, coefficients: ArrayLike<number>, { multiplied = false } = {}): Variable {
    const inFloat32 = this.precision === "float64" ? (value: number) => value : Math.fround;
    const reads = (i: number) => multiplied || coefficients[i] !== 0;
    let sum = 0;
    for (let i = 0; i < x.data.length; i++) {
      if (reads(i)) sum = inFloat32(sum + inFloat32(coefficients[i] * x.data[i]));
    }
    const y = this.made([], Float64Array.of(sum));
    this.backwards.push(() => {
      for (let i = 0; i < x.data.length; i++) if (reads(i)) this.add(x, i, y.gradient[0] * coefficients[i]);
    });
    return y;
  }

  /** Dot products of all rows of `x` [N, D] with all rows of `y` [M, D]: [N, M]. */
  products(x: Variable, y: Variable): Variable {
    const [rows, width] = x.shape as [number, number];
    const columns = y.shape[0];
    const values = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let d = 0; d < width; d++) sum += x.data[i * width + d] * y.data[j * width + d];
        values[i * columns + j] = sum;
      }
    }
    const z = this.made([rows, columns], values);
    this.backwards.push(() => {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const pull = z.gradient[i * columns + j];
          if (pull === 0) continue;
          for (let d = 0; d < width; d++) {
            this.add(x, i * width + d, pull * y.data[j * width + d]);
            this.add(y, j * width + d, pull * x.data[i * width + d]);
          }
        }
      }
    });
    return z;
  }

  /** Rows divided by their length. */
  unitRows(x: Variable): Variable {
    const [rows, width] = x.shape as [number, number];
    const lengths = new Float64Array(rows);
    for (let i = 0; i < x.data.length; i++) lengths[Math.floor(i / width)] += x.data[i] * x.data[i];
    for (let row = 0; row < rows; row++) lengths[row] = Math.sqrt(lengths[row]);
    const y = this.made(
      x.shape,
      x.data.map((value, i) => value / lengths[Math.floor(i / width)]),
    );
    this.backwards.push(() => {
      for (let row = 0; row < rows; row++) {
        let along = 0;
        for (let i = row * width; i < (row + 1) * width; i++) along += y.gradient[i] * y.data[i];
        for (let i = row * width; i < (row + 1) * width; i++) {
          this.add(x, i, (y.gradient[i] - y.data[i] * along) / lengths[row]);
        }
      }
    });
    return y;
  }

  // ------------------------------------------------------------------------------------------------ alignments

  /**
   * −log of the probability of all alignments of each sequence, `[B]`, from log-probabilities `[T, B, C]` and one list
   * of symbols a sequence. A sequence without an alignment gives +∞ and a NaN gradient, as frameworks do; with
   * `zeroInfinity` 0 and none. The blank may stand among the symbols: the recursion takes it as it comes.
   */
  alignments(
    x: Variable,
    { frames, symbols, blank, zeroInfinity = false }: AlignmentInputs & { readonly zeroInfinity?: boolean },
  ): Variable {
    const [, batch, classes] = x.shape as [number, number, number];
    const values = new Float64Array(batch);
    const posteriors: Float64Array[] = [];
    for (let b = 0; b < batch; b++) {
      const at = (t: number, k: number) => (t * batch + b) * classes + k;
      const { loss, posterior } = alignOne(frames[b], symbols[b], blank, classes, (t, k) => x.data[at(t, k)]);
      values[b] = zeroInfinity && loss === Number.POSITIVE_INFINITY ? 0 : loss;
      posteriors.push(posterior);
    }
    const y = this.made([batch], values);
    this.backwards.push(() => {
      for (let b = 0; b < batch; b++) {
        const pull = y.gradient[b];
        if (pull === 0 || (zeroInfinity && y.data[b] === 0)) continue;
        const broken = y.data[b] === Number.POSITIVE_INFINITY;
        for (let t = 0; t < frames[b]; t++) {
          for (let k = 0; k < classes; k++) {
            const posterior = broken ? Number.NaN : posteriors[b][t * classes + k];
            this.add(x, (t * batch + b) * classes + k, -pull * posterior);
          }
        }
      }
    });
    return y;
  }

  private made(shape: readonly number[], data: Float64Array): Variable {
    const size = shape.reduce((product, length) => product * length, 1);
    if (size !== data.length) throw new Error(`${data.length} numbers for [${shape}]`);
    if (this.precision !== "float64") for (let i = 0; i < size; i++) data[i] = roundTo(this.precision, data[i]);
    return { shape, data, gradient: new Float64Array(size) };
  }

  private add({ gradient }: Variable, at: number, pull: number): void {
    gradient[at] = roundTo(this.precision, gradient[at] + roundTo(this.precision, pull));
  }
}

interface AlignmentInputs {
  /** Frames of each sequence. */
  readonly frames: readonly number[];
  /** Symbols of each sequence. */
  readonly symbols: readonly (readonly number[])[];
  readonly blank: number;
}

/** Forward and backward recursions over the symbols of one sequence with blanks between them. */
function alignOne(
  frames: number,
  symbols: readonly number[],
  blank: number,
  classes: number,
  logProb: (t: number, k: number) => number,
): { loss: number; posterior: Float64Array } {
  const states = [blank, ...symbols.flatMap((symbol) => [symbol, blank])];
  const count = states.length;
  const skips = (s: number) => s >= 2 && states[s] !== blank && states[s] !== states[s - 2];
  const never = Number.NEGATIVE_INFINITY;
  const forward = new Float64Array(frames * count).fill(never);
  const backward = new Float64Array(frames * count).fill(never);
  for (let t = 0; t < frames; t++) {
    for (let s = 0; s < count; s++) {
      if (t === 0) {
        if (s < 2) forward[s] = logProb(0, states[s]);
        continue;
      }
      const before = forward.subarray((t - 1) * count, t * count);
      const ways = [before[s], s >= 1 ? before[s - 1] : never, skips(s) ? before[s - 2] : never];
      forward[t * count + s] = logSumExp(ways, 0, 3) + logProb(t, states[s]);
    }
  }
  for (let t = frames - 1; t >= 0; t--) {
    for (let s = count - 1; s >= 0; s--) {
      if (t === frames - 1) {
        if (s >= count - 2) backward[t * count + s] = logProb(t, states[s]);
        continue;
      }
      const after = backward.subarray((t + 1) * count, (t + 2) * count);
      const ways = [
        after[s],
        s + 1 < count ? after[s + 1] : never,
        s + 2 < count && skips(s + 2) ? after[s + 2] : never,
      ];
      backward[t * count + s] = logSumExp(ways, 0, 3) + logProb(t, states[s]);
    }
  }
  const last = (frames - 1) * count;
  const ends = frames === 0 ? [never] : [forward[last + count - 1], count > 1 ? forward[last + count - 2] : never];
  const total = logSumExp(ends, 0, ends.length);
  const posterior = new Float64Array(frames * classes);
  for (let t = 0; t < frames; t++) {
    for (let s = 0; s < count; s++) {
      const through = forward[t * count + s] + backward[t * count + s] - logProb(t, states[s]);
      posterior[t * classes + states[s]] += Math.exp(through - total);
    }
  }
  return { loss: -total, posterior };
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function logSumExp(values: ArrayLike<number>, from: number, count: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + count; i++) {
    if (Number.isNaN(values[i])) return Number.NaN;
    top = Math.max(top, values[i]);
  }
  if (!Number.isFinite(top)) return top;
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += Math.exp(values[i] - top);
  return top + Math.log(sum);
}
