import checksum from "crc-32";
import type { FileMetaData, SchemaElement } from "hyparquet";
import type { LosswrightError } from "../errors/index.js";
import { broken } from "./failure.js";
import { oneLine } from "./json.js";

/** A column of one leaf, with the levels of lists and of values that may be missing on the way to it. */
export interface Levels {
  readonly name: string;
  readonly path: readonly string[];
  readonly repeated: number;
  readonly defined: number;
  readonly element: SchemaElement;
}

type Unpack = Readonly<Record<string, ((input: Uint8Array, length: number) => Uint8Array) | undefined>>;

/** Bytes that any file may unpack to; a larger one has the room of deflate's best. */
const freely = 256 * 1024 * 1024;
const mostFromOneByte = 1032;

const again = "copy or write the file again: it is cut off or damaged.";

/**
 * Walks the pages of a column and makes sure that they are what the footer says: in the file, as many values as are
 * declared, runs that end with them, CRC-32 where there is one. A page of a few bytes may declare billions of values,
 * and its reader would make room for all.
 *
 * @throws `file` for pages that do not hold what they declare; `unsupported` (as `file`) for an encoding that cannot be
 * bounded
 */
export function checkPages(bytes: Uint8Array, metadata: FileMetaData, levels: Levels, unpack: Unpack, where: string) {
  const fail = (found: string, expected: string, fix = again, cause?: unknown): LosswrightError =>
    broken(where, oneLine(levels.name), found, expected, fix, cause);
  let [expanded, packed] = [0, 0];
  for (const { columns, num_rows } of metadata.row_groups) {
    // Its reader takes every chunk that begins with the name, and the levels from the path that the chunk has.
    const chunks = columns.filter(({ meta_data }) => meta_data?.path_in_schema?.[0] === levels.name);
    const chunk = chunks[0]?.meta_data;
    if (!chunk || chunks.length > 1 || chunk.path_in_schema.join("\0") !== levels.path.join("\0")) {
      throw fail("a group of rows without it, or with another of its name", "the column once in every group");
    }
    const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    const size = Number(chunk.total_compressed_size);
    const end = start + size;
    if (!(start >= 4 && size >= 0 && end <= bytes.length - 8)) {
      throw fail(`pages at bytes ${start} to ${end}`, `a place in a file of ${bytes.length} bytes`);
    }
    packed += size;
    let values = 0;
    let dictionary: number | undefined;
    for (let at = start; at < end; ) {
      let page: Page;
      try {
        page = pageAt(bytes, at, end);
      } catch (error) {
        throw fail(`no page at byte ${at}`, "a page", again, error);
      }
      if (page.values < 0 || page.unpacked < 0) throw fail("a page of a negative length", "a page");
      expanded += page.unpacked + 8 * page.values;
      if (expanded > Math.max(freely, mostFromOneByte * packed)) {
        const expected = `at most ${Math.max(freely, mostFromOneByte * packed)} bytes of ${packed} packed ones`;
        throw fail("more", expected, "write it as several files.");
      }
      if (page.crc !== undefined && (page.crc | 0) !== checksum.buf(page.content)) {
        throw fail(`another CRC-32 in the page at byte ${at}`, "a whole page");
      }
      try {
        if (page.kind === "dictionary") dictionary = page.values;
        else values += checkValues(page, levels, chunk.codec, unpack, dictionary !== undefined);
      } catch (error) {
        if (error instanceof Unbounded) {
          throw fail(error.message, "plain, dictionary, delta or byte-stream encoding", "write it with a dictionary.");
        }
        throw fail(`damaged data in the page at byte ${at}`, "a page of the values it declares", again, error);
      }
      at = page.end;
    }
    const isWhole = values === Number(chunk.num_values) && (levels.repeated > 0 || values === Number(num_rows));
    if (!isWhole) throw fail(`${values} values in its pages`, `${chunk.num_values} for ${num_rows} rows`);
  }
}

class Unbounded extends Error {}

// ---- pages ----

interface Page {
  readonly kind: "data" | "data2" | "dictionary" | "other";
  readonly unpacked: number;
  readonly values: number;
  readonly encoding: number;
  readonly crc: number | undefined;
  readonly content: Uint8Array;
  /** Bytes of levels before the values, where they are not packed (the second kind of data pages). */
  readonly levelBytes: readonly [repeated: number, defined: number];
  readonly isPacked: boolean;
  readonly end: number;
}

const kinds = ["data", "other", "dictionary", "data2"] as const;

/** The header of a page, in Thrift's compact protocol, and where its content lies. */
function pageAt(bytes: Uint8Array, start: number, end: number): Page {
  const reader = new Compact(bytes, start, end);
  const header = reader.struct();
  const kind = kinds[Number(header.get(1))];
  const packed = Number(header.get(3));
  if (kind === undefined || !(packed >= 0 && reader.at + packed <= end))
    throw new Error("a page that ends behind its column");
  const own = header.get(kind === "data" ? 5 : kind === "dictionary" ? 7 : 8);
  const [values, encoding] = own instanceof Map ? [own.get(1), own.get(kind === "data2" ? 4 : 2)] : [0, 0];
  if (kind !== "other" && !(own instanceof Map)) throw new Error("a page without a header of its kind");
  const isSecond = kind === "data2" && own instanceof Map;
  const crc = header.get(4);
  return {
    kind,
    unpacked: Number(header.get(2)),
    values: Number(values),
    encoding: Number(encoding),
    crc: typeof crc === "number" ? crc : undefined,
    content: bytes.subarray(reader.at, reader.at + packed),
    levelBytes: isSecond ? [Number(own.get(6) ?? 0), Number(own.get(5) ?? 0)] : [0, 0],
    isPacked: !(isSecond && own.get(7) === false),
    end: reader.at + packed,
  };
}

const [plain, plainDictionary, rle, bitPacked] = [0, 2, 3, 4];
const [deltaBinary, deltaLength, deltaBytes, dictionaryIndices, byteStream] = [5, 6, 7, 8, 9];

/** Checks the content of a page of data, and tells how many values it has. */
function checkValues(page: Page, levels: Levels, codec: string, unpack: Unpack, hasDictionary: boolean): number {
  const { values, kind } = page;
  if (kind === "other") throw new Error("a page of no data");
  const [repeatedBytes, definedBytes] = page.levelBytes;
  const before = repeatedBytes + definedBytes;
  if (!(repeatedBytes >= 0 && definedBytes >= 0 && before <= page.content.length))
    throw new Error("levels behind the page");
  const body = page.content.subarray(before);
  const length = page.unpacked - before;
  const method = codec === "UNCOMPRESSED" || !page.isPacked ? undefined : unpack[codec];
  if (method === undefined && codec !== "UNCOMPRESSED" && page.isPacked)
    throw new Unbounded(`pages packed with ${codec}`);
  const content = method ? method(body, length) : body;
  if (content.length !== length) throw new Error("another length than declared");
  let at = 0;
  let defined = values;
  const run = (of: Uint8Array, from: number, width: number, count = values) =>
    checkRuns(of, from, of.length, width, count);
  const level = (most: number, apart: Uint8Array | undefined): number => {
    if (most === 0) return values;
    const width = 32 - Math.clz32(most);
    if (apart) return run(apart, 0, width).count(most);
    const size = new DataView(content.buffer, content.byteOffset + at, 4).getUint32(0, true);
    const piece = content.subarray(at + 4, at + 4 + size);
    if (piece.length !== size) throw new Error("levels behind the page");
    at += 4 + size;
    return run(piece, 0, width).count(most);
  };
  const isSecond = kind === "data2";
  level(levels.repeated, isSecond ? page.content.subarray(0, repeatedBytes) : undefined);
  defined = level(levels.defined, isSecond ? page.content.subarray(repeatedBytes, before) : undefined);
  switch (page.encoding) {
    case plain:
    case byteStream:
      return values;
    case plainDictionary:
    case dictionaryIndices: {
      if (!hasDictionary) throw new Error("no dictionary");
      if (defined === 0) return values;
      const width = content[at]!;
      if (!(width <= 32)) throw new Error("indices wider than 32 bits");
      // Without bits all indices are 0; the reader looks at the runs of the second kind of page all the same.
      if (width > 0 || isSecond) run(content, at + 1, width, defined);
      return values;
    }
    case rle: {
      if (levels.element.type !== "BOOLEAN") throw new Error("runs of what is no boolean");
      if (defined > 0) run(content, at + 4, 1, defined);
      return values;
    }
    case deltaBinary:
    case deltaLength: {
      if (defined === 0) return values;
      const reader = new Compact(content, at, content.length);
      const [block, parts, count] = [reader.varint(), reader.varint(), reader.varint()];
      // A block of no length would be read without an end.
      if (
        !(
          block > 0 &&
          block <= 1 << 20 &&
          parts > 0 &&
          block % parts === 0 &&
          (block / parts) % 8 === 0 &&
          count === defined
        )
      ) {
        throw new Error("blocks of no length");
      }
      return values;
    }
    default:
      throw new Unbounded(
        page.encoding === deltaBytes
          ? "delta-encoded text"
          : page.encoding === bitPacked
            ? "bit-packed levels"
            : "another encoding",
      );
  }
}

/** The runs of a hybrid of run lengths and packed bits: they end with the values, and not behind the page. */
function checkRuns(bytes: Uint8Array, start: number, end: number, width: number, count: number) {
  const reader = new Compact(bytes, start, end);
  const runs: { values: number; at: number; isPacked: boolean }[] = [];
  for (let seen = 0; seen < count; ) {
    const header = reader.varint();
    const isPacked = (header & 1) === 1;
    const values = isPacked ? 8 * (header >>> 1) : header >>> 1;
    const size = isPacked ? (values / 8) * width : (width + 7) >> 3;
    // The last group of eight is filled up, and some writers leave out the bytes of what is behind the last value.
    const wanted = isPacked ? Math.ceil((Math.min(values, count - seen) * width) / 8) : size;
    if (values === 0 || seen + values > count + (isPacked ? 7 : 0) || reader.at + wanted > end) {
      throw new Error("a run of more values than there are");
    }
    runs.push({ values: Math.min(values, count - seen), at: reader.at, isPacked });
    reader.at = Math.min(end, reader.at + size);
    seen += values;
  }
  /** How many values are a given one. */
  const countOf = (wanted: number): number => {
    let total = 0;
    for (const { values, at, isPacked } of runs) {
      if (!isPacked) total += bytes[at] === wanted ? values : 0;
      else {
        const mask = (1 << width) - 1;
        for (let i = 0; i < values; i++) {
          const bit = i * width;
          const word = bytes[at + (bit >> 3)]! | ((bytes[at + (bit >> 3) + 1] ?? 0) << 8);
          if (((word >> (bit & 7)) & mask) === wanted) total++;
        }
      }
    }
    return total;
  };
  return { count: countOf };
}

// ---- Thrift ----

type Field = number | boolean | Uint8Array | Map<number, unknown> | undefined;

/** Numbers and structures of Thrift's compact protocol, read no further than `end`. */
class Compact {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  byte(): number {
    if (this.at >= this.#end) throw new Error("the end in the middle of a number");
    return this.#bytes[this.at++]!;
  }

  /** Of 32 bits, which is all that lengths have. */
  varint(): number {
    let value = 0;
    for (let place = 1; place <= 0x10000000; place *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * place;
      if (byte < 128) return value;
    }
    throw new Error("a number of more than 32 bits");
  }

  /** Fields by their numbers; those that no page needs are passed over. */
  struct(depth = 0): Map<number, Field> {
    const fields = new Map<number, Field>();
    for (let id = 0; ; ) {
      const head = this.byte();
      const type = head & 0x0f;
      if (type === 0) return fields;
      id = head >> 4 ? id + (head >> 4) : this.#zigzag();
      fields.set(id, this.#value(type, depth));
    }
  }

  #zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #value(type: number, depth: number): Field {
    switch (type) {
      case 1:
        return true;
      case 2:
        return false;
      case 3:
        return this.byte();
      case 4:
      case 5:
        return this.#zigzag();
      case 6:
        // Of 64 bits: in statistics alone, which nobody reads here.
        while (this.byte() >= 128);
        return undefined;
      case 7:
        this.at += 8;
        return undefined;
      case 8:
        this.at += this.varint();
        return undefined;
      case 12:
        if (depth > 8) throw new Error("structures nested too deep");
        return this.struct(depth + 1);
      default:
        throw new Error("a field of another type");
    }
  }
}
