import type { LosswrightError } from "../errors/index.js";
import { type Dtype, dataOf, sizeOf, type Tensor, view } from "../tensor/index.js";
import { allocating, broken } from "./failure.js";
import { oneLine, shown } from "./json.js";

/** A column of a table: numbers and booleans as a tensor, text as it stands. */
export type Column = Tensor | readonly string[];

/** What a column is read as: numbers, text, or what all of its cells together say. */
export type ColumnKind = "numbers" | "text";

/** Where the cells of a column stand, for messages. */
export interface Cells {
  readonly where: string;
  readonly column: string;
  /** What messages call a row: "line 7". */
  place(row: number): string;
}

// ---- cells that are text: CSV ----

type Spelling = "empty" | "integer" | "real" | "boolean" | "word";

const integer = /^[+-]?(?:0|[1-9]\d*)$/;
const real = /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
const special = /^(?:nan|[+-]?inf(?:inity)?)$/i;
const boolean = /^(?:true|True|TRUE|false|False|FALSE)$/;

/** What a cell says by its spelling. A leading zero makes a number a name: "007" is no seven. */
export function spellingOf(cell: string): Spelling {
  if (cell === "") return "empty";
  // −0 is no integer: int32 has none.
  if (integer.test(cell)) return /^-0$/.test(cell) ? "real" : "integer";
  if (real.test(cell) || special.test(cell)) return "real";
  return boolean.test(cell) ? "boolean" : "word";
}

/**
 * A column whose cells are text. Without a kind all rows decide: where each cell is a number, the column holds numbers,
 * where each is "true" or "false", booleans; otherwise text.
 *
 * @throws `file` for a cell that is empty or no number where numbers are read, and for numbers out of range
 */
export function columnOfText(given: readonly string[], cells: Cells, kind?: ColumnKind): Column {
  if (kind === "text") return given;
  const trimmed = given.map((cell) => cell.trim());
  const spellings = trimmed.map(spellingOf);
  if (kind === undefined && spellings.every((spelling) => spelling === "empty")) return given;
  if (kind === undefined && spellings.includes("word")) return given;
  const odd = spellings.indexOf("word");
  if (odd >= 0) throw noNumber(cells, odd, trimmed[odd]);
  const empty = spellings.indexOf("empty");
  if (empty >= 0) throw missing(cells, empty, "an empty cell");
  const firstBoolean = spellings.indexOf("boolean");
  if (firstBoolean >= 0) {
    const other = spellings.findIndex((spelling) => spelling !== "boolean");
    if (other < 0) {
      const data = Uint8Array.from(trimmed, (cell) => (/^t/i.test(cell) ? 1 : 0));
      return view(data, [data.length], "unlabeled", "bool");
    }
    throw mixed(cells, [firstBoolean, trimmed[firstBoolean]!], [other, trimmed[other]!]);
  }
  if (!spellings.includes("real")) return integersOf(trimmed, [given.length], cells);
  const data = Float64Array.from(trimmed, (cell, row) => {
    const word = special.exec(cell)?.[0].toLowerCase();
    if (word) return word === "nan" ? Number.NaN : word.startsWith("-") ? -Infinity : Infinity;
    const value = Number(cell);
    if (Number.isFinite(value)) return value;
    throw outOfRange(cells, row, shown(cell), 'numbers that float64 holds, or "inf"', 'write "inf" where it is meant.');
  });
  // Spelt "1.0", whole numbers are indices to whoever wants indices, as those of a list are.
  return view(data, [data.length], "unlabeled", "float64", data.every(Number.isInteger));
}

/** Integers in int32 where all fit, otherwise in int64, exactly. */
function integersOf(cells: readonly (string | number | bigint)[], shape: readonly number[], at: Cells): Tensor {
  const narrow = new Int32Array(cells.length);
  const isNarrow = cells.every((cell, i) => {
    // Longer spellings are beyond int32, and perhaps beyond what a double tells apart.
    if (typeof cell === "string" && cell.length > 11) return false;
    narrow[i] = Number(cell);
    return narrow[i] === Number(cell);
  });
  if (isNarrow) return view(narrow, shape, "unlabeled", "int32");
  const perRow = sizeOf(shape.slice(1));
  const wide = BigInt64Array.from(cells, (cell, i) => {
    const value = BigInt(typeof cell === "string" ? cell.replace(/^\+/, "") : cell);
    if (BigInt.asIntN(64, value) === value) return value;
    const fix = "write numbers of that size with an exponent, or as text.";
    throw outOfRange(at, Math.floor(i / perRow), String(cell).slice(0, 40), "integers of 64 bits", fix);
  });
  return view(wide, shape, "unlabeled", "int64");
}

// ---- cells that are values: JSON lines, Parquet ----

/**
 * A column whose cells are values: numbers, bigints, booleans, text, or lists of numbers that are nested alike in every
 * row. Words for what JSON cannot spell ("nan", "inf", "-inf") are numbers among numbers.
 *
 * @param dtype - what the file declares the values to be; without it all of them decide
 * @throws `file` for a row without a value, of another kind than the first, or another length
 */
export function columnOfValues(
  values: readonly unknown[],
  cells: Cells,
  kind?: ColumnKind,
  dtype?: Dtype | "text",
): Column {
  const gap = values.findIndex((value) => value === null || value === undefined);
  if (gap >= 0) throw missing(cells, gap, values[gap] === null ? "null" : "no value");
  const odd = values.findIndex((value) => typeof value !== "string");
  const isText =
    dtype === "text" || (dtype === undefined && odd < 0 && values.some((value) => wordOf(value) === undefined));
  if (kind === "text" ? odd < 0 && (dtype ?? "text") === "text" : isText && kind === undefined)
    return values as string[];
  if (kind === "text") {
    const found = values.length === 0 ? `a column of ${dtype}` : `${shown(values[odd])} at ${cells.place(odd)}`;
    throw broken(cells.where, oneLine(cells.column), found, "text", "write text in quotes, as columns of text do.");
  }
  if (dtype === "text") throw noNumber(cells, 0, values[0]);
  const shape = [values.length, ...shapeOf(values[0])];
  const flat: (number | bigint | boolean)[] = [];
  const walk = (value: unknown, axis: number, row: number): void => {
    if (isList(value)) {
      if (axis < shape.length && value.length === shape[axis]) {
        for (let i = 0; i < value.length; i++) walk(value[i], axis + 1, row);
        return;
      }
      throw ragged(cells, row, axis, `a list of ${value.length}`, shape);
    }
    if (axis < shape.length) {
      throw value === null || value === undefined
        ? missing(cells, row, "a list with null")
        : ragged(cells, row, axis, shown(value), shape);
    }
    const word = wordOf(value);
    if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") flat.push(value);
    else if (word !== undefined) flat.push(word);
    else if (value === null || value === undefined) throw missing(cells, row, "a list with null");
    else throw noNumber(cells, row, value);
  };
  for (let row = 0; row < values.length; row++) walk(values[row], 1, row);
  const perRow = Math.max(1, sizeOf(shape.slice(1)));
  if (dtype !== undefined) return allocating(cells.where, () => declared(flat, shape, dtype, cells));
  const isBoolean = flat.length > 0 && typeof flat[0] === "boolean";
  const other = flat.findIndex((value) => (typeof value === "boolean") !== isBoolean);
  if (other >= 0) {
    throw mixed(cells, [0, String(flat[0])], [Math.floor(other / perRow), String(flat[other])]);
  }
  if (isBoolean) return view(Uint8Array.from(flat as boolean[], Number), shape, "unlabeled", "bool");
  const whole = flat.every(
    (value) => typeof value === "bigint" || (Number.isSafeInteger(value) && !Object.is(value, -0)),
  );
  if (whole) return integersOf(flat as (number | bigint)[], shape, cells);
  return view(Float64Array.from(flat as (number | bigint)[], Number), shape, "unlabeled", "float64");
}

/** Numbers in the dtype that their file declares. */
function declared(
  flat: readonly (number | bigint | boolean)[],
  shape: readonly number[],
  dtype: Dtype,
  cells: Cells,
): Tensor {
  if (dtype === "int64") {
    const perRow = sizeOf(shape.slice(1));
    const data = BigInt64Array.from(flat as (number | bigint)[], (value, i) => {
      if (BigInt.asIntN(64, BigInt(value)) === BigInt(value)) return BigInt(value);
      const expected = "values below 2^63, which int64 holds";
      throw outOfRange(cells, Math.floor(i / perRow), String(value), expected, "write them as text.");
    });
    return view(data, shape, "unlabeled", dtype);
  }
  const data = dataOf(dtype, flat.length) as Float64Array;
  for (let i = 0; i < flat.length; i++) data[i] = Number(flat[i]);
  return view(data, shape, "unlabeled", dtype);
}

const words = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
]);

/** What a word stands for that JSON has no number for. */
function wordOf(value: unknown): number | undefined {
  return typeof value === "string" ? words.get(value) : undefined;
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);
}

/** Lengths of the lists in a row, from the first of each. */
function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let level = value; isList(level); level = level[0]) shape.push(level.length);
  return shape;
}

// ---- messages ----

function missing({ where, column, place }: Cells, row: number, found: string): LosswrightError {
  return broken(where, oneLine(column), `${found} at ${place(row)}`, "a value in every row", notKnown);
}

const notKnown = 'write "nan" where a number is not known, or leave the row out.';

function noNumber({ where, column, place }: Cells, row: number, cell: unknown): LosswrightError {
  const fix = typeof cell === "string" ? asNumber(cell.trim()) : pointed;
  return broken(where, oneLine(column), `${shown(cell)} at ${place(row)}`, "a column of numbers", fix);
}

const pointed = "write decimal numbers with a point (0.5, nan, inf), or name a column that holds them.";

/** How to write as a number what a cell says in words. */
function asNumber(word: string): string {
  if (special.test(word)) return 'write "nan", "inf" or "-inf" for what is no finite number.';
  const spelling = spellingOf(word);
  if (spelling === "boolean") return `write ${word.toLowerCase()} without quotes, not as text.`;
  if (spelling === "integer" || spelling === "real") return `write ${word} without quotes, not as text.`;
  if (/^(?:na|n\/a|null|none|missing|-|\?|)$/i.test(word)) return notKnown;
  if (/^[+-]?\d+,\d+$/.test(word)) return `write a point in place of the comma: ${word.replace(",", ".")}.`;
  if (!/^\p{L}/u.test(word)) return pointed;
  return "number the classes (0, 1, …), in labels and predictions alike, or name a column of numbers.";
}

function mixed(
  { where, column, place }: Cells,
  [first, one]: readonly [number, string],
  [second, other]: readonly [number, string],
): LosswrightError {
  const found = `${shown(one)} at ${place(first)} and ${shown(other)} at ${place(second)}`;
  const fix = "write 0 and 1, or true and false, in all rows.";
  return broken(where, oneLine(column), found, "numbers or booleans, not both", fix);
}

function ragged({ where, column, place }: Cells, row: number, axis: number, found: string, shape: readonly number[]) {
  const first = shape.length > axis ? `a list of ${shape[axis]}` : "a number";
  const fix = "pad the lists to one length and give a mask.";
  return broken(where, oneLine(column), `${found} at ${place(row)}`, `${first}, as ${place(0)} has`, fix);
}

function outOfRange({ where, column, place }: Cells, row: number, found: string, expected: string, fix: string) {
  return broken(where, oneLine(column), `${found} at ${place(row)}`, expected, fix);
}
