import { closest, LosswrightError } from "../errors/index.js";
import { type ColumnsFile, openTable } from "../io/files.js";
import type { Column, ColumnKind, TableOptions } from "../io/index.js";
import { fieldByForeignName } from "../metrics/index.js";
import { dataOf, formatShape, isTensor, type Tensor, view } from "../tensor/index.js";

/** A column as the command line names it: a file, and one of its columns or several that stand side by side. */
export interface NamedColumn {
  readonly path: string;
  readonly columns?: string;
}

/** "table.csv#score", "batch.npz#y", "table.parquet#a,b,c"; a path alone stands for the one column of its file. */
export function namedColumn(argument: string): NamedColumn {
  const [, path, columns] =
    /^(.*?\.(?:npy|npz|safetensors|csv|tsv|tab|jsonl|ndjson|parquet)(?:\.gz)?)#(.+)$/is.exec(argument) ?? [];
  return path === undefined || columns === undefined ? { path: argument } : { path, columns };
}

/** What is said of all CSV and TSV files: their first line, and what separates their cells. */
export type TextLayout = Pick<TableOptions, "header" | "delimiter">;

/** Files of columns, each opened once, however many of its columns are read. */
export class ColumnFiles {
  readonly #open = new Map<string, ColumnsFile>();
  readonly #layout: TextLayout;

  constructor(layout: TextLayout) {
    this.#layout = layout;
  }

  async names(path: string): Promise<readonly string[]> {
    return (await this.#file(path)).names;
  }

  /** A column; several that are named side by side become the last axis of one. */
  async read({ path, columns }: NamedColumn, kind?: ColumnKind): Promise<Column> {
    const file = await this.#file(path);
    // A name may hold a comma itself.
    if (columns === undefined || !columns.includes(",") || file.names.includes(columns))
      return file.column(columns, kind);
    const tensors: Tensor[] = [];
    const names = columns.split(",").map((name) => name.trim());
    for (const name of names) {
      const column = await file.column(name, "numbers");
      if (isTensor(column)) tensors.push(column);
    }
    return stacked(tensors, names, path);
  }

  /** @throws `argument` where something is said of files of text, and none was read */
  checkLayout(): void {
    const [said] = Object.keys(this.#layout);
    if (said === undefined || [...this.#open.keys()].some(isText)) return;
    throw new LosswrightError({
      code: "argument",
      where: "metrics",
      field: flagOf(said),
      found: "a word about CSV and TSV files, of which there is none",
      expected: "one such file at least",
      fix: "leave it out.",
    });
  }

  async close(): Promise<void> {
    for (const file of this.#open.values()) await file.close();
    this.#open.clear();
  }

  async #file(path: string): Promise<ColumnsFile> {
    const known = this.#open.get(path);
    if (known) return known;
    const opened = await openTable(path, isText(path) ? this.#layout : {});
    this.#open.set(path, opened);
    return opened;
  }
}

function isText(path: string): boolean {
  return /\.(csv|tsv|tab)(\.gz)?$/i.test(path);
}

/** The flag of a field: "--sample-ids". */
export function flagOf(field: string): string {
  return `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The error of a metric whose fields a table lacks, with what the table has: its columns, and the flags that take those
 * that may be meant.
 *
 * @param error - what was found where only names of fields counted
 * @param lacking - of each form of the metric, the fields that are nowhere
 */
export function missingColumns(
  error: LosswrightError,
  lacking: readonly (readonly string[])[],
  table: string,
  columns: readonly string[],
): LosswrightError {
  const meant = (field: string) =>
    columns.find((column) => fieldByForeignName(column, [field]) === field) ?? closest(field, columns);
  const unmet = (fields: readonly string[]) => fields.filter((field) => meant(field) === undefined);
  const nearest = lacking.reduce((best, each) => (unmet(each).length < unmet(best).length ? each : best));
  const flags = nearest.map((field) => `${flagOf(field)} ${quoted(`${table}#${meant(field) ?? "COLUMN"}`)}`).join(" ");
  const listed = columns.slice(0, 8).map((name) => JSON.stringify(name.slice(0, 80)));
  if (columns.length > 8) listed.push(`${columns.length - 8} more`);
  const found = `${error.found}; the columns of ${table} are ${listed.join(", ") || "without names"}`;
  const isRow = columns.every((name, i) => name === String(i));
  const isNothingMeant = unmet(nearest).length === nearest.length;
  let fix = `write ${flags}.`;
  if (isText(table) && isRow) fix = `its first line is taken for a row (with --header, for names): ${fix}`;
  else if (isText(table) && isNothingMeant) fix = `write ${flags}, with --no-header where the first line is a row.`;
  const { code, where, expected } = error;
  return new LosswrightError(
    { code, ...(where && { where }), field: nearest[0]!, found, expected, fix },
    { cause: error },
  );
}

/** An argument as a shell takes it for one. */
function quoted(argument: string): string {
  return /^[\w./#:-]+$/.test(argument) ? argument : JSON.stringify(argument);
}

/** Columns `[N]` side by side as `[N, K]`: in their dtype where they share one, in float64 otherwise. */
function stacked(tensors: readonly Tensor[], names: readonly string[], path: string): Tensor {
  const [first] = tensors as [Tensor];
  const odd = tensors.findIndex(({ shape }) => shape.length !== 1 || shape[0] !== first.shape[0]);
  if (odd >= 0) {
    throw new LosswrightError({
      code: "shape",
      where: path,
      field: names[odd]!,
      found: `a column ${formatShape(tensors[odd]!.shape)}`,
      expected: `columns of one number a row, ${first.shape[0]} rows`,
      fix: "name columns of single numbers, or one column of lists.",
    });
  }
  const [rows, width] = [first.shape[0]!, tensors.length];
  const shared = tensors.every(({ dtype }) => dtype === first.dtype);
  if (shared && first.dtype === "int64") {
    const data = new BigInt64Array(rows * width);
    for (const [k, { data: from }] of tensors.entries()) {
      for (let i = 0; i < rows; i++) data[i * width + k] = (from as BigInt64Array)[i]!;
    }
    return view(data, [rows, width], "unlabeled", "int64");
  }
  const dtype = shared ? first.dtype : "float64";
  const data = dataOf(dtype, rows * width) as Float64Array;
  for (const [k, { data: from }] of tensors.entries()) {
    for (let i = 0; i < rows; i++) data[i * width + k] = Number(from[i]);
  }
  const weak = dtype === "float64" && tensors.every((tensor) => tensor.weak || /^u?int/.test(tensor.dtype));
  return view(data, [rows, width], "unlabeled", dtype, weak);
}
