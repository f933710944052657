import { exp, log1p } from "../numerics/index.js";
import type { TensorData } from "../tensor/index.js";
import type { BatchCall } from "./batch-call.js";
import { similarityModule } from "./binaries/similarity.js";
import { Jobs, multiply } from "./matrix.js";
import type { Session } from "./session.js";

/** Two sides of embeddings, each row of queries scored against every key. */
export interface Similarities {
  /** Whether each row is a softmax over keys, or each pair a sigmoid. */
  readonly kind: "softmax" | "sigmoid";
  /** A row a unit, `width` numbers each. */
  readonly queries: Float32Array;
  readonly keys: Float32Array;
  readonly width: number;
  /** Whether rows are divided by their norm first. */
  readonly normalize: boolean;
  /** Whether keys look for their query too, half of each; row i ↔ key i then. */
  readonly isMutual: boolean;
  /** What dot products are multiplied by, and what is added to them then. */
  readonly scale: number;
  readonly bias?: number;
  /** The key of each unit; without it that of unit i is key i + `offset`. */
  readonly labels?: Int32Array | undefined;
  /** Where the keys of these units begin among those of others; 0 without it, and where keys look for queries too. */
  readonly offset?: number;
  /** 1 for a pair that is not read, a row of keys a unit. */
  readonly excluded?: TensorData | undefined;
}

/** Derivatives by the logarithm of the scale and by the bias; 0 where no gradients are asked. */
export interface ScalarGradients {
  readonly ofLogScale: number;
  readonly ofBias: number;
}

/** Queries that are scored at a time; fewer where keys are so many that the scores would take too much memory. */
const CHUNK = 256;
const SMALLEST_CHUNK = 16;
/** So many scores are held at a time, and kept between the two walks of a search from both sides: 64 MB. */
const MOST_SCORES = 1 << 24;

/** What of a call a search reads and writes. */
type SearchCall = Pick<BatchCall, "session" | "weights" | "factors" | "outputs" | "losses">;

/**
 * Computes the losses of a batch of similarities into `call.losses` and the gradients of queries and keys into the first
 * two of `call.outputs`. Returns undefined where the batch is to be computed by the reference: a number that is not
 * finite, or a positive that is excluded; what was written is of no use then.
 *
 * The scores of all queries are held only where they are few; otherwise those of a chunk of queries against all keys.
 * A search from both sides that only few units ask for scores their rows alone, and finds the same bits.
 */
export function runSimilarities(call: BatchCall, given: Similarities): ScalarGradients | undefined {
  if (!(given.scale >= 1e-15 && given.scale <= 1e15)) return undefined;
  const units = call.weights ? liveOf(call.weights) : null;
  if (!given.isMutual) return new SimilarityRun(call, given, units).run();
  // What two products with the units' rows cost, where one with all rows costs more.
  if (units && 2 * units.length <= call.losses.length) return searchFromEach(call, given, units);
  return new SimilarityRun(call, given, null).run();
}

/** A search from both sides as one from each: the units' queries among all keys, then their keys among all queries. */
function searchFromEach(call: SearchCall, given: Similarities, units: Int32Array): ScalarGradients | undefined {
  const { session, weights, losses, outputs } = call;
  const { queries, keys } = given;
  const factors = call.factors?.map((factor) => 0.5 * factor);
  const there = { session, weights, factors, losses, outputs };
  const back = { ...there, losses: new Float64Array(losses.length), outputs: [outputs[1], outputs[0]] };
  const oneSided = { ...given, isMutual: false };
  const ofQueries = new SimilarityRun(there, oneSided, units).run();
  if (!ofQueries) return undefined;
  const ofKeys = new SimilarityRun(back, { ...oneSided, queries: keys, keys: queries }, units, true).run();
  if (!ofKeys) return undefined;
  for (const unit of units) losses[unit] = 0.5 * losses[unit]! + 0.5 * back.losses[unit]!;
  return { ofLogScale: ofQueries.ofLogScale + ofKeys.ofLogScale, ofBias: 0 };
}

class SimilarityRun {
  private readonly session: Session;
  private readonly jobs: Jobs;
  private readonly rows: number;
  private readonly columns: number;
  private readonly width: number;
  private readonly chunk: number;
  private readonly asksGradients: boolean;

  /**
   * @param units - the units whose queries are scored, in order, and no other query is read; null for all
   * @param isTurned - whether this is the second half of a search from both sides, its queries being the keys there: they
   *   join what they find chunk by chunk, as keys do, and gradients are added to those of the first half
   */
  constructor(
    private readonly call: SearchCall,
    private readonly given: Similarities,
    private readonly units: Int32Array | null,
    private readonly isTurned = false,
  ) {
    const { session, factors, losses } = call;
    this.session = session;
    this.jobs = new Jobs(session, similarityModule);
    this.width = given.width;
    this.columns = given.keys.length / Math.max(given.width, 1);
    this.rows = units?.length ?? losses.length;
    this.chunk = Math.min(chunkOf(this.columns), this.rows);
    this.asksGradients = factors !== undefined;
  }

  run(): ScalarGradients | undefined {
    const { given, rows, columns, width, call, units } = this;
    if (rows === 0 || columns === 0 || width === 0) return rows === 0 ? this.nothing() : undefined;
    const positives = this.positives();
    if (!positives) return undefined;
    const queries = this.stage("queries", given.queries, rows, units);
    const keys = queries && this.stage("keys", given.keys, columns, null);
    if (!queries || !keys) return undefined;
    const place = this.place(positives, queries, keys);
    const back = this.isTurned ? this.beginParts() : given.isMutual ? this.searchBack(place) : null;
    if (back === undefined) return undefined;
    if (!this.search(place, back)) return undefined;
    this.giveLosses(place, back);
    if (!this.asksGradients) return { ofLogScale: 0, ofBias: 0 };
    this.giveGradient(queries, place.queryGradients, rows, units, call.outputs[0]!);
    this.giveGradient(keys, place.keyGradients, columns, null, call.outputs[1]!);
    return { ofLogScale: this.sum(place.sums) / given.scale, ofBias: this.sum(place.biasSums) / given.scale };
  }

  private nothing(): ScalarGradients {
    for (const out of this.call.outputs) out?.fill(0);
    return { ofLogScale: 0, ofBias: 0 };
  }

  /** The positive of each row that is scored; undefined where one is excluded. */
  private positives(): Int32Array | undefined {
    const { units, rows, columns, call, given } = this;
    const { labels, excluded, offset = 0 } = given;
    const found = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      const unit = units ? units[row]! : row;
      const label = labels ? labels[unit]! : unit + offset;
      const isLive = call.weights?.[unit] !== 0;
      if (isLive && excluded && Number(excluded[unit * columns + label]) !== 0) return undefined;
      found[row] = label;
    }
    return found;
  }

  /** Rows in the kernels' memory, divided by their norms where that is asked; undefined where one is not finite. */
  private stage(side: Side, data: Float32Array, count: number, units: Int32Array | null): Embedded | undefined {
    const { session, jobs, width } = this;
    const at = session.buffer(`similarity ${side}`, 4 * count * width);
    const norms = this.given.normalize ? session.buffer(`similarity ${side} norms`, 8 * count) : 0;
    const { float32 } = session.views;
    if (!units) float32.set(data, at / 4);
    else {
      for (let row = 0; row < count; row++) {
        const from = units[row]! * width;
        float32.set(data.subarray(from, from + width), at / 4 + row * width);
      }
    }
    const isBroken = jobs.run("prepareRows", { count, nanoseconds: 20 + width }, [at, width, norms]);
    return isBroken ? undefined : { at, norms };
  }

  /** Where everything lies that rows of a chunk are scored with. */
  private place(positives: Int32Array, queries: Embedded, keys: Embedded): Place {
    const { session, jobs, call, units, rows, columns, width, chunk, given, asksGradients } = this;
    const isKept = given.isMutual && rows * columns <= MOST_SCORES;
    const [queryGradients, keyGradients] = call.outputs;
    const place = {
      queries: queries.at,
      keys: keys.at,
      queryGradients: queryGradients ? this.gradientAt("queries", queryGradients, rows, units) : 0,
      keyGradients: keyGradients ? this.gradientAt("keys", keyGradients, columns, null) : 0,
      isKept,
      scores: session.buffer("similarity scores", 4 * columns * (isKept ? rows : chunk)),
      excluded: given.excluded ? session.buffer("similarity excluded", chunk * columns) : 0,
      labels: session.buffer("similarity labels", 4 * rows),
      products: session.buffer("similarity products", 8 * rows),
      losses: session.buffer("similarity losses", 8 * rows),
      factors: asksGradients ? session.buffer("similarity factors", 8 * rows) : 0,
      sums: session.buffer("similarity sums", 8 * rows),
      biasSums: session.buffer("similarity bias sums", 8 * rows),
      live: given.isMutual && call.weights ? session.buffer("similarity live", rows) : 0,
    };
    const { int32, float64, bytes } = session.views;
    int32.set(positives, place.labels / 4);
    float64.fill(0, place.sums / 8, place.sums / 8 + rows);
    float64.fill(0, place.biasSums / 8, place.biasSums / 8 + rows);
    if (place.live) for (let row = 0; row < rows; row++) bytes[place.live + row] = call.weights![row] ? 1 : 0;
    if (asksGradients) for (let row = 0; row < rows; row++) float64[place.factors / 8 + row] = this.factorOf(row);
    const words = [queries.at, width, 0, keys.at, place.labels, place.products];
    jobs.run("pairProducts", { count: rows, nanoseconds: 20 + width }, words);
    return place;
  }

  /** What the gradient of a row by its dot products is multiplied by. */
  private factorOf(row: number): number {
    const { call, units, given } = this;
    const unit = units ? units[row]! : row;
    if (call.weights && call.weights[unit] === 0) return 0;
    const factor = call.factors![unit]!;
    return factor * (given.isMutual ? 0.5 : 1) * given.scale;
  }

  /** The first walk of a search from both sides: what each key finds among all queries. */
  private searchBack(place: Place): Back | undefined {
    const { session, jobs, rows, columns, given, asksGradients } = this;
    // Kernels read whole vectors.
    const buffer = (name: string, bytes: number) => session.buffer(`similarity back ${name}`, (columns + 4) * bytes);
    const back = {
      high: buffer("high", 4),
      low: buffer("low", 4),
      peaks: buffer("peaks", 4),
      factors: buffer("factors", 4),
      pulls: buffer("pulls", 8),
      others: buffer("others", 8),
    };
    const { float32, float64, bytes } = session.views;
    const live = (column: number) => place.live === 0 || bytes[place.live + column] !== 0;
    for (let j = 0; j < columns; j++) {
      const product = float64[place.products / 8 + j]!;
      const high = Math.fround(product);
      float32[back.high / 4 + j] = high;
      float32[back.low / 4 + j] = product - high;
      float32[back.peaks / 4 + j] = Number.NEGATIVE_INFINITY;
      float64[back.others / 8 + j] = 0;
    }
    for (let first = 0; first < rows; first += this.chunk) {
      const count = Math.min(this.chunk, rows - first);
      this.score(place, first, count);
      const scratch = 64 + 17 * 4 * (count + 16);
      const items = { count: Math.ceil(columns / 16), nanoseconds: 16 * (50 + 2 * count), scratch };
      if (jobs.run("searchColumns", items, this.words(place, back, first, count, 0), [given.scale])) return undefined;
    }
    for (let j = 0; j < columns; j++) {
      const others = float64[back.others / 8 + j]!;
      const peak = float32[back.peaks / 4 + j]!;
      const factor = asksGradients ? float64[place.factors / 8 + j]! : 0;
      if (!live(j) || factor === 0) {
        // A key that looks for nothing: exponentials relative to +∞ are 0.
        if (!live(j)) float32[back.peaks / 4 + j] = Number.POSITIVE_INFINITY;
        float32[back.factors / 4 + j] = 0;
        float64[back.pulls / 8 + j] = 0;
        continue;
      }
      const mass = 1 + others;
      // The positive's score is 0; where it is the largest, what is left for the others is known without a difference.
      const complement = peak === 0 ? others / mass : 1 - exp(-peak) / mass;
      float32[back.factors / 4 + j] = factor / mass;
      float64[back.pulls / 8 + j] = -factor * complement;
    }
    return back;
  }

  /** Where a search that is turned joins what it finds of the parts of its rows. */
  private beginParts(): Back {
    const { session, rows } = this;
    const peaks = session.buffer("similarity back peaks", 4 * rows);
    const others = session.buffer("similarity back others", 8 * rows);
    const { float32, float64 } = session.views;
    float32.fill(Number.NEGATIVE_INFINITY, peaks / 4, peaks / 4 + rows);
    float64.fill(0, others / 8, others / 8 + rows);
    return { high: 0, low: 0, peaks, factors: 0, pulls: 0, others };
  }

  /** The walk over rows: their losses, the gradient by their dot products, and what that is for both sides. */
  private search(place: Place, back: Back | null): boolean {
    const { jobs, rows, columns, width, given, asksGradients } = this;
    const [kernel, perScore] = this.kernel(back);
    const scratch = 64 + columns / 256 + 16 * (columns + 16);
    const items = { nanoseconds: 100 + perScore * columns, scratch };
    for (let first = 0; first < rows; first += this.chunk) {
      const count = Math.min(this.chunk, rows - first);
      if (!back || !place.isKept) this.score(place, first, count);
      else if (place.excluded) this.stageExcluded(place, first, count);
      const words = this.words(place, back, first, count, place.live && place.live + first);
      if (jobs.run(kernel, { ...items, count }, words, [given.scale, given.bias ?? 0])) return false;
      if (!asksGradients) continue;
      const a = this.scoresAt(place, first);
      const rowsAt = 4 * first * width;
      multiply(jobs, {
        kind: "A·B",
        a,
        b: place.keys,
        c: place.queryGradients + rowsAt,
        rows: count,
        columns: width,
        inner: columns,
      });
      multiply(jobs, {
        kind: "Aᵀ·B",
        a,
        b: place.queries + rowsAt,
        c: place.keyGradients,
        rows: columns,
        columns: width,
        inner: count,
        adds: first > 0,
      });
    }
    return true;
  }

  private kernel(back: Back | null): [name: string, nanoseconds: number] {
    if (this.given.kind === "sigmoid") return ["sigmoidRows", 3];
    return this.isTurned ? ["searchInParts", 3] : ["searchRows", back ? 4 : 2];
  }

  private scoresAt({ scores, isKept }: Place, first: number): number {
    return isKept ? scores + 4 * first * this.columns : scores;
  }

  /** Dot products of the queries of a chunk with all keys, and which of them are not read. */
  private score(place: Place, first: number, count: number): void {
    const { jobs, columns, width } = this;
    if (place.excluded) this.stageExcluded(place, first, count);
    multiply(jobs, {
      kind: "A·Bᵀ",
      a: place.queries + 4 * first * width,
      b: place.keys,
      c: this.scoresAt(place, first),
      rows: count,
      columns,
      inner: width,
    });
  }

  private stageExcluded({ excluded: at }: Place, first: number, count: number): void {
    const { session, units, columns } = this;
    const excluded = this.given.excluded!;
    const { bytes } = session.views;
    if (this.isTurned) {
      // A row here is a column there.
      const chosen = units!.subarray(first, first + count);
      for (let j = 0; j < columns; j++) {
        const [from, to] = [j * columns, at + j];
        for (let row = 0; row < count; row++) {
          bytes[to + row * columns] = Number(excluded[from + chosen[row]!]) === 0 ? 0 : 1;
        }
      }
      return;
    }
    for (let row = 0; row < count; row++) {
      const from = (units ? units[first + row]! : first + row) * columns;
      const to = at + row * columns;
      if (excluded instanceof Uint8Array) bytes.set(excluded.subarray(from, from + columns), to);
      else for (let j = 0; j < columns; j++) bytes[to + j] = Number(excluded[from + j]) === 0 ? 0 : 1;
    }
  }

  /** The record of a job over a chunk. */
  private words(place: Place, back: Back | null, first: number, count: number, live: number): number[] {
    const { columns } = this;
    const { excluded, labels, products, losses, factors, sums, biasSums } = place;
    const [wide, narrow] = [8 * first, 4 * first];
    return [
      ...[this.scoresAt(place, first), count, columns],
      ...[products + wide, labels + narrow, excluded],
      ...[factors && factors + wide, losses + wide, sums + wide, biasSums + wide],
      ...[live || place.live, first],
      ...(back ? [back.high, back.low, back.peaks, back.factors, back.pulls, back.others] : []),
      ...(back && this.isTurned ? [Math.min(chunkOf(columns), columns)] : []),
    ];
  }

  private giveLosses(place: Place, back: Back | null): void {
    const { call, units, rows, session } = this;
    const { float32, float64 } = session.views;
    for (let row = 0; row < rows; row++) {
      const unit = units ? units[row]! : row;
      if (call.weights && call.weights[unit] === 0) continue;
      const there = float64[place.losses / 8 + row]!;
      if (!back) call.losses[unit] = there;
      else {
        const ofKey = log1p(float64[back.others / 8 + row]!) + float32[back.peaks / 4 + row]!;
        call.losses[unit] = this.isTurned ? ofKey : 0.5 * there + 0.5 * ofKey;
      }
    }
  }

  /** Where the gradient of a side is formed: in its own place where that can be. */
  private gradientAt(side: Side, out: Float32Array, count: number, units: Int32Array | null): number {
    const own = units || this.isTurned ? undefined : this.session.addressOf(out);
    return own ?? this.session.buffer(`similarity ${side} gradient`, 4 * count * this.width);
  }

  private giveGradient(side: Embedded, at: number, count: number, units: Int32Array | null, out: Float32Array): void {
    const { session, jobs, width, isTurned } = this;
    if (side.norms) {
      jobs.run("throughNorms", { count, nanoseconds: 20 + 2 * width }, [side.at, width, side.norms, at]);
    }
    if (session.addressOf(out) === at) return;
    const from = session.views.float32.subarray(at / 4, at / 4 + count * width);
    if (!units && !isTurned) {
      out.set(from);
      return;
    }
    if (!isTurned) out.fill(0);
    for (let row = 0; row < count; row++) {
      const part = from.subarray(row * width, (row + 1) * width);
      const to = (units ? units[row]! : row) * width;
      if (!isTurned) out.set(part, to);
      else for (let d = 0; d < width; d++) out[to + d]! += part[d]!;
    }
  }

  private sum(at: number): number {
    const { float64 } = this.session.views;
    let sum = 0;
    for (let row = 0; row < this.rows; row++) sum += float64[at / 8 + row]!;
    return sum;
  }
}

type Side = "queries" | "keys";

/** Rows in the kernels' memory, and their norms or 0. */
interface Embedded {
  readonly at: number;
  readonly norms: number;
}

/** Addresses of what all rows are scored with; 0 for what there is none of. */
interface Place {
  readonly queries: number;
  readonly keys: number;
  readonly queryGradients: number;
  readonly keyGradients: number;
  /** Whether the scores of all rows are kept, not those of a chunk alone. */
  readonly isKept: boolean;
  readonly scores: number;
  readonly excluded: number;
  readonly labels: number;
  readonly products: number;
  readonly losses: number;
  readonly factors: number;
  readonly sums: number;
  readonly biasSums: number;
  readonly live: number;
}

/** Addresses of what keys find among queries; 0 for what there is none of. */
interface Back {
  readonly high: number;
  readonly low: number;
  readonly peaks: number;
  readonly factors: number;
  readonly pulls: number;
  readonly others: number;
}

/** How many queries are scored against so many keys at a time. */
function chunkOf(columns: number): number {
  const fitting = Math.floor(MOST_SCORES / Math.max(columns, 1));
  return Math.min(Math.max(fitting, SMALLEST_CHUNK), CHUNK);
}

/** The units that weigh something; null where that is all of them. */
export function liveOf(weights: Float64Array): Int32Array | null {
  let count = 0;
  for (const weight of weights) if (weight !== 0) count++;
  if (count === weights.length) return null;
  const live = new Int32Array(count);
  for (let unit = 0, at = 0; unit < weights.length; unit++) if (weights[unit] !== 0) live[at++] = unit;
  return live;
}
