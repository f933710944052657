import {
  type FileMetaData,
  parquetMetadata,
  parquetRead,
  parquetSchema,
  type SchemaElement,
  type SchemaTree,
} from "hyparquet";
import { compressors, decompressZstd } from "hyparquet-compressors";
import { LosswrightError } from "../errors/index.js";
import type { Dtype } from "../tensor/index.js";
import { columnOfValues } from "./columns.js";
import { broken } from "./failure.js";
import { oneLine, shown } from "./json.js";
import { checkPages, type Levels } from "./parquet-pages.js";
import type { Table } from "./table.js";

/** What the values of a column are: numbers of a dtype, text, or a decimal whose digits become float64. */
type Leaf = { readonly dtype: Dtype | "text"; readonly scale?: number };

const again = "copy or write the file again: it is cut off or damaged.";

/** zstd alone would take the length from the data; bounded, it writes no more than its page has. */
const unpack = {
  ...compressors,
  ZSTD: (input: Uint8Array, length: number) => decompressZstd(input, new Uint8Array(length)),
};

/**
 * A Parquet file: columns of numbers, booleans and text, and lists of numbers of one length. The pages of a column are
 * walked and checked before their reader sees them: it believes what they declare.
 *
 * @throws `file` for what is none, damaged or cut off; on reading a column, `file` for pages that are, and for null;
 * `unsupported` for structures, maps, dates and binary values
 */
export function parseParquet(bytes: Uint8Array, where: string): Table {
  const metadata = metadataOf(bytes, where);
  const tree = reading(where, () => parquetSchema(metadata));
  const names = tree.children.map(({ element }) => element.name);
  if (!names.every((name) => typeof name === "string"))
    throw broken(where, "schema", "a column without a name", "names", again);
  const twice = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twice >= 0) throw broken(where, "schema", `the column ${shown(names[twice])} twice`, "each name once", again);
  const rows = Number(metadata.num_rows);
  const counted = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  if (!(Number.isSafeInteger(rows) && rows >= 0 && counted === rows)) {
    throw broken(where, "footer", `${rows} rows, ${counted} in its groups`, "as many rows as its groups have", again);
  }
  return {
    format: "parquet",
    names,
    rows,
    column: async (column, kind) => {
      const top = tree.children.find(({ element }) => element.name === column)!;
      const { path, leaf } = leafOf(top, where);
      checkPages(bytes, metadata, path, unpack, where);
      const values = await valuesOf(bytes, metadata, column, leaf, where);
      if (values.length !== rows) throw broken(where, oneLine(column), `${values.length} rows`, `${rows}`, again);
      return columnOfValues(values, { where, column, place: (row) => `row ${row}` }, kind, leaf.dtype);
    },
  };
}

function metadataOf(bytes: Uint8Array, where: string): FileMetaData {
  const ends = bytes.length < 12 ? undefined : String.fromCharCode(...bytes.subarray(bytes.length - 4));
  if (ends !== "PAR1") {
    const isEncrypted = ends === "PARE";
    const fix = isEncrypted ? "write it without encryption." : again;
    throw broken(where, "footer", isEncrypted ? "an encrypted file" : "no footer", "a whole Parquet file", fix);
  }
  // Not a subarray of a Node Buffer, whose memory is shared with others.
  return reading(where, () => parquetMetadata(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
}

/** Whatever a reader says of a damaged file, as an error of that file. */
function reading<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw unreadable(where, undefined, error);
  }
}

function unreadable(where: string, field: string | undefined, error: unknown): LosswrightError {
  if (error instanceof LosswrightError) return error;
  const said = oneLine(error instanceof Error ? error.message : String(error)).slice(0, 160);
  return broken(where, field, `what cannot be read (${said})`, "a whole Parquet file", again, error);
}

/** The values of a checked column, in rows. */
async function valuesOf(
  bytes: Uint8Array,
  metadata: FileMetaData,
  column: string,
  leaf: Leaf,
  where: string,
): Promise<unknown[]> {
  const file = {
    byteLength: bytes.length,
    slice: (start: number, end = bytes.length) => new Uint8Array(bytes.subarray(start, end)).buffer,
  };
  // Of a decimal the digits are read, since the reader's product of digits and a power of ten is not the nearest double.
  const schema = leaf.scale === undefined ? metadata.schema : metadata.schema.map(withoutDecimal);
  const values: unknown[] = [];
  try {
    await parquetRead({
      file,
      metadata: { ...metadata, schema },
      columns: [column],
      compressors: unpack,
      utf8: leaf.dtype === "text",
      parsers: { stringFromBytes: textOf },
      geoparquet: false,
      onChunk: ({ columnData, rowStart }) => {
        for (let i = 0; i < columnData.length; i++) values[rowStart + i] = columnData[i];
      },
    });
  } catch (error) {
    throw unreadable(where, oneLine(column), error);
  }
  return leaf.scale === undefined ? values : values.map((value) => undecimal(value, leaf.scale!));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function withoutDecimal(element: SchemaElement): SchemaElement {
  if (element.converted_type !== "DECIMAL" && element.logical_type?.type !== "DECIMAL") return element;
  const { converted_type, logical_type, ...rest } = element;
  return rest;
}

/** A decimal, or lists of them, as the nearest double. */
function undecimal(value: unknown, scale: number): unknown {
  if (Array.isArray(value)) return value.map((each) => undecimal(each, scale));
  if (value === null || value === undefined) return value;
  if (!(value instanceof Uint8Array)) return Number(`${value}e${-scale}`);
  let digits = 0n;
  for (const byte of value) digits = digits * 256n + BigInt(byte);
  return Number(`${BigInt.asIntN(8 * value.length, digits)}e${-scale}`);
}

// ---- types ----

/** The one leaf of a column, and the levels of its lists. */
function leafOf(top: SchemaTree, where: string): { path: Levels; leaf: Leaf } {
  const refuse = (found: string): LosswrightError =>
    new LosswrightError({
      code: "unsupported",
      where,
      field: oneLine(top.element.name),
      found,
      expected: "numbers, booleans, text, or lists of numbers",
      fix: "write it as one of these.",
    });
  let [repeated, optional] = [0, 0];
  let node = top;
  for (;;) {
    const { repetition_type: repetition } = node.element;
    if (repetition !== "REQUIRED") optional++;
    if (repetition === "REPEATED") repeated++;
    if (node.children.length === 0) break;
    if (node.children.length > 1) throw refuse("a structure or a map");
    const [child] = node.children as [SchemaTree];
    const isListed = child.element.repetition_type === "REPEATED";
    if (!isListed && node.element.repetition_type !== "REPEATED") throw refuse("a structure");
    if (isListed && node.element.converted_type !== "LIST") throw refuse("a list of an older kind");
    node = child;
  }
  const leaf = typeOf(node.element);
  if (!leaf) {
    const { type, converted_type, logical_type } = node.element;
    throw refuse(`values of the type ${logical_type?.type ?? converted_type ?? type}`);
  }
  if (leaf.dtype === "text" && repeated > 0) throw refuse("lists of text");
  return {
    path: { name: top.element.name, path: node.path, repeated, defined: optional, element: node.element },
    leaf,
  };
}

function typeOf({
  type,
  converted_type: converted,
  logical_type: logical,
  scale = 0,
}: SchemaElement): Leaf | undefined {
  if (converted === "DECIMAL" || logical?.type === "DECIMAL") return { dtype: "float64", scale };
  const kind = converted ?? logical?.type;
  const isInteger = kind === undefined || kind === "INTEGER" || /^U?INT_/.test(kind);
  switch (type) {
    case "BOOLEAN":
      return { dtype: "bool" };
    case "INT32": {
      if (!isInteger) return undefined;
      const isWide =
        kind === "UINT_32" || (logical?.type === "INTEGER" && !logical.isSigned && logical.bitWidth === 32);
      return { dtype: isWide ? "int64" : "int32" };
    }
    case "INT64":
      return isInteger ? { dtype: "int64" } : undefined;
    case "FLOAT":
      return { dtype: "float32" };
    case "DOUBLE":
      return { dtype: "float64" };
    case "FIXED_LEN_BYTE_ARRAY":
      return logical?.type === "FLOAT16"
        ? { dtype: "float32" }
        : logical?.type === "UUID"
          ? { dtype: "text" }
          : undefined;
    case "BYTE_ARRAY":
      return kind === undefined || kind === "UTF8" || kind === "STRING" || kind === "ENUM"
        ? { dtype: "text" }
        : undefined;
    default:
      return undefined;
  }
}
