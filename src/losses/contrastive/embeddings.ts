import { normOf } from "../norm.js";

/** Below this norm a row is divided by it instead (torch `normalize`). */
const smallestNorm = 1e-12;

/**
 * Rows of embeddings, divided by their norm or not, that collect the gradient of dot products between them.
 *
 * For x̂ = x / ‖x‖ the chain rule is dL/dx = (g − x̂ (x̂·g)) / ‖x‖ with g = dL/dx̂; where ‖x‖ is below 1e−12 the
 * divisor is a constant and dL/dx = g / 1e−12.
 */
export class Embeddings {
  readonly count: number;
  readonly width: number;
  private readonly rows: Float64Array;
  /** The divisor of each row; undefined when rows are taken as they are. */
  private readonly norms: Float64Array | undefined;
  private gradient: Float64Array | undefined;
  /** Rows something was added to: an unread row may hold NaN and must leave no trace. */
  private readonly touched: Uint8Array;

  constructor(data: Float64Array | Float32Array, count: number, width: number, normalize: boolean) {
    this.count = count;
    this.width = width;
    this.rows = Float64Array.from(data);
    this.touched = new Uint8Array(count);
    this.norms = normalize ? new Float64Array(count) : undefined;
    if (!this.norms) return;
    for (let row = 0; row < count; row++) {
      const norm = Math.max(normOf(this.rows, row * width, width), smallestNorm);
      this.norms[row] = norm;
      for (let d = 0; d < width; d++) this.rows[row * width + d]! /= norm;
    }
  }

  /** The dot product of a row with a row of others. */
  dot(row: number, others: Embeddings, other: number): number {
    const { width, rows } = this;
    const there = others.rows;
    let sum = 0;
    for (let d = 0, i = row * width, j = other * width; d < width; d++, i++, j++) sum += rows[i]! * there[j]!;
    return sum;
  }

  /** Adds factor · (the other row) to the gradient of a row. */
  addGradient(row: number, factor: number, others: Embeddings, other: number): void {
    this.gradient ??= new Float64Array(this.rows.length);
    this.touched[row] = 1;
    const { width, gradient } = this;
    const there = others.rows;
    for (let d = 0, i = row * width, j = other * width; d < width; d++, i++, j++) gradient[i]! += factor * there[j]!;
  }

  /** Writes what was collected, through the norm, into the gradient of the raw rows. */
  writeGradient(out: Float64Array): void {
    const { width, rows, norms, gradient, touched } = this;
    if (!gradient) return;
    for (let row = 0; row < touched.length; row++) {
      if (!touched[row]) continue;
      const start = row * width;
      const norm = norms?.[row] ?? 1;
      let along = 0;
      if (norms && norm > smallestNorm)
        for (let d = 0; d < width; d++) along += rows[start + d]! * gradient[start + d]!;
      for (let d = 0; d < width; d++) out[start + d]! += (gradient[start + d]! - along * rows[start + d]!) / norm;
    }
  }
}
