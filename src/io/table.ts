import { LosswrightError, rejectUnknown } from "../errors/index.js";
import type { Column, ColumnKind } from "./columns.js";
import { broken } from "./failure.js";
import { gunzipped } from "./gzip.js";

export type TableFormat = "csv" | "tsv" | "jsonl" | "parquet";

export interface TableOptions {
  /** The name under which errors speak of the file; its ending tells the format where the bytes do not. */
  readonly name?: string;
  readonly format?: TableFormat;
  /** Of CSV and TSV: whether the first line holds the names. Without it, columns of a line of numbers are "0", "1", …. */
  readonly header?: boolean;
  /** Of CSV and TSV: the one character between two cells. Default: a comma in CSV, a tab in TSV. */
  readonly delimiter?: string;
  /** The columns that will be read; without it all are kept. */
  readonly only?: readonly string[];
}

/** What the parsers of text receive. */
export interface TextTableOptions extends TableOptions {
  readonly name: string;
}

/** Named columns of one length. */
export interface Table {
  readonly format: TableFormat;
  readonly names: readonly string[];
  readonly rows: number;
  /**
   * One column. Its type is decided by all of its rows: integers are int32, or int64 where one needs it, other numbers
   * float64, true and false bool; the rest is text. A Parquet file declares its types. Lists of one length are further
   * axes.
   *
   * @param kind - what it must be; without it a column of text comes as text
   * @throws `unknown` for a name that is not there, with the near miss; `file` for a row without a value, or one that is
   * not of this kind
   */
  column(name: string, kind?: ColumnKind): Promise<Column>;
}

/** The longest text of a table: a string of JavaScript holds no more. */
const longestText = 0x1fffffe8;

/**
 * A table of CSV, TSV, JSON lines or Parquet. The first three may be packed with gzip. Nothing of a file is trusted:
 * what is unpacked or allocated is bounded before.
 *
 * | file | number | true, false | text | missing |
 * |---|---|---|---|---|
 * | CSV, TSV | `3`, `-0.5`, `1e-3`, `nan`, `inf` | `true`, `True` | all else, `007` too | an empty cell: an error among numbers, `""` in text |
 * | JSON lines | a number, `"nan"`, `"inf"`, `"-inf"` | `true` | in quotes | `null` or no key: an error |
 * | Parquet | int8 to int64, uint8 to uint64, decimal, float16 to float64 | boolean | string | null: an error |
 *
 * @param bytes - the whole file
 * @throws `file` for what is none of them, damaged, cut off or hostile; `argument` where the format, the delimiter or the
 * first line is unclear
 */
export async function parseTable(bytes: Uint8Array, options: TableOptions = {}): Promise<Table> {
  rejectUnknown("parseTable", "option", options, ["name", "format", "header", "delimiter", "only"]);
  const { name = "table" } = options;
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const content = isPacked ? gunzipped(bytes, name, longestText) : bytes;
  const format = options.format ?? tableFormat(content, isPacked ? name.replace(/\.gz$/i, "") : name);
  for (const field of ["header", "delimiter"] as const) {
    if (options[field] === undefined || isDelimited(format)) continue;
    throw new LosswrightError({
      code: "argument",
      where: name,
      field,
      found: `${field}: ${options[field]} for ${words[format]}`,
      expected: "no word about lines and cells: its columns have names of their own",
      fix: "leave it out.",
    });
  }
  return checked(await parsed(format, content, { ...options, name }), name, options.only);
}

/** The parsers are loaded when a file needs them: that of Parquet is larger than all else. */
async function parsed(format: TableFormat, content: Uint8Array, options: TextTableOptions): Promise<Table> {
  if (format === "parquet") return (await import("./parquet.js")).parseParquet(content, options.name);
  const text = textOf(content, options.name);
  if (format === "jsonl") return (await import("./json-lines.js")).parseJsonLines(text, options);
  return (await import("./csv.js")).parseCsv(text, format, options);
}

/** A table that names what it does not have, and reads no column that it did not keep. */
function checked(table: Table, where: string, only: readonly string[] | undefined): Table {
  const { names } = table;
  const column: Table["column"] = async (name, kind) => {
    rejectUnknown(where, "column", { [name]: true }, names);
    if (only === undefined || only.includes(name)) return table.column(name, kind);
    throw new LosswrightError({
      code: "argument",
      where,
      field: name,
      found: "a column that was not kept",
      expected: `one of ${only.join(", ")}`,
      fix: "name it in the option only.",
    });
  };
  return { ...table, column };
}

function isDelimited(format: TableFormat): boolean {
  return format === "csv" || format === "tsv";
}

/**
 * Which format a table is: Parquet by its first bytes, the others by the ending of their name.
 *
 * @throws `argument` where neither tells
 */
function tableFormat(head: Uint8Array, name: string): TableFormat {
  if ([0x50, 0x41, 0x52, 0x31].every((byte, i) => head[i] === byte)) return "parquet";
  const [, ending] = /\.(csv|tsv|tab|jsonl|ndjson|parquet)$/i.exec(name) ?? [];
  const format = ending === undefined ? undefined : endings[ending.toLowerCase()];
  if (format === "parquet") {
    const fix = head.length === 0 ? "write it again." : "copy the file again, or name it by what it is.";
    throw broken(name, "magic", head.length === 0 ? "an empty file" : "another beginning", "a Parquet file", fix);
  }
  if (format !== undefined) return format;
  throw new LosswrightError({
    code: "argument",
    where: name,
    field: "format",
    found: "a file whose name and first bytes do not tell",
    expected: "a table: .csv, .tsv, .jsonl or .parquet, the first three also packed (.csv.gz)",
    fix: "name the file by what it is.",
  });
}

const endings: Readonly<Record<string, TableFormat>> = {
  csv: "csv",
  tsv: "tsv",
  tab: "tsv",
  jsonl: "jsonl",
  ndjson: "jsonl",
  parquet: "parquet",
};

const words: Record<TableFormat, string> = { csv: "CSV", tsv: "TSV", jsonl: "JSON lines", parquet: "Parquet" };

function textOf(bytes: Uint8Array, where: string): string {
  if (bytes.length > longestText) {
    const fix = "split the table into several files, or save it as Parquet.";
    throw broken(where, undefined, `${bytes.length} bytes of text`, `at most ${longestText}`, fix);
  }
  try {
    // Takes a byte order mark away. Copied, since browsers decode no text that lies in shared memory.
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes));
  } catch (error) {
    const isWide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const found = isWide ? "text in UTF-16" : "bytes that are no UTF-8";
    throw broken(where, undefined, found, "text in UTF-8", "save it as UTF-8.", error);
  }
}
