import type { Dtype, Tensor } from "../tensor/index.js";

/** A tensor that stays in its file, and whose rows are read when they are asked for. */
export interface RowSource {
  readonly dtype: Dtype;
  /** At least one axis; a row is a place on axis 0. */
  readonly shape: readonly number[];
  /**
   * The rows `from` up to, but without, `to`: a tensor `[to - from, …]` of this dtype.
   *
   * @throws `argument` for rows that the tensor does not have, and once the file is closed; `file` for a value outside
   * the dtype, and where the disk fails
   */
  rows(from: number, to: number): Promise<Tensor>;
}

/** Whether a leaf of a record is rows in a file, not a tensor in memory. */
export function isRowSource(value: unknown): value is RowSource {
  return typeof value === "object" && value !== null && "rows" in value && typeof value.rows === "function";
}
