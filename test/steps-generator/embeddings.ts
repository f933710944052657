/** Contrastive steps: queries among keys gathered over ranks, images beside texts. */
import type { Tensor } from "../../src/tensor/index.js";
import type { Random } from "../instruments/random.js";
import { labelDtype, normals, surroundings, wideOrSingle } from "./chance.js";
import { type Drawn, drawn, type Frame } from "./drawn.js";
import { crossEntropy } from "./losses.js";
import type { Precision } from "./rounding.js";
import type { Tape, Variable } from "./tape.js";
import { integers, type Part, reals } from "./task.js";

// ------------------------------------------------------------------------------------------------ queries among keys

/** One rank's queries and the keys of all. */
export interface SearchData {
  readonly width: number;
  readonly queries: Float64Array;
  readonly keys: Float64Array;
  /** The key of each query, as recorded. */
  readonly labels: readonly number[];
  readonly precision: Precision;
  readonly labelDtype: "int64" | "int32";
  readonly context?: Part["context"];
  readonly recorded?: Readonly<Record<string, Tensor>>;
}

export interface SearchCode {
  /** Makes logits of similarities. */
  readonly logits: (tape: Tape, similarities: Variable) => Variable;
  readonly normalize: boolean;
  /** The key that code takes for the positive of each query. */
  readonly labelsOf?: ((data: SearchData) => readonly number[]) | undefined;
  /** What code does to the gathered keys before it uses them. */
  readonly gather?: ((tape: Tape, keys: Variable, data: SearchData, part: number) => Variable) | undefined;
  readonly recordsLabels: boolean;
}

function searchPart(data: SearchData, code: SearchCode, part: number): Part {
  const { width, queries, keys, labels, precision, recorded } = data;
  const rows = queries.length / width;
  return {
    fields: {
      queries: reals(queries, [rows, width], precision),
      keys: reals(keys, [keys.length / width, width], precision),
      ...(code.recordsLabels && { labels: integers(labels, [rows], data.labelDtype) }),
      ...recorded,
    },
    leaves: ["queries", "keys"],
    losses(tape, leaves) {
      const unit = (x: Variable) => (code.normalize ? tape.unitRows(x) : x);
      const gathered = code.gather ? code.gather(tape, unit(leaves.keys), data, part) : unit(leaves.keys);
      const similarities = tape.products(unit(leaves.queries), gathered);
      return crossEntropy(tape, code.logits(tape, similarities), code.labelsOf?.(data) ?? labels);
    },
    weights: labels.map(() => 1),
    counted: labels.map(() => 1),
    groups: labels.map((_, row) => row),
    ...(data.context && { context: data.context }),
  };
}

export interface SearchStep extends Drawn<SearchData, SearchCode> {
  readonly temperature: number;
  readonly ranks: number;
  readonly rows: number;
}

export interface SearchWishes {
  readonly ranks?: number;
  /** The rank that is recorded; all of them as parts with `"all"`, no rank named with `"none"`. */
  readonly recorded?: number | "all" | "none";
  readonly temperature?: number;
  /** The recording rank's own keys stand first. */
  readonly ownFirst?: boolean;
  /** The record says which rank owns each key. */
  readonly told?: boolean;
  readonly rows?: number;
  readonly context?: Frame["context"];
}

/** InfoNCE of a rank's queries among the keys of all ranks. */
export function search(random: Random, wishes: SearchWishes = {}): SearchStep {
  const {
    ranks = random.integer(2, 4),
    recorded = random.integer(0, ranks - 1),
    temperature = random.pick([0.1, 0.2, 0.5, 0.7]),
    ownFirst = false,
    told = random.chance(0.4),
    rows = random.integer(3, 6),
  } = wishes;
  const width = random.integer(4, 8);
  const precision = wideOrSingle(random);
  const dtype = labelDtype(random);
  const normalize = random.chance(0.8);
  const scale = normalize ? 1 : 0.6;
  const all = normals(random, ranks * rows * width, scale);
  const mine =
    typeof recorded === "number" ? [recorded] : Array.from({ length: recorded === "all" ? ranks : 1 }, (_, r) => r);
  const data = mine.map((rank): SearchData => {
    const owners = Array.from({ length: ranks }, (_, r) => r);
    const order = ownFirst ? [rank, ...owners.filter((owner) => owner !== rank)] : owners;
    const keys = Float64Array.from(order.flatMap((owner) => Array.from(block(all, owner, rows * width))));
    const offset = order.indexOf(rank) * rows;
    // A query is its key and noise, so that the positives stand out a little.
    const own = block(all, rank, rows * width).map((x) => Math.fround(0.5 * x + random.real(scale)));
    const ownerOfRow = order.flatMap((owner) => Array.from({ length: rows }, () => owner));
    return {
      width,
      queries: own,
      keys,
      labels: Array.from({ length: rows }, (_, row) => offset + row),
      precision,
      labelDtype: dtype,
      ...(told && { context: { gathered: { keys: { ranks: integers(ownerOfRow, [ranks * rows]) } } } }),
    };
  });
  const code: SearchCode = {
    normalize,
    logits: (tape, similarities) => tape.scale(similarities, 1 / temperature),
    recordsLabels: true,
  };
  const named = recorded === "none" ? {} : { ranks, ...(typeof recorded === "number" && { rank: recorded }) };
  const step = drawn(searchPart, data, code, {
    intended: {
      objective: "infoNce",
      options: { temperature, normalize },
      reduction: { per: "sample", divideBy: "weight" },
    },
    precision,
    context: { ...surroundings(random, "recallAtK"), ...named, ...wishes.context },
    ...(recorded === "all" && { ranks: mine }),
  });
  return { ...step, temperature, ranks, rows };
}

function block(all: Float64Array, index: number, size: number): Float64Array {
  return all.subarray(index * size, (index + 1) * size);
}

// ------------------------------------------------------------------------------------------------ images and texts

/** All images and texts, as they stand gathered. */
export interface PairsData {
  readonly width: number;
  readonly images: Float64Array;
  readonly texts: Float64Array;
  readonly logScale: number;
  readonly precision: Precision;
}

export interface PairsCode {
  /** The factor on dot products, made of the field. */
  readonly scale: (tape: Tape, logScale: Variable) => Variable;
  /** The rank of each row, where what a rank gathers comes without a way back; its own rows may keep theirs. */
  readonly cut?: { readonly owners: readonly number[]; readonly keepsOwn: boolean } | undefined;
}

function pairsPart({ width, images, texts, logScale, precision }: PairsData, code: PairsCode): Part {
  const rows = images.length / width;
  return {
    fields: {
      images: reals(images, [rows, width], precision),
      texts: reals(texts, [rows, width], precision),
      logScale: reals([logScale], [], precision),
    },
    leaves: ["images", "texts", "logScale"],
    losses(tape, leaves) {
      const factor = code.scale(tape, leaves.logScale);
      const scored = (from: Variable, to: Variable) => {
        const products = code.cut ? cutProducts(tape, from, to, code.cut) : tape.products(from, to);
        const each = tape.take(factor, new Array(rows * rows).fill(0), [rows, rows]);
        return crossEntropy(
          tape,
          tape.times(products, each),
          Array.from({ length: rows }, (_, i) => i),
        );
      };
      const both = tape.plus(scored(leaves.images, leaves.texts), scored(leaves.texts, leaves.images));
      return tape.scale(both, 0.5);
    },
    weights: Array.from({ length: rows }, () => 1),
    counted: Array.from({ length: rows }, () => 1),
    groups: Array.from({ length: rows }, (_, i) => i),
  };
}

/** Dot products whose gradient does not reach the rows that were gathered. */
function cutProducts(
  tape: Tape,
  from: Variable,
  to: Variable,
  { owners, keepsOwn }: NonNullable<PairsCode["cut"]>,
): Variable {
  const there = tape.products(from, tape.detach(to));
  if (!keepsOwn) return there;
  const back = tape.products(tape.detach(from), to);
  const own = owners.flatMap((owner) => owners.map((other) => Number(owner === other)));
  return tape.plus(there, tape.where(own, tape.minus(back, tape.detach(back))));
}

export interface PairsStep extends Drawn<PairsData, PairsCode> {
  readonly ranks: number;
  /** The rank of each row. */
  readonly owners: readonly number[];
}

/** CLIP's loss: recorded whole, or in one shard of rows a rank. */
export function pairs(random: Random, { ranks = 1 }: { readonly ranks?: number } = {}): PairsStep {
  const width = random.integer(3, 7);
  const own = ranks === 1 ? random.integer(3, 8) : random.integer(2, 4);
  const lengths = Array.from({ length: ranks }, () => own);
  const rows = ranks * own;
  const precision = wideOrSingle(random);
  const unit = (numbers: Float64Array) => {
    return numbers.map((x, i) => {
      const row = Math.floor(i / width) * width;
      let square = 0;
      for (let k = row; k < row + width; k++) square += numbers[k] ** 2;
      return Math.fround(x / Math.sqrt(square));
    });
  };
  const images = normals(random, rows * width, 1);
  const texts = images.map((x) => Math.fround(0.6 * x + random.real(0.9)));
  const logScale = Math.fround(random.between(0.9, 2.6));
  const step = drawn<PairsData, PairsCode>(
    pairsPart,
    [{ width, images: unit(images), texts: unit(texts), logScale, precision }],
    { scale: (tape, log) => tape.exp(log) },
    {
      intended: { objective: "clip", options: {}, reduction: { per: "sample", divideBy: "weight" } },
      precision,
      context: {
        ...surroundings(random, "recallAtK"),
        ...(ranks > 1 && { ranks, combine: { ranks: "mean" as const } }),
      },
      ...(ranks > 1 && { shards: { along: "rows" as const, lengths } }),
    },
  );
  return { ...step, ranks, owners: lengths.flatMap((length, rank) => new Array<number>(length).fill(rank)) };
}
