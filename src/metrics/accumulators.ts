import { LosswrightError } from "../errors/index.js";
import { ExactSum, type ExactSumJson } from "../tally/index.js";

/**
 * What a metric keeps between updates. Every kind merges without rounding, associative and commutative in what a metric
 * computes from it, and has a JSON form that gives it back to the bit. A metric's state is an object of these by name,
 * so that merging and writing a metric needs nothing of the metric's own.
 */
export interface Accumulator {
  /** Adds what another one of the same kind holds; the other is unchanged. */
  merge(other: this): void;
  toJSON(): unknown;
  /** Takes what `toJSON` wrote, into an empty accumulator. @throws `argument` for anything else */
  read(json: unknown): void;
}

/** A metric's state: accumulators by name. */
export type MetricState = Readonly<Record<string, Accumulator>>;

/** Exact sums by key: a count of samples, a weight, a cell of a table. A key never added to is 0. */
export class Sums implements Accumulator {
  private readonly sums = new Map<string | number, ExactSum>();

  /** The sum of a key, for adding to it many times. */
  of(key: string | number): ExactSum {
    let sum = this.sums.get(key);
    if (!sum) {
      sum = new ExactSum();
      this.sums.set(key, sum);
    }
    return sum;
  }

  /** The sum of a key, rounded once. */
  value(key: string | number): number {
    return this.sums.get(key)?.value ?? 0;
  }

  has(key: string | number): boolean {
    return this.sums.has(key);
  }

  /** Keys in ascending order: numbers, then words. */
  keys(): (string | number)[] {
    return [...this.sums.keys()].sort((a, b) => {
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return a < b ? -1 : a > b ? 1 : 0;
    });
  }

  merge(other: this): void {
    for (const [key, sum] of other.sums) this.of(key).merge(sum);
  }

  toJSON(): readonly (readonly [string | number, ExactSumJson])[] {
    return this.keys().map((key) => [key, this.sums.get(key)!.toJSON()]);
  }

  read(json: unknown): void {
    if (!Array.isArray(json)) throw unreadable("a list of keys with sums", json);
    for (const entry of json) {
      const [key, sum] = Array.isArray(entry) ? entry : [];
      if (typeof key !== "string" && !Number.isSafeInteger(key)) throw unreadable("a key with a sum", entry);
      this.of(key).merge(ExactSum.fromJSON(sum));
    }
  }
}

/** Columns that most samples do not need: they exist from the first number that differs from what is usual. */
const usual = { weights: 1, tags: 0 } as const;
type RareColumn = keyof typeof usual;
const rareColumns = Object.keys(usual) as readonly RareColumn[];

/**
 * Samples themselves, in columns of float64, with a weight each: for metrics that must sort. Memory is 8 bytes a column
 * and sample, and 8 more where a weight differs from 1 or samples are tagged.
 */
export class Samples implements Accumulator {
  /** What `add` tags samples with: whose sample it is, for resampling. 0 is nobody's. */
  tag = 0;
  private held: Float64Array[];
  private readonly rare: { [K in RareColumn]?: Float64Array } = {};
  private capacity = 0;
  private count = 0;

  /** @param names - one to three columns */
  constructor(private readonly names: readonly string[]) {
    this.held = names.map(() => new Float64Array(0));
  }

  get length(): number {
    return this.count;
  }

  /** The numbers of a column, one a sample; a view that the next `add` may leave behind. */
  column(name: string): Float64Array {
    return this.held[this.names.indexOf(name)]!.subarray(0, this.count);
  }

  /** The samples' weights, or undefined where each is 1. */
  get weights(): Float64Array | undefined {
    return this.rare.weights?.subarray(0, this.count);
  }

  /** Whose samples they are, or undefined where nothing was tagged. */
  get tags(): Float64Array | undefined {
    return this.rare.tags?.subarray(0, this.count);
  }

  /** Makes room for more samples without copying at each of them. */
  reserve(more: number): void {
    const wanted = this.count + more;
    if (wanted <= this.capacity) return;
    this.capacity = Math.max(wanted, 2 * this.capacity);
    const grow = (column: Float64Array): Float64Array => {
      const next = new Float64Array(this.capacity);
      next.set(column.subarray(0, this.count));
      return next;
    };
    this.held = this.held.map(grow);
    for (const name of rareColumns) if (this.rare[name]) this.rare[name] = grow(this.rare[name]);
  }

  /** Adds a sample of up to three columns. */
  add(weight: number, first: number, second = 0, third = 0): void {
    if (this.count === this.capacity) this.reserve(1);
    const { held } = this;
    const at = this.count++;
    held[0]![at] = first;
    if (held.length > 1) held[1]![at] = second;
    if (held.length > 2) held[2]![at] = third;
    this.set("weights", at, weight);
    this.set("tags", at, this.tag);
  }

  private set(name: RareColumn, at: number, value: number): void {
    if (!this.rare[name] && value === usual[name]) return;
    this.rareColumn(name, at)[at] = value;
  }

  /** A rare column, made with what is usual for the samples before. */
  private rareColumn(name: RareColumn, before: number): Float64Array {
    this.rare[name] ??= new Float64Array(this.capacity).fill(usual[name], 0, before);
    return this.rare[name];
  }

  /** The same samples with other weights; those of weight 0 are left out. */
  reweighted(factor: (sample: number) => number): Samples {
    const made = new Samples(this.names);
    made.reserve(this.count);
    const [first, second, third] = this.held;
    const { weights } = this.rare;
    for (let i = 0; i < this.count; i++) {
      const weight = factor(i) * (weights?.[i] ?? 1);
      if (weight !== 0) made.add(weight, first![i]!, second?.[i], third?.[i]);
    }
    return made;
  }

  merge(other: this): void {
    const from = this.count;
    this.reserve(other.count);
    this.count += other.count;
    for (const [k, column] of this.held.entries()) column.set(other.held[k]!.subarray(0, other.count), from);
    for (const name of rareColumns) {
      if (other.rare[name]) this.rareColumn(name, from).set(other.rare[name].subarray(0, other.count), from);
      else this.rare[name]?.fill(usual[name], from, this.count);
    }
  }

  toJSON(): { readonly columns: Readonly<Record<string, string>>; readonly weights?: string; readonly tags?: string } {
    const { weights, tags } = this;
    return {
      columns: Object.fromEntries(this.names.map((name) => [name, encode(this.column(name))])),
      ...(weights && { weights: encode(weights) }),
      ...(tags && { tags: encode(tags) }),
    };
  }

  read(json: unknown): void {
    const given = (json ?? {}) as { columns?: Record<string, unknown> } & { [K in RareColumn]?: unknown };
    this.held = this.names.map((name) => decode(given.columns?.[name]));
    this.count = this.held[0]!.length;
    this.capacity = this.count;
    for (const name of rareColumns) if (given[name] !== undefined) this.rare[name] = decode(given[name]);
    const lengths = [...this.held, ...Object.values(this.rare)].map(({ length }) => length);
    if (lengths.some((length) => length !== this.count)) throw unreadable("columns of one length", lengths);
  }
}

/** The largest number seen; nothing is −∞. */
export class Maximum implements Accumulator {
  private largest = Number.NEGATIVE_INFINITY;

  get value(): number {
    return this.largest;
  }

  add(value: number): void {
    if (value > this.largest) this.largest = value;
  }

  merge(other: this): void {
    this.add(other.largest);
  }

  toJSON(): number | "-inf" | "inf" {
    return Number.isFinite(this.largest) ? this.largest : this.largest > 0 ? "inf" : "-inf";
  }

  read(json: unknown): void {
    if (typeof json !== "number" && json !== "-inf" && json !== "inf") throw unreadable("a number", json);
    this.largest = json === "-inf" ? Number.NEGATIVE_INFINITY : json === "inf" ? Number.POSITIVE_INFINITY : json;
  }
}

/** Float64 numbers as base64 of their little-endian bytes. */
function encode(numbers: Float64Array): string {
  const bytes = new Uint8Array(numbers.length * 8);
  const bits = new DataView(bytes.buffer);
  for (let i = 0; i < numbers.length; i++) bits.setFloat64(8 * i, numbers[i]!, true);
  let text = "";
  for (let at = 0; at < bytes.length; at += 12288) text += btoa(String.fromCharCode(...bytes.subarray(at, at + 12288)));
  return text;
}

function decode(text: unknown): Float64Array {
  if (typeof text !== "string") throw unreadable("a column as base64", text);
  let binary: string;
  try {
    binary = atob(text);
  } catch (error) {
    throw unreadable("base64", text, error);
  }
  if (binary.length % 8 !== 0) throw unreadable("whole float64 numbers", `${binary.length} bytes`);
  const bits = new DataView(Uint8Array.from(binary, (character) => character.charCodeAt(0)).buffer);
  return Float64Array.from({ length: binary.length / 8 }, (_, i) => bits.getFloat64(8 * i, true));
}

function unreadable(expected: string, found: unknown, cause?: unknown): LosswrightError {
  return new LosswrightError(
    {
      code: "argument",
      where: "metric JSON",
      field: "state",
      found: (JSON.stringify(found) ?? String(found)).slice(0, 80),
      expected,
      fix: "pass what toJSON of a metric of this version wrote.",
    },
    { cause },
  );
}
