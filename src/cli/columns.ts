import { LosswrightError } from "../errors/index.js";
import { type ColumnsFile, openTable } from "../io/files.js";
import type { Column, ColumnKind } from "../io/index.js";
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

/** Files of columns, each opened once, however many of its columns are read. */
export class ColumnFiles {
  readonly #open = new Map<string, ColumnsFile>();
  readonly #header: boolean | undefined;

  /** @param header - what is said of the first line of CSV and TSV files */
  constructor(header: boolean | undefined) {
    this.#header = header;
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

  async close(): Promise<void> {
    for (const file of this.#open.values()) await file.close();
    this.#open.clear();
  }

  async #file(path: string): Promise<ColumnsFile> {
    const known = this.#open.get(path);
    if (known) return known;
    const isText = /\.(csv|tsv|tab)(\.gz)?$/i.test(path);
    const opened = await openTable(path, isText && this.#header !== undefined ? { header: this.#header } : {});
    this.#open.set(path, opened);
    return opened;
  }
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
