/**
 * What a definition cannot say of its valid batches, by objective. It should stay nearly empty: the batches of
 * `batches.ts` follow from fields, shapes, domains and options, and a loss that needs no hint is covered at once.
 */
import type { AnyBatch } from "../../src/index.js";
import { tensor } from "../../src/index.js";
import type { Random } from "./random.js";

export interface Hint {
  /** Lengths of named axes that do not come out right by chance. */
  sizes?(sizes: Record<string, number>, random: Random): void;
  /** Brings options into agreement with each other and with the axes. */
  options?(options: Record<string, unknown>, sizes: Readonly<Record<string, number>>, random: Random): void;
  /** Brings the fields of a drawn batch into agreement with each other. */
  batch?(batch: Record<string, AnyBatch[string]>, options: Readonly<Record<string, unknown>>, random: Random): void;
  /**
   * Of an objective that couples its batch: fields whose row only the unit of that row reads, so that a masked unit's
   * row may hold anything. Without it no field of such an objective is taken for private.
   */
  privateFields?(options: Readonly<Record<string, unknown>>): readonly string[];
  /** The size of "huge" inputs where 1e4 overflows by the formula itself (an exponential of the input). */
  readonly huge?: number;
}

export const hints: Readonly<Record<string, Hint>> = {
  infoNce: {
    // Row i is paired with key i unless labels or positiveMask say otherwise.
    sizes(sizes, random) {
      sizes.M = sizes.B! + (random.chance(0.5) ? 0 : random.integer(1, 3));
    },
    options(options, sizes) {
      if (sizes.M !== sizes.B) options.symmetric = false;
    },
    batch(batch, { symmetric }, random) {
      if (symmetric) delete batch.labels;
      if (symmetric || batch.labels) delete batch.positiveMask;
      if (!batch.excludeMask) return;
      const { shape } = batch.excludeMask as { shape: readonly number[] };
      const [rows, columns] = shape as [number, number];
      const labels = batch.labels as { data: ArrayLike<number | bigint> } | undefined;
      const positives = batch.positiveMask as { data: ArrayLike<number | bigint> } | undefined;
      const flags = Array.from({ length: rows * columns }, (_, at) => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        const positive = positives ? Number(positives.data[at]) === 1 : column === Number(labels?.data[row] ?? row);
        return positive ? 0 : Number(random.chance(0.2));
      });
      batch.excludeMask = tensor(Uint8Array.from(flags), shape);
    },
    privateFields: ({ symmetric }) => (symmetric ? [] : ["queries", "labels"]),
  },
};
