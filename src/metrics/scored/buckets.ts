import { LosswrightError } from "../../errors/index.js";
import { powerOfTwo } from "../../numerics/index.js";
import type { Sums } from "../accumulators.js";
import type { BoundFields } from "../fields.js";
import { type ClassScoresOptions, checkClasses } from "./class-scores.js";

/** A value of a metric that kept its scores in buckets, with the bounds that the exact one lies between. */
export interface Bounded {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** What rounding may add to bounds, and to the exact value that lies between them: 32 units in the last place of 1. */
export const roundingSlack = /*#__PURE__*/ powerOfTwo(-48);

const cell = new Float64Array(1);
const words = new Uint32Array(cell.buffer);
const top = /*#__PURE__*/ (() => (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0))();

/**
 * The bucket of a score: sign, exponent and the leading bits of the mantissa, as an integer whose order is that of the
 * scores. Scores of one bucket differ by less than 2^−bits of their size.
 */
function bucketOf(score: number, bits: number): number {
  cell[0] = score + 0;
  const high = words[top]!;
  const ordered = high >>> 31 === 1 ? ~high : high ^ 0x80000000;
  return (ordered >>> 0) >>> (20 - bits);
}

/** Opens an update that adds each sample to the bucket of its score; bounded memory, whatever the number of samples. */
export function openBuckets(
  where: string,
  fields: BoundFields,
  sums: Sums,
  options: Pick<ClassScoresOptions, "classes"> & { readonly resolutionBits: number | null },
): (sample: number, weight: number) => void {
  if (fields.hasAxis("K")) {
    throw new LosswrightError({
      code: "unsupported",
      where,
      field: "resolutionBits",
      found: "scores of several classes",
      expected: "scores of one class against 0 and 1 where resolutionBits is set",
      fix: "keep one metric a class, or leave resolutionBits out.",
    });
  }
  checkClasses(where, options.classes, 1);
  const bits = options.resolutionBits!;
  const [score, label] = [fields.reals("scores"), fields.flags("labels")];
  return (sample, weight) => sums.of(2 * bucketOf(score(sample), bits) + label(sample)).add(weight);
}

/** Visits buckets from the highest scores down, with the weight of positives and negatives in each. */
export function walkBuckets(sums: Sums, visit: (positives: number, negatives: number) => void): void {
  const buckets = new Set(sums.keys().map((key) => Math.floor((key as number) / 2)));
  for (const bucket of [...buckets].reverse()) visit(sums.value(2 * bucket + 1), sums.value(2 * bucket));
}
