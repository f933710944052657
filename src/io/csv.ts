import { parse } from "csv-parse/browser/esm/sync";
import { LosswrightError } from "../errors/index.js";
import { columnOfText, spellingOf } from "./columns.js";
import { broken } from "./failure.js";
import { oneLine, shown } from "./json.js";
import type { Table, TextTableOptions } from "./table.js";

/**
 * A table of cells between delimiters, as RFC 4180 has them: quoted where they hold delimiters or line ends. Every line
 * has as many cells as the first.
 *
 * @throws `file` for lines of different lengths, quotes that do not fit together, a name twice; `argument` for a first line
 * of which only its writer knows whether it is one of names or what separates its cells, and for a delimiter that is none
 */
export function parseCsv(text: string, format: "csv" | "tsv", options: TextTableOptions): Table {
  const { name: where, only } = options;
  const { delimiter = format === "csv" ? "," : "\t" } = options;
  if (typeof delimiter !== "string" || !/^[^"\r\n]$/.test(delimiter)) throw noDelimiter(delimiter, where);
  // Blank lines at the end are no cells; of one among the others its writer may have meant an empty one.
  const body = text.replace(/(?:\r\n|\n|\r)+$/, "");
  if (body === "") throw broken(where, undefined, "a file without a line", "a table", "write it again.");
  let names: string[] | undefined;
  let kept: readonly (string[] | undefined)[] = [];
  let rows = 0;
  // Lines that a quoted cell runs over: from which row on, by how many lines rows stand below their number.
  const shifts: { row: number; lines: number }[] = [];
  const open = (first: readonly string[]): boolean => {
    if (options.delimiter === undefined) checkDelimiter(first, delimiter, where);
    const isHeader = options.header ?? holdsNames(first, where);
    names = first.map((cell, i) => (isHeader ? cell.trim() : String(i)));
    const twice = names.findIndex((each, i) => names!.indexOf(each) < i);
    if (twice >= 0) {
      const fix =
        "give every column a name of its own; of a first line that is a row say header: false (command line: --no-header).";
      throw broken(where, "line 1", `the column ${shown(names[twice])} twice`, "each name once", fix);
    }
    kept = names.map((each) => (only === undefined || only.includes(each) ? [] : undefined));
    return isHeader;
  };
  const add = (record: string[], { lines }: { lines: number }): undefined => {
    if (names === undefined && open(record)) return;
    if (lines !== rows + (shifts.at(-1)?.lines ?? 0)) shifts.push({ row: rows, lines: lines - rows });
    for (let i = 0; i < record.length; i++) kept[i]?.push(record[i]!);
    rows++;
  };
  try {
    if (body.includes('"')) {
      parse(body, { delimiter, record_delimiter: ["\r\n", "\n", "\r"], on_record: add as never });
    } else {
      // Where nothing is quoted, cells are what lies between delimiters: found ten times as fast.
      let lines = 0;
      for (const line of body.split(/\r\n|\n|\r/)) {
        const record = line.split(delimiter);
        if (names !== undefined && record.length !== names.length) throw otherLength(record, ++lines, where, delimiter);
        add(record, { lines: ++lines });
      }
    }
  } catch (error) {
    throw error instanceof LosswrightError ? error : whyNoTable(error, where, delimiter);
  }
  const place = (row: number) => {
    const shift = shifts.findLast((each) => each.row <= row);
    return `line ${row + (shift?.lines ?? 0)}`;
  };
  return {
    format,
    names: names!,
    rows,
    column: async (column, kind) => columnOfText(kept[names!.indexOf(column)]!, { where, column, place }, kind),
  };
}

/**
 * Whether the first line holds the names of the columns: where none of its cells is a number, or where those that are
 * count the classes (0, 1, 2, …) beside a name. A line of numbers alone is a row.
 *
 * @throws `argument` where both could be meant
 */
function holdsNames(first: readonly string[], where: string): boolean {
  const numbers = first.map((cell) => cell.trim()).filter((cell) => !["word", "empty"].includes(spellingOf(cell)));
  if (numbers.length === 0) return true;
  const counts = numbers.every((cell, i) => cell === String(i));
  const isRow = numbers.length === first.length;
  if (isRow && !(counts && numbers.length > 1)) return false;
  if (!isRow && counts) return true;
  const line = shown(first.join(",").slice(0, 80));
  throw new LosswrightError({
    code: "argument",
    where,
    field: "header",
    found: `the first line ${line}, which may be names or a row`,
    expected: "a first line of which it is clear",
    fix: "say so: header: true or false (command line: --header, --no-header).",
  });
}

/** @throws `argument` for a first line that is one cell, in which stands what separates the cells of other files */
function checkDelimiter(first: readonly string[], delimiter: string, where: string): void {
  const other = first.length === 1 ? /[;\t]/.exec(first[0]!)?.[0] : undefined;
  if (other === undefined) return;
  const sign = JSON.stringify(other);
  const say = other === "\t" ? "name the file .tsv" : `say delimiter: ${sign} (command line: --delimiter ${sign})`;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "delimiter",
    found: `no ${wordOf(delimiter)} in the first line, but ${wordOf(other)}`,
    expected: "a first line of which it is clear what separates its cells",
    fix: `${say}; where each line is one cell, say delimiter: ${JSON.stringify(delimiter)}.`,
  });
}

function noDelimiter(found: unknown, where: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where,
    field: "delimiter",
    found: shown(found),
    expected: "one character, no quote and no line end",
    fix: 'say delimiter: ";" (command line: --delimiter ";"); name a table of tabs .tsv.',
  });
}

function otherLength(record: readonly unknown[], lines: number, where: string, delimiter: string, cause?: unknown) {
  const found = record.length === 1 && record[0] === "" ? "a blank line" : `${record.length} cells`;
  const fix = `quote cells that hold ${wordOf(delimiter)}, and leave no line out.`;
  return broken(where, `line ${lines}`, found, "as many cells as in the first line", fix, cause);
}

const wordOf = (delimiter: string) =>
  ({ ",": "commas", ";": "semicolons", "\t": "tabs" })[delimiter] ?? shown(delimiter);

function whyNoTable(error: unknown, where: string, delimiter: string): LosswrightError {
  const { code, lines, record } = error as { code?: string; lines?: number; record?: unknown[] };
  if (code === "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH" && record !== undefined && lines !== undefined) {
    return otherLength(record, lines, where, delimiter, error);
  }
  const line = lines === undefined ? undefined : `line ${lines}`;
  const found = oneLine(error instanceof Error ? error.message : String(error)).slice(0, 160);
  const fix = 'quote a cell that holds quotes, and write each of them twice ("").';
  return broken(where, line, found, `cells between ${wordOf(delimiter)}, quoted whole or not at all`, fix, error);
}
